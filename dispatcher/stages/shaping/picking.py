"""Decode an event straight into what a scope grants, where the event is just as was declared.

Called by `shape`, before it goes the long way through `projection`. A scope is compiled to types
that have a member for each granted leaf and no other, so what was not granted is passed over by the
decoder and never becomes a value here. It takes an event whole or not at all:

- Every granted leaf is there, every value of a declared class, and no array empty. Then it gives
  what `projection` would build, byte for byte, and the same is noted on the draft.
- Of any other it gives nothing, and the draft is good for nothing.

What is passed over is not read closely: an event was judged when it came in. It never raises on any
document.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Final, Union

import msgspec
from msgspec import Meta

from dispatcher.model.scope import Scope
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.projection import LONG, note
from dispatcher.stages.shaping.transforms import DROPPED
from dispatcher.stages.shaping.trie import Leaf, Node, plant

# The leak guard reads longer numbers as text, so an event with one goes the long way.
_TYPES: Final[dict[type, Any]] = {
    int: Annotated[int, Meta(gt=-LONG, lt=LONG)],
    float: Annotated[float, Meta(gt=-LONG, lt=LONG)],
    type(None): None,
}
_WHOLE: Final = Annotated[float, Meta(gt=-LONG, lt=LONG, multiple_of=1)]

_Get = Callable[[Any], Any]


class _Unfit(Exception):
    """There is no type for this scope."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What is done with objects of one kind: texts noted, actions done, arrays gone through.

    `places` are those of an object's texts in the scope. `acts` say whose member, by which name, is
    the leaf.
    """

    texts: Callable[[Sequence[Any]], Iterable[str]]
    places: tuple[int, ...]
    acts: tuple[tuple[_Get, str, Leaf], ...]
    arrays: tuple[tuple[_Get, "_Row"], ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """How one scope is picked. `marks` has a byte for each field of the document."""

    decode: Callable[[bytes], Any]
    row: _Row
    marks: bytes


def pick(payload: bytes, draft: Draft) -> object | None:
    """Give what the draft's scope grants of an encoded event, or nothing."""
    way = _way(draft.scope)
    if way is None:
        return None
    try:
        picked: object = way.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not _go_through(way.row, (picked,), draft):
        return None
    draft.marks[: len(way.marks)] = way.marks
    return picked


def _go_through(row: _Row, objects: Sequence[Any], draft: Draft) -> bool:
    """Note the texts of objects, and do what is to be done with them; false where that fails."""
    if row.places:
        draft.raw += row.texts(objects)
        draft.places += row.places * len(objects)
    for owner, name, leaf in row.acts:
        for each in objects:
            if not _act(owner(each), name, leaf, draft):
                return False
    for get, inner in row.arrays:
        for each in objects:
            elements = get(each)
            draft.longest = max(draft.longest, len(elements))
            if not _go_through(inner, elements, draft):
                return False
    return True


def _act(owner: Any, name: str, leaf: Leaf, draft: Draft) -> bool:
    value = getattr(owner, name)
    if leaf.transform is None or (value is None and not leaf.hides_null):
        return True
    value = leaf.transform(value, draft)
    if value is DROPPED:
        return False
    setattr(owner, name, value)
    if leaf.is_raw:
        note(value, leaf.at, draft)
    return True


@lru_cache(maxsize=8192)
def _way(scope: Scope) -> _Way | None:
    root = plant(scope)
    try:
        decode = msgspec.json.Decoder(_type_of(root)).decode
    except (_Unfit, ValueError):  # there are names that no type can have
        return None
    return _Way(decode, _row_of(root), b"\1" * sum(1 for _ in root.places()))


def _type_of(node: Node) -> Any:
    """Give the type of what is granted at and below a node."""
    if node.leaf is not None:
        return _type_of_leaf(node.leaf)
    if node.elements is not None:
        inner = node.elements
        if inner.leaf is not None and inner.leaf.transform is not None:
            raise _Unfit
        return Annotated[list[_type_of(inner)], Meta(min_length=1)]  # type: ignore[misc]
    if not node.members:
        raise _Unfit
    return _struct(tuple((name, _type_of(inner)) for name, inner in node.ordered()))


def _type_of_leaf(leaf: Leaf) -> Any:
    types = [_TYPES.get(each, each) for each in sorted(leaf.classes, key=str)]
    if leaf.is_whole and float not in leaf.classes:
        types.append(_WHOLE)
    if not types:
        raise _Unfit
    return Union[tuple(types)]  # noqa: UP007 - of as many as there are


@lru_cache(maxsize=65536)
def _struct(members: tuple[tuple[str, Any], ...]) -> Any:
    """Make the type of an object; scopes that grant the same of it share it."""
    fields = [(f"f{at}", inner) for at, (_, inner) in enumerate(members)]
    names = {f"f{at}": name for at, (name, _) in enumerate(members)}
    return msgspec.defstruct("Granted", fields, rename=names, gc=False)


def _row_of(node: Node) -> _Row:
    texts: list[tuple[str, Leaf]] = []
    acts: list[tuple[_Get, str, Leaf]] = []
    arrays: list[tuple[_Get, _Row]] = []

    def look(node: Node, above: str, name: str) -> None:
        path = above + name
        if node.elements is not None:
            arrays.append((_getter(path), _row_of(node.elements)))
        elif node.leaf is None:
            for at, (_, inner) in enumerate(node.ordered()):
                look(inner, f"{path}.", f"f{at}")
        elif node.leaf.transform is not None:
            acts.append((_getter(above), name, node.leaf))
        elif str in node.leaf.classes:
            texts.append((path, node.leaf))

    look(node, "", "")
    return _Row(_reader(texts), tuple(leaf.at for _, leaf in texts), tuple(acts), tuple(arrays))


def _reader(texts: Sequence[tuple[str, Leaf]]) -> Callable[[Sequence[Any]], Iterable[str]]:
    """Give what reads the texts of many objects, one object after the other."""
    get = _getter(*(path for path, _ in texts))
    read: Callable[[Sequence[Any]], Iterable[Any]] = partial(map, get)
    if len(texts) > 1:  # then it gives several of each

        def read(objects: Sequence[Any]) -> Iterable[Any]:
            return chain.from_iterable(map(get, objects))

    if all(leaf.classes == {str} for _, leaf in texts):
        return read
    # Among them there may be a number, or nothing. In an empty text nothing is found.
    return lambda objects: (each if isinstance(each, str) else "" for each in read(objects))


def _getter(*paths: str) -> _Get:
    """Read members along dotted paths; the empty one is the object itself."""
    names = [path.strip(".") for path in paths]
    return attrgetter(*names) if any(names) else _itself


def _itself(value: Any) -> Any:
    return value
