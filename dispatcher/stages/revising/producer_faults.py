"""What is wrong with the producers: what they may enqueue, and who claims to be which of them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from dispatcher.model.producers import ALL
from dispatcher.model.registry import Producer
from dispatcher.stages.revising.fault import Fault

ROLE_BYTES_LIMIT: Final = 63
"""PostgreSQL cuts a longer name off, so no session is ever known by one."""


def check_producers(producers: Sequence[Producer], event_types: Collection[str]) -> Iterator[Fault]:
    """Find every fault of each producer, and whoever two of them claim."""
    for producer in producers:
        yield from _check_producer(producer, event_types)
    yield from _check_claims("database_roles", "role", producers)
    yield from _check_claims("principals", "principal", producers)


def _check_producer(producer: Producer, event_types: Collection[str]) -> Iterator[Fault]:
    of = f"producer {producer.name!r}"
    if not producer.event_types:
        fix = f"name event types of this registry, or {ALL!r} for all"
        yield Fault(f"{of}: event_types", "is empty, so it may enqueue nothing", fix)
    for name in producer.event_types:
        if name != ALL and name not in event_types:
            where = f"{of}: event_types {name!r}"
            fix = f"name an event type of this registry, or {ALL!r} for all"
            yield Fault(where, "there is no such event type", fix)
    if not producer.tenants:
        fix = f"name tenants, or {ALL!r} for all"
        yield Fault(f"{of}: tenants", "is empty, so it may enqueue for nobody", fix)
    for key in ("tenants", "database_roles", "principals"):
        if any(not each.strip() for each in getattr(producer, key)):
            yield Fault(f"{of}: {key}", "a name is blank", "write the name, or take it out")
    for role in producer.database_roles:
        if len(role.encode(errors="replace")) > ROLE_BYTES_LIMIT:
            fix = f"write the role as PostgreSQL knows it: at most {ROLE_BYTES_LIMIT} bytes"
            yield Fault(f"{of}: database_roles {role!r}", "no role has so long a name", fix)


def _check_claims(key: str, kind: str, producers: Sequence[Producer]) -> Iterator[Fault]:
    """Find who is claimed twice, so that nobody knows which producer they are."""
    claims: dict[str, list[str]] = defaultdict(list)
    for producer in producers:
        for each in getattr(producer, key):
            claims[each].append(producer.name)
    for each, names in claims.items():
        if len(names) > 1:
            claimed = ", ".join(repr(name) for name in dict.fromkeys(names))
            where = f"producer {names[-1]!r}: {key} {each!r}"
            why = f"claimed {len(names)} times: by {claimed}"
            yield Fault(where, why, f"let each {kind} be one producer, written once")
