"""How the registry's objects lie in files: the kinds there are, and the one form of a schema.

Shared by `control.documents`, which checks files before they are applied, and `testing.files`,
which reads what was checked. Pure: texts and documents in, a registry out.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dispatcher.model.registry import (
    Connector,
    EventType,
    Policy,
    Producer,
    Registry,
    Subscription,
)

KINDS: Final[Mapping[str, type]] = {
    "event_type": EventType,
    "connector": Connector,
    "subscription": Subscription,
    "producer": Producer,
    "policy": Policy,
}
"""What a table of a file is called, and what it is."""
SINGLE: Final = "policy"
"""The kind of which there is one in all the files."""


def canonical_schema(text: str) -> str:
    """Write a schema in its one form; `ValueError` for what is not plainly JSON."""
    schema = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        name = next(name for name, count in Counter(n for n, _ in members).items() if count > 1)
        raise ValueError(f"a member is named twice: {name!r}")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def assemble(found: Mapping[str, Sequence[Any]]) -> Registry:
    """Make a registry of its objects, by kind; the order of the files does not matter."""

    def named(kind: str) -> tuple[Any, ...]:
        return tuple(sorted(found.get(kind, ()), key=lambda each: each.name))

    return Registry(
        event_types=named("event_type"),
        connectors=named("connector"),
        subscriptions=named("subscription"),
        producers=named("producer"),
        policy=next(iter(found.get(SINGLE, ())), Policy()),
    )
