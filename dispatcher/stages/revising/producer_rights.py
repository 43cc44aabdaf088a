"""The part of the disclosure diff that says who may enqueue what, gained and lost.

Called by `diff` alone, with the same rights that enqueueing and fan-out judge by. A producer that
comes under another name gains all its rights anew; so does whoever is another producer from now on.
"""

from collections.abc import Iterator, Mapping

from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.producers import ALL, Rights, list_producers
from dispatcher.model.registry import Registry


def compare_producers(old: Registry, new: Registry) -> Iterator[Change]:
    """Give the rights to enqueue that are gained and lost.

    The first producer listed narrows, for so far everybody might enqueue what the registry knew.
    When the last one goes, everybody may.
    """
    was, now = list_producers(old.producers), list_producers(new.producers)
    if was.is_open and now.is_open:
        return
    if was.is_open:
        direction = Direction.NARROWS if old.event_types else Direction.NEUTRAL
        what = "nobody else may enqueue; so far, whoever may write to the outbox"
        yield Change(direction, Aspect.PRODUCER, "producers", what)
    elif now.is_open:
        what = "whoever may write to the outbox may enqueue every event type for every tenant"
        yield Change(Direction.WIDENS, Aspect.PRODUCER, "producers", what)
    else:
        for direction, here, there in (
            (Direction.WIDENS, now, was),
            (Direction.NARROWS, was, now),
        ):
            for name, rights in here.by_name.items():
                yield from _compare(direction, rights, there.by_name.get(name))
            yield from _claims(direction, "database role", here.by_role, there.by_role)
            yield from _claims(direction, "principal", here.by_principal, there.by_principal)


def _compare(direction: Direction, here: Rights, there: Rights | None) -> Iterator[Change]:
    for event_type in here.event_types:
        if there is None or not there.has_type(event_type):
            named = "every event type" if event_type == ALL else event_type
            yield _change(direction, here.producer, f"may enqueue {named}")
    for tenant in here.tenants:
        if there is None or not there.has_tenant(tenant):
            named = "every tenant" if tenant == ALL else tenant
            yield _change(direction, here.producer, f"may enqueue for {named}")


def _claims(
    direction: Direction, kind: str, here: Mapping[str, Rights], there: Mapping[str, Rights]
) -> Iterator[Change]:
    for who, rights in here.items():
        other = there.get(who)
        if other is None or other.producer != rights.producer:
            yield _change(direction, rights.producer, f"{kind} {who} enqueues as it")


def _change(direction: Direction, producer: str, what: str) -> Change:
    return Change(direction, Aspect.PRODUCER, f"producer {producer}", what)
