"""What a reviewer may not see of a host that is listed for the first time (egress spec N4).

Told by `diff` beside the destination itself. A name that only looks like another is harmless when a
letter is sent, for hosts are compared exactly; it is the reviewer it must not slip past.
"""

from collections.abc import Iterator

from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.host import canonical_host
from dispatcher.model.lookalikes import describe, shapes_of
from dispatcher.model.registry import Registry
from dispatcher.stages.gates.listing import WILDCARD


def compare_hosts(old: Registry, new: Registry) -> Iterator[Change]:
    """Give a note for each host gained that is not what it may seem."""
    was, now = dict(_hosts(old)), dict(_hosts(new))
    gained = now.keys() - was.keys()
    if not gained:
        return
    shapes = shapes_of(now)
    for host in sorted(gained):
        for note in describe(host, shapes):
            where = f"connector {now[host]}"
            yield Change(Direction.WIDENS, Aspect.DESTINATION, where, note)


def _hosts(registry: Registry) -> Iterator[tuple[str, str]]:
    """Give every host that is listed, in canonical form, with a connector that lists it."""
    for connector in registry.connectors:
        for entry in connector.destinations:
            host = canonical_host(entry.host.removeprefix(WILDCARD))
            if host is not None:  # else a network, or what is refused anyway
                yield host, connector.name
