"""A scope as a trie of its paths, so that what paths share is gone through once.

Made here for `projection` and `picking`, which both build what a scope grants: they take the same
leaves in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dispatcher.model.action import PASS, ActionKind, parse_action
from dispatcher.model.path import SUBJECT
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.transforms import Transform, compile_action

_CLASSES: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "null": frozenset({type(None)}),
}


@dataclass(frozen=True, slots=True)
class Leaf:
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


@dataclass(slots=True)
class Node:
    """One step of the trie. A scope of one schema fills exactly one of the four."""

    leaf: Leaf | None = None
    members: dict[str, "Node"] = field(default_factory=dict)
    elements: "Node | None" = None
    entries: "Node | None" = None

    @property
    def is_plain(self) -> bool:
        """True for a leaf of which a look at the value's class is all there is to do."""
        return self.leaf is not None and self.leaf.transform is None and not self.leaf.is_whole

    def ordered(self) -> list[tuple[str, "Node"]]:
        """Give the members in the order in which they leave: plain leaves before all others."""
        return sorted(self.members.items(), key=lambda member: not member[1].is_plain)

    def places(self) -> Iterator[int]:
        """Give the places of all leaves at and below this node."""
        if self.leaf is not None:
            yield self.leaf.at
        for node in (*self.members.values(), self.elements, self.entries):
            if node is not None:
                yield from node.places()


def plant(scope: Scope) -> Node:
    """Make the trie of a scope's fields in the document; the subject is not in it."""
    root = Node()
    for at, granted in enumerate(scope.fields):
        if granted.path != SUBJECT:
            _plant(root, granted, at)
    return root


def leaf_of(granted: Field, at: int) -> Leaf:
    """Make the leaf of one field by itself."""
    return _leaf(granted, at, granted.type)


def _plant(node: Node, granted: Field, at: int) -> None:
    *kinds, types = granted.type.split("/")
    containers = iter(kinds)
    for step in granted.path:
        if step is not None:
            node = node.members.setdefault(step, Node())
        elif next(containers, "") == "map":
            node.entries = node.entries or Node()
            node = node.entries
        else:
            node.elements = node.elements or Node()
            node = node.elements
    node.leaf = _leaf(granted, at, types)


def _leaf(granted: Field, at: int, types: str) -> Leaf:
    names = types.split("|")
    action = parse_action(granted.action)
    return Leaf(
        at=at,
        classes=frozenset[type]().union(*(_CLASSES.get(name, frozenset()) for name in names)),
        is_whole="integer" in names,
        transform=None if action == PASS or action.kind.sums_up else compile_action(action),
        is_raw=action.kind.is_raw,
        hides_null=action.kind in (ActionKind.CONST, ActionKind.ENCRYPT),
    )
