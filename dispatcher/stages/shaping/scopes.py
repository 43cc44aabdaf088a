"""Resolve the grants of a subscription to a scope, and say what was withheld and why.

Called by `revising` when a snapshot is compiled or a registry is checked, and by previews. A field
is granted only if it is a classified leaf, may leave at all, is what its action is made for, and,
after that action, is within the recipient's clearance and purpose. It never widens: whatever is not
understood is withheld.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from dispatcher.model.action import ActionKind
from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.grant import Grant, parse_grant
from dispatcher.model.path import SUBJECT, Path
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten
from dispatcher.stages.shaping.transforms import suits

_PERSON: Final = Leaf("string", Category.PII, Sensitivity.CONFIDENTIAL)
"""What an event's subject is, whatever its type."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A grant as it was written, and why it is not in the scope."""

    path: str
    why: Unfit


@lru_cache(maxsize=65536)
def resolve_scope(
    schema_text: str,
    grants: tuple[str, ...],
    clearance: Sensitivity,
    categories: frozenset[Category],
    *,
    is_thin: bool = False,
    group_min: int = 0,
) -> tuple[Scope, tuple[Withheld, ...]]:
    """Grant what may be granted of `grants`; none at all gives the empty scope.

    With a `group_min` it is the scope of a summary, where every grant sums up.
    """
    granted: dict[Path, Field] = {}
    withheld = []
    for text in grants:
        try:
            grant = parse_grant(text)
        except ValueError:
            withheld.append(Withheld(text, Unfit.MALFORMED))
            continue
        if grant.action.kind.sums_up != bool(group_min):
            withheld.append(Withheld(text, Unfit.OUT_OF_STYLE))
            continue
        found = _judge(schema_text, grant, clearance, categories)
        if isinstance(found, Unfit):
            withheld.append(Withheld(text, found))
        else:
            granted[grant.path] = found
    return Scope.of(granted.values(), is_thin=is_thin, group_min=group_min), tuple(withheld)


def _judge(
    schema_text: str, grant: Grant, clearance: Sensitivity, categories: frozenset[Category]
) -> Field | Unfit:
    leaf = _PERSON if grant.path == SUBJECT else _find(schema_text, grant.path)
    if isinstance(leaf, Unfit):
        return leaf
    if not leaf.category.is_sendable:
        return Unfit.SECRET
    if not suits(grant.action, leaf.type.rpartition("/")[2]):
        return Unfit.UNSUITED
    if grant.action.kind is ActionKind.SIV and leaf.category.is_personal:
        return Unfit.PERSONAL  # nobody could be erased from what needs no memory
    if grant.action.kind.sums_up and (None in grant.path or grant.path == SUBJECT):
        return Unfit.MANY
    field = Field(grant.path, str(grant.action), leaf.type, leaf.category, leaf.sensitivity)
    if not field.effective.is_within(clearance):
        return Unfit.OVER_CLEARANCE
    return field if leaf.category in categories else Unfit.OUT_OF_PURPOSE


def _find(schema_text: str, path: Path) -> Leaf | Unfit:
    try:
        declared = flatten(schema_text)
    except ValueError:
        return Unfit.UNKNOWN
    found = declared.get(path)
    if found is not None:
        return found
    above = (declared.get(Path(path[:length])) for length in range(len(path)))
    return Unfit.UNFOLLOWED if Unfit.UNFOLLOWED in above else Unfit.UNKNOWN
