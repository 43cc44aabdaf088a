"""Resolve the granted paths of a subscription to a scope, and say what was withheld and why.

Called by `revising` when a snapshot is compiled or a registry is checked, and by previews. A path
is granted only if it is a classified leaf, may leave at all, and is within the recipient's
clearance and purpose. It never widens: whatever is not understood is withheld.
"""

from dataclasses import dataclass
from functools import lru_cache

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import Path, parse_path
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten


@dataclass(frozen=True, slots=True)
class Withheld:
    """A path as it was written, and why it is not in the scope."""

    path: str
    why: Unfit


@lru_cache(maxsize=65536)
def resolve_scope(
    schema_text: str,
    paths: tuple[str, ...],
    clearance: Sensitivity,
    categories: frozenset[Category],
) -> tuple[Scope, tuple[Withheld, ...]]:
    """Grant what may be granted of `paths`; no path at all gives the empty scope."""
    granted: dict[Path, Field] = {}
    withheld = []
    for text in paths:
        try:
            path = parse_path(text)
        except ValueError:
            withheld.append(Withheld(text, Unfit.MALFORMED))
            continue
        found = _judge(schema_text, path, clearance, categories)
        if isinstance(found, Unfit):
            withheld.append(Withheld(text, found))
        else:
            granted[path] = Field(path, "pass", found.type, found.category, found.sensitivity)
    return Scope.of(tuple(granted.values())), tuple(withheld)


def _judge(
    schema_text: str, path: Path, clearance: Sensitivity, categories: frozenset[Category]
) -> Leaf | Unfit:
    found = _find(schema_text, path)
    if isinstance(found, Unfit):
        return found
    if not found.category.is_sendable:
        return Unfit.SECRET
    if not found.sensitivity.is_within(clearance):
        return Unfit.OVER_CLEARANCE
    return found if found.category in categories else Unfit.OUT_OF_PURPOSE


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
