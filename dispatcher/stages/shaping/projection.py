"""Build what a scope grants of a document. Built from nothing: never copied and cut.

Called by `shape`. A scope is compiled once to nested closures along a trie of its paths, so shared
prefixes are walked once. The rules, all on the side of sending less:

- Only a scalar of a granted type is taken, and its action done to it. A container or another type
  at a granted leaf is dropped, and noted.
- What is missing stays absent, and `null` stays `null`, unless a constant or a ciphertext hides it.
  An object, map entry or array comes into
  being only with a granted leaf in it, so the ledger's list of disclosed fields tells everything
  that left.
- Within such an array, an element with nothing granted in it is `{}` or `[]`, whatever it was, so
  positions keep their meaning. A scalar element of another type is dropped.

It never raises on any document.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from dispatcher.model.action import PASS, ActionKind, parse_action
from dispatcher.model.path import SUBJECT
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.folding import write_number
from dispatcher.stages.shaping.transforms import DROPPED, Transform, compile_action

ABSENT: Final = object()
LONG: Final = 10**8
"""Numbers of this size and more may be numbers of something; the leak guard reads them as text."""
_LEAST: Final = -LONG

_CLASSES: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "null": frozenset({type(None)}),
}
_NUMBERS: Final = frozenset({int, float})

_Build = Callable[[object, Draft], object]
"""Takes a value and the draft that is noted on; gives what is granted of it, or absent."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One granted leaf: its place in the scope, the classes of value it takes, and its action.

    `is_raw`: what leaves is, or begins with, the value itself. `hides_null`: `null` would tell of a
    value that nothing else is to be told of.
    """

    at: int
    classes: frozenset[type]
    is_whole: bool
    transform: Transform | None
    is_raw: bool
    hides_null: bool

    @property
    def is_plain(self) -> bool:
        """True when a look at the value's class is all there is to do."""
        return self.transform is None and not self.is_whole


@dataclass(slots=True)
class _Node:
    """One step of the trie. A scope of one schema fills exactly one of the four."""

    leaf: _Leaf | None = None
    members: dict[str, "_Node"] = field(default_factory=dict)
    elements: "_Node | None" = None
    entries: "_Node | None" = None

    def places(self) -> Iterator[int]:
        """Give the places of all leaves at and below this node."""
        if self.leaf is not None:
            yield self.leaf.at
        for node in (*self.members.values(), self.elements, self.entries):
            if node is not None:
                yield from node.places()


def project(document: object, draft: Draft) -> object:
    """Give what the draft's scope grants of a decoded document, noting what was done."""
    built = _compile_scope(draft.scope)(document, draft)
    return {} if built is ABSENT else built


def apply_action(granted: Field, at: int, value: object, draft: Draft) -> object:
    """Give what a field's action makes of one value that is not in the document, or absent."""
    return _compile_apart(granted, at)(value, draft)


@lru_cache(maxsize=8192)
def _compile_apart(granted: Field, at: int) -> _Build:
    return _compile_leaf(_leaf(granted, at, granted.type))


@lru_cache(maxsize=8192)
def _compile_scope(scope: Scope) -> _Build:
    root = _Node()
    for at, granted in enumerate(scope.fields):
        if granted.path != SUBJECT:
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
    node.leaf = _leaf(granted, at, types)


def _leaf(granted: Field, at: int, types: str) -> _Leaf:
    names = types.split("|")
    action = parse_action(granted.action)
    return _Leaf(
        at=at,
        classes=frozenset[type]().union(*(_CLASSES.get(name, frozenset()) for name in names)),
        is_whole="integer" in names,
        transform=None if action == PASS or action.kind.sums_up else compile_action(action),
        is_raw=action.kind.is_raw,
        hides_null=action.kind in (ActionKind.CONST, ActionKind.ENCRYPT),
    )


def _compile(node: _Node) -> _Build:
    if node.leaf is not None:
        return _compile_leaf(node.leaf)
    if node.elements is not None:
        return _compile_elements(node.elements)
    if node.entries is not None:
        return _compile_entries(node.entries)
    return _compile_members(node)


def _compile_leaf(leaf: _Leaf) -> _Build:
    at, classes, is_whole, transform = leaf.at, leaf.classes, leaf.is_whole, leaf.transform
    is_raw, hides_null = leaf.is_raw, leaf.hides_null

    def build(value: object, draft: Draft) -> object:
        if value.__class__ not in classes and not (
            is_whole and isinstance(value, float) and value.is_integer()
        ):
            if value is not ABSENT:
                draft.dropped.add(at)
            return ABSENT
        if transform is not None and (value is not None or hides_null):
            value = transform(value, draft)
            if value is DROPPED:
                draft.dropped.add(at)
                return ABSENT
        draft.marks[at] = 1
        if is_raw:
            note(value, at, draft)
        return value

    return build


def note(value: object, at: int, draft: Draft) -> None:
    """Note a value that leaves as it is, where it is text or could be read as such."""
    if isinstance(value, str):
        draft.raw.append(value)
    elif value.__class__ in _NUMBERS and abs(value) >= LONG:  # type: ignore[arg-type]
        draft.raw.append(write_number(value))  # type: ignore[arg-type]
    else:
        return
    draft.places.append(at)


def _compile_members(node: _Node) -> _Build:
    # Leaves that need only a look at the class are taken in place: a call each doubles the cost.
    leaves = tuple(
        (name, str in inner.leaf.classes, inner.leaf.classes, inner.leaf.at)
        for name, inner in node.members.items()
        if inner.leaf is not None and inner.leaf.is_plain
    )
    plain = {leaf[0] for leaf in leaves}
    branches = tuple(
        (name, _compile(inner)) for name, inner in node.members.items() if name not in plain
    )
    below = frozenset(node.places())

    def build(value: object, draft: Draft) -> object:
        if not isinstance(value, dict):
            return _miss(value, below, draft)
        take, marks, keep, place = value.get, draft.marks, draft.raw.append, draft.places.append
        built = {}
        for name, is_text, classes, at in leaves:
            found = take(name, ABSENT)
            kind = found.__class__
            if kind is str and is_text:
                keep(found)
                place(at)
            elif kind not in classes:
                if found is not ABSENT:
                    draft.dropped.add(at)
                continue
            elif kind in _NUMBERS and not _LEAST < found < LONG:
                keep(write_number(found))
                place(at)
            built[name] = found
            marks[at] = 1
        for name, make in branches:
            part = make(take(name, ABSENT), draft)
            if part is not ABSENT:
                built[name] = part
        return built or ABSENT

    return build


def _compile_elements(inner: _Node) -> _Build:
    make = _compile(inner)
    is_scalar = inner.leaf is not None
    blank: type = list if inner.elements is not None else dict
    below = frozenset(inner.places())

    def build(value: object, draft: Draft) -> object:
        if not isinstance(value, list):
            return _miss(value, below, draft)
        parts = []
        is_there = False
        for element in value:
            part = make(element, draft)
            if part is not ABSENT:
                is_there = True
                parts.append(part)
            elif not is_scalar:
                parts.append(blank())
        if not is_there:
            return ABSENT
        draft.longest = max(draft.longest, len(value))
        return parts

    return build


def _compile_entries(inner: _Node) -> _Build:
    make = _compile(inner)
    below = frozenset(inner.places())
    first = min(below)

    def build(value: object, draft: Draft) -> object:
        if not isinstance(value, dict):
            return _miss(value, below, draft)
        parts = ((name, make(entry, draft)) for name, entry in value.items())
        built = {name: part for name, part in parts if part is not ABSENT}
        # The names of a map are data too, and leave as they are.
        draft.raw.extend(built)
        draft.places.extend(first for _ in built)
        draft.longest = max(draft.longest, len(built))
        return built or ABSENT

    return build


def _miss(value: object, below: frozenset[int], draft: Draft) -> object:
    """Note that there is something else where a container was declared; `null` is nothing."""
    if value is not ABSENT and value is not None:
        draft.dropped |= below
    return ABSENT
