"""Build what a scope grants of a document. Built from nothing: never copied and cut.

Called by `summary`, and by `shape` for what `picking` leaves to it. A scope is compiled once to
nested closures along the trie of its paths. The rules, all on the side of sending less:

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

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.folding import write_number
from dispatcher.stages.shaping.transforms import DROPPED
from dispatcher.stages.shaping.trie import Leaf, Node, leaf_of, plant

ABSENT: Final = object()
LONG: Final = 10**8
"""Numbers of this size and more may be numbers of something; the leak guard reads them as text."""
_LEAST: Final = -LONG
_NUMBERS: Final = frozenset({int, float})

_Build = Callable[[object, Draft], object]
"""Takes a value and the draft that is noted on; gives what is granted of it, or absent."""


def project(document: object, draft: Draft) -> object:
    """Give what the draft's scope grants of a decoded document, noting what was done."""
    built = _compile_scope(draft.scope)(document, draft)
    return {} if built is ABSENT else built


def apply_action(granted: Field, at: int, value: object, draft: Draft) -> object:
    """Give what a field's action makes of one value that is not in the document, or absent."""
    return _compile_apart(granted, at)(value, draft)


@lru_cache(maxsize=8192)
def _compile_apart(granted: Field, at: int) -> _Build:
    return _compile_leaf(leaf_of(granted, at))


@lru_cache(maxsize=8192)
def _compile_scope(scope: Scope) -> _Build:
    return _compile_members(plant(scope))


def _compile(node: Node) -> _Build:
    if node.leaf is not None:
        return _compile_leaf(node.leaf)
    if node.elements is not None:
        return _compile_elements(node.elements)
    if node.entries is not None:
        return _compile_entries(node.entries)
    return _compile_members(node)


def _compile_leaf(leaf: Leaf) -> _Build:
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


def _compile_members(node: Node) -> _Build:
    # Leaves that need only a look at the class are taken in place: a call each doubles the cost.
    leaves = tuple(
        (name, str in inner.leaf.classes, inner.leaf.classes, inner.leaf.at)
        for name, inner in node.ordered()
        if inner.is_plain and inner.leaf is not None
    )
    branches = tuple(
        (name, _compile(inner)) for name, inner in node.ordered() if not inner.is_plain
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


def _compile_elements(inner: Node) -> _Build:
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


def _compile_entries(inner: Node) -> _Build:
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
