"""The part of the disclosure diff that says who may fetch, for how long a ticket counts, how often.

Called by `diff`. A credential that changes is one gained and one lost: whoever holds the new one
may fetch.
"""

from collections.abc import Iterator

from dispatcher.model.caller import Caller
from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Registry
from dispatcher.model.snapshot import Route


def compare_callers(old: Registry, new: Registry) -> Iterator[Change]:
    """Give the credentials of active connectors gained and lost."""
    was, now = _callers(old), _callers(new)
    for direction, those in ((Direction.WIDENS, now - was), (Direction.NARROWS, was - now)):
        for connector, caller in those:
            what = f"{caller.kid} may fetch by {caller.kind} {caller.pin}".rstrip()
            yield Change(direction, Aspect.RECIPIENT, f"connector {connector}", what)


def compare_tickets(where: str, was: Route, now: Route) -> Iterator[Change]:
    """Give how long a ticket of this route counts, and for how many reads, where that is other."""
    for shown, before, after in (
        ("seconds", was.ticket_seconds, now.ticket_seconds),
        ("reads", was.ticket_uses, now.ticket_uses),
    ):
        if before != after:
            direction = Direction.WIDENS if after > before else Direction.NARROWS
            what = f"a ticket counts for {after} {shown}, was {before}"
            yield Change(direction, Aspect.PERIOD, where, what)


def _callers(registry: Registry) -> set[tuple[str, Caller]]:
    return {
        (connector.name, caller)
        for connector in registry.connectors
        if connector.state is ConnectorState.ACTIVE
        for caller in connector.callers
    }
