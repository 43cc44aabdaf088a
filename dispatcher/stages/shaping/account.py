"""What becomes of each part of one event on its way to one recipient: it leaves, or why not.

Asked by previews and by producers' tests, after the letter was shaped. Whether a path may be
granted is asked of `resolve_scope`, as when a snapshot is compiled; what left and what was dropped
is what shaping noted. It names places, and never holds a value.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.grant import parse_grant
from dispatcher.model.path import SUBJECT, Path, Steps, format_path
from dispatcher.model.registry import Connector, EventType, Subscription
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.redaction import HIDDEN_NAME
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten
from dispatcher.stages.shaping.scopes import resolve_scope

UNDECLARED_MAX: Final = 100
"""Undeclared places that are told of one event: their names come from whoever wrote it."""


class Fate(StrEnum):
    """What becomes of a place."""

    LEAVES = "leaves"
    WITHHELD = "withheld"
    ABSENT = "absent"


class Unsent(StrEnum):
    """Why a place is withheld, beside the reasons why it could not be granted (`Unfit`)."""

    UNGRANTED = "ungranted"
    UNDECLARED = "undeclared"
    WRONG_TYPE = "wrong_type"
    NOT_FILED = "not_filed"
    THIN = "thin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One place of an event. `sensitivity` is the field's own, `effective` that of what leaves.

    `is_named_by_data`: the last name is no schema's, but came with the event.
    """

    path: Path
    fate: Fate
    why: tuple[str, ...] = ()
    action: str = ""
    category: Category | None = None
    sensitivity: Sensitivity | None = None
    effective: Sensitivity | None = None
    is_named_by_data: bool = False

    def text(self, *, is_redacted: bool) -> str:
        """Write the place; a name that came with the event only for whoever may see it."""
        if is_redacted and self.is_named_by_data:
            return format_path(Path((*self.path[:-1], HIDDEN_NAME)))
        return format_path(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one subscription may see of one event type today, as its registry says it."""

    schema: str
    grants: tuple[str, ...]
    clearance: Sensitivity
    categories: frozenset[Category]
    group_min: int = 0

    @classmethod
    def of(cls, event_type: EventType, subscription: Subscription, connector: Connector) -> Self:
        """Take them from the registry's own objects."""
        purpose = connector.purpose(subscription.purpose)
        return cls(
            schema=event_type.schema,
            grants=tuple(subscription.scope.get(event_type.name, ())),
            clearance=connector.clearance,
            categories=frozenset(purpose.categories if purpose is not None else ()),
            group_min=subscription.group,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What shaping did: the ceiling it kept to, what left, what was dropped, or what forbade it."""

    scope: Scope
    disclosed: tuple[Field, ...] = ()
    dropped: tuple[Field, ...] = ()
    refused: tuple[str, ...] = ()


def account(
    document: Mapping[str, Any], has_subjects: bool, terms: Terms, shown: Shown
) -> tuple[Part, ...]:
    """List the places of an event in its own order, then what was granted and is not there."""
    judge = _Judge(terms, shown)
    found = dict.fromkeys([SUBJECT] if has_subjects else [])
    undeclared: dict[Path, None] = {}
    for path, is_declared in _places(document, (), judge.declared):
        if is_declared:
            found.setdefault(path)
        elif len(undeclared) < UNDECLARED_MAX:
            undeclared.setdefault(path)
    parts = [judge.part(path) for path in found]
    parts += [
        Part(path=path, fate=Fate.WITHHELD, why=(Unsent.UNDECLARED,), is_named_by_data=True)
        for path in undeclared
    ]
    missing = (each.path for each in shown.scope.fields if each.path not in found)
    return (*parts, *(judge.part(path, is_there=False) for path in missing))


class _Judge:
    """Says of each declared place what became of it."""

    def __init__(self, terms: Terms, shown: Shown) -> None:
        self._terms = terms
        self._shown = shown
        self._ceiling = _by_path(shown.scope.fields)
        self._out = {each.path for each in shown.disclosed}
        self._dropped = {each.path for each in shown.dropped}
        today, _ = self._resolve(terms.grants)
        self._today = _by_path(today.fields)
        self._asked = dict(_grants(terms.grants))
        try:
            self.declared: Mapping[Path, Leaf | Unfit] = flatten(terms.schema)
        except ValueError:
            self.declared = {}

    def part(self, path: Path, *, is_there: bool = True) -> Part:
        """Say what became of one place."""
        granted = self._ceiling.get(path)
        if granted is None:
            return self._withheld(path, tuple(self._ungranted(path)))
        if path in self._out:
            is_partly = path in self._dropped
            return _part(granted, Fate.LEAVES, (Unsent.WRONG_TYPE,) if is_partly else ())
        if path in self._dropped:
            return _part(granted, Fate.WITHHELD, (Unsent.WRONG_TYPE,))
        if not is_there:
            return _part(granted, Fate.ABSENT, ())
        why = (Unsent.THIN,) if self._shown.scope.is_thin else self._shown.refused
        return _part(granted, Fate.WITHHELD, why)

    def _ungranted(self, path: Path) -> Iterator[str]:
        """Say why a place is not in the ceiling: not granted, or granted in vain, or too late."""
        asked = self._asked.get(path)
        if path in self._today:
            yield Unsent.NOT_FILED
            return
        if asked is None:
            yield Unsent.UNGRANTED
        bare = format_path(path) + (" latest" if self._terms.group_min else "")
        _, unfit = self._resolve((asked or bare,))
        for each in unfit:
            yield each.why

    def _withheld(self, path: Path, why: tuple[str, ...]) -> Part:
        leaf = self.declared.get(path)
        if not isinstance(leaf, Leaf):
            return Part(path=path, fate=Fate.WITHHELD, why=why)
        return Part(
            path=path,
            fate=Fate.WITHHELD,
            why=why,
            category=leaf.category,
            sensitivity=leaf.sensitivity,
        )

    def _resolve(self, grants: tuple[str, ...]) -> tuple[Scope, Iterable[Any]]:
        terms = self._terms
        return resolve_scope(
            terms.schema, grants, terms.clearance, terms.categories, group_min=terms.group_min
        )


def _places(
    value: object, steps: Steps, declared: Mapping[Path, Leaf | Unfit]
) -> Iterator[tuple[Path, bool]]:
    """Give every place of a document that holds something, and whether the schema declares it.

    What is not declared is one place, whatever is in it.
    """
    path = Path(steps)
    if steps and path not in declared:
        yield path, False
        return
    if not steps or declared[path] is Unfit.CONTAINER:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                is_entry = Path((*steps, name)) not in declared and Path((*steps, None)) in declared
                yield from _places(inner, (*steps, None if is_entry else name), declared)
            return
        if isinstance(value, list):
            for inner in value:
                yield from _places(inner, (*steps, None), declared)
            return
    yield path, True


def _by_path(fields: Iterable[Field]) -> dict[Path, Field]:
    return {each.path: each for each in fields}


def _grants(texts: Iterable[str]) -> Iterator[tuple[Path, str]]:
    for text in texts:
        try:
            yield parse_grant(text).path, text
        except ValueError:
            continue


def _part(granted: Field, fate: Fate, why: tuple[str, ...]) -> Part:
    return Part(
        path=granted.path,
        fate=fate,
        why=why,
        action=granted.action,
        category=granted.category,
        sensitivity=granted.sensitivity,
        effective=granted.effective,
    )
