"""A scope: the leaves a subscription may see of one event type, and how. The default is none.

A `Scope` is resolved: every grant has met its field's class and type in the schema, so shaping
needs nothing else. Its id is the hash of its content; deliveries keep the id they were filed under.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from dispatcher.model.action import ActionKind, parse_action
from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.ids import ScopeId
from dispatcher.model.path import Path, format_path


@dataclass(frozen=True, slots=True)
class Field:
    """One granted leaf: where it is, what is done with it before it leaves, what it is.

    `action` is written in normal form (see `model.action`); `sensitivity` is the field's own.
    `type` lists the scalar types allowed (`string`, `integer|null`), after the kind of container
    each `[*]` of the path runs over: `$.lines[*].sku` is `array/string`, `$.rates[*]` `map/number`.
    """

    path: Path
    action: str
    type: str
    category: Category
    sensitivity: Sensitivity

    @property
    def effective(self) -> Sensitivity:
        """The class of what leaves, after the action.

        The names of a map's entries leave as they are, so there it is the field's own.
        """
        if "map/" in self.type:
            return self.sensitivity
        return parse_action(self.action).effective(self.sensitivity)

    def tells_no_more_than(self, other: "Field") -> bool:
        """True when what leaves by this field could be made of what leaves by the other."""
        return self == other or (
            (self.path, self.type, self.category, self.sensitivity)
            == (other.path, other.type, other.category, other.sensitivity)
            and parse_action(self.action).tells_no_more_than(parse_action(other.action))
        )

    @property
    def line(self) -> str:
        """The field in one line, the same for the same field on every machine."""
        return " ".join(
            (format_path(self.path), self.action, self.type, self.category, self.sensitivity)
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """An immutable set of granted leaves, in a fixed order.

    `is_thin`: a letter names the event alone, and the granted leaves are fetched. `group_min`: a
    letter sums up many events, and tells nothing about fewer people than that.
    """

    id: ScopeId
    fields: tuple[Field, ...]
    is_thin: bool = False
    group_min: int = 0

    def __hash__(self) -> int:
        # The id is the hash of the content; scopes are looked up for every letter.
        return hash(self.id)

    @classmethod
    def of(cls, fields: Iterable[Field], *, is_thin: bool = False, group_min: int = 0) -> Self:
        """Make the scope of these fields; the order given does not matter."""
        ordered = tuple(sorted(fields, key=lambda field: field.line))
        lines = [field.line for field in ordered]
        if group_min:
            lines.insert(0, f"summary {group_min}")
        if is_thin:
            lines.insert(0, "thin")
        return cls(ScopeId(content_hash(lines)), ordered, is_thin, group_min)

    @property
    def fetched(self) -> "Scope":
        """What is fetched where a letter names the event alone: the same leaves, carried."""
        return Scope.of(self.fields)

    def intersect(self, other: "Scope") -> "Scope":
        """Give the scope that both allow. A retry or replay may only narrow."""
        if self.id == other.id:
            return self
        others = {field.path: field for field in other.fields}
        both = (_meet(field, others.get(field.path)) for field in self.fields)
        return Scope.of(
            (field for field in both if field is not None),
            is_thin=self.is_thin or other.is_thin,
            group_min=max(self.group_min, other.group_min),
        )


def _meet(mine: Field, theirs: Field | None) -> Field | None:
    """Give the one of two fields of a path that tells no more than the other."""
    if theirs is None:
        return None
    less = [one for one, other in ((mine, theirs), (theirs, mine)) if one.tells_no_more_than(other)]
    return min(less, key=lambda field: field.action, default=None)  # of two constants, one


@lru_cache(maxsize=8192)
def sensitive_fields(scope: Scope, floor: Sensitivity) -> frozenset[Field]:
    """Give the fields that leave at this class or above, and are not encrypted one by one.

    Letters share a scope, and few hold such a field.
    """
    return frozenset(
        field
        for field in scope.fields
        if floor.is_within(field.effective)
        and parse_action(field.action).kind is not ActionKind.ENCRYPT
    )


def content_hash(lines: Iterable[str]) -> str:
    """Hash lines of text: 128 bits are ample for naming, and keep rows narrow."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
