"""A scope: the leaves a subscription may see of one event type. The default is none.

A `Scope` is resolved: every grant has met its field's class and type in the schema, so shaping
needs nothing else. Its id is the hash of its content; deliveries keep the id they were filed under.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.ids import ScopeId
from dispatcher.model.path import Path, format_path


@dataclass(frozen=True, slots=True)
class Field:
    """One granted leaf: where it is, what may be done with it, what it is.

    `type` lists the scalar types allowed (`string`, `integer|null`), after the kind of container
    each `[*]` of the path runs over: `$.lines[*].sku` is `array/string`, `$.rates[*]` `map/number`.
    """

    path: Path
    action: str
    type: str
    category: Category
    sensitivity: Sensitivity

    @property
    def line(self) -> str:
        """The field in one line, the same for the same field on every machine."""
        return " ".join(
            (format_path(self.path), self.action, self.type, self.category, self.sensitivity)
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """An immutable set of granted leaves, in a fixed order."""

    id: ScopeId
    fields: tuple[Field, ...]

    def __hash__(self) -> int:
        # The id is the hash of the content; scopes are looked up for every letter.
        return hash(self.id)

    @classmethod
    def of(cls, fields: tuple[Field, ...]) -> Self:
        """Make the scope of these fields; the order given does not matter."""
        ordered = tuple(sorted(fields, key=lambda field: field.line))
        return cls(ScopeId(content_hash(field.line for field in ordered)), ordered)

    def intersect(self, other: "Scope") -> "Scope":
        """Give the scope that both allow. A retry or replay may only narrow."""
        if self.id == other.id:
            return self
        return Scope.of(tuple(field for field in self.fields if field in other.fields))


def content_hash(lines: Iterable[str]) -> str:
    """Hash lines of text: 128 bits are ample for naming, and keep rows narrow."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
