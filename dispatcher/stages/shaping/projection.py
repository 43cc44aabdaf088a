"""Build what a scope grants of a document. Built from nothing: never copied and cut.

Called by `shape`. A scope is compiled once to nested closures along a trie of its paths, so shared
prefixes are walked once. The rules, all on the side of sending less:

- Only a scalar of a granted type is taken. A container or another type at a granted leaf is
  dropped.
- What is missing stays absent. An object, map entry or array comes into being only with a granted
  leaf in it, so the ledger's list of disclosed fields tells everything that left.
- Within such an array, an element with nothing granted in it is `{}` or `[]`, whatever it was, so
  positions keep their meaning. A scalar element of another type is dropped.

It never raises on any document.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from dispatcher.model.scope import Field, Scope

_ABSENT: Final = object()
_CLASSES: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "null": frozenset({type(None)}),
}

_Build = Callable[[object, bytearray], object]
"""Takes a value and the marks of what was disclosed; gives what is granted of it, or absent."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One granted leaf: its place in the scope and which classes of value it lets pass."""

    at: int
    classes: frozenset[type]
    is_whole: bool


@dataclass(slots=True)
class _Node:
    """One step of the trie. A scope of one schema fills exactly one of the four."""

    leaf: _Leaf | None = None
    members: dict[str, "_Node"] = field(default_factory=dict)
    elements: "_Node | None" = None
    entries: "_Node | None" = None


def project(document: object, scope: Scope) -> tuple[object, tuple[Field, ...]]:
    """Give what the scope grants of a decoded document, and the fields really disclosed."""
    marks = bytearray(len(scope.fields))
    built = _compile_scope(scope)(document, marks)
    if built is _ABSENT:
        return {}, ()
    if all(marks):
        return built, scope.fields
    return built, tuple(
        granted for granted, is_out in zip(scope.fields, marks, strict=True) if is_out
    )


@lru_cache(maxsize=8192)
def _compile_scope(scope: Scope) -> _Build:
    root = _Node()
    for at, granted in enumerate(scope.fields):
        _plant(root, granted, at)
    return _compile_members(root)


def _plant(node: _Node, granted: Field, at: int) -> None:
    *kinds, types = granted.type.split("/")
    containers = iter(kinds)
    for step in granted.path:
        if step is not None:
            node = node.members.setdefault(step, _Node())
        elif next(containers, "") == "map":
            node.entries = node.entries or _Node()
            node = node.entries
        else:
            node.elements = node.elements or _Node()
            node = node.elements
    names = types.split("|")
    classes = frozenset[type]().union(*(_CLASSES.get(name, frozenset()) for name in names))
    node.leaf = _Leaf(at, classes, "integer" in names)


def _compile(node: _Node) -> _Build:
    if node.leaf is not None:
        return _compile_leaf(node.leaf)
    if node.elements is not None:
        return _compile_elements(node.elements)
    if node.entries is not None:
        return _compile_entries(node.entries)
    return _compile_members(node)


def _compile_leaf(leaf: _Leaf) -> _Build:
    at, classes, is_whole = leaf.at, leaf.classes, leaf.is_whole

    def build(value: object, marks: bytearray) -> object:
        if value.__class__ in classes or (
            is_whole and isinstance(value, float) and value.is_integer()
        ):
            marks[at] = 1
            return value
        return _ABSENT

    return build


def _compile_members(node: _Node) -> _Build:
    # Leaves that need only a look at the class are taken in place: a call each doubles the cost.
    leaves = tuple(
        (name, inner.leaf.classes, inner.leaf.at)
        for name, inner in node.members.items()
        if inner.leaf is not None and not inner.leaf.is_whole
    )
    plain = {name for name, _, _ in leaves}
    branches = tuple(
        (name, _compile(inner)) for name, inner in node.members.items() if name not in plain
    )

    def build(value: object, marks: bytearray) -> object:
        if not isinstance(value, dict):
            return _ABSENT
        take = value.get
        built = {}
        for name, classes, at in leaves:
            found = take(name, _ABSENT)
            if found.__class__ in classes:
                built[name] = found
                marks[at] = 1
        for name, make in branches:
            part = make(take(name, _ABSENT), marks)
            if part is not _ABSENT:
                built[name] = part
        return built or _ABSENT

    return build


def _compile_elements(inner: _Node) -> _Build:
    make = _compile(inner)
    is_scalar = inner.leaf is not None
    blank: type = list if inner.elements is not None else dict

    def build(value: object, marks: bytearray) -> object:
        if not isinstance(value, list):
            return _ABSENT
        parts = [make(element, marks) for element in value]
        if all(part is _ABSENT for part in parts):
            return _ABSENT
        if is_scalar:
            return [part for part in parts if part is not _ABSENT]
        return [blank() if part is _ABSENT else part for part in parts]

    return build


def _compile_entries(inner: _Node) -> _Build:
    make = _compile(inner)

    def build(value: object, marks: bytearray) -> object:
        if not isinstance(value, dict):
            return _ABSENT
        parts = ((name, make(entry, marks)) for name, entry in value.items())
        return {name: part for name, part in parts if part is not _ABSENT} or _ABSENT

    return build
