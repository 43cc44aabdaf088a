"""Do the credentials of a subscription still go where they were entered for?

Asked whenever a snapshot is compiled. Whoever could point a subscription elsewhere would otherwise
be handed the secrets that are stored for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dispatcher.model.credential import Credential, destination_of
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.registry import Registry


@dataclass(frozen=True, slots=True)
class Lacks:
    """Subscriptions that nothing can be sent for: `unsigned` have no key that signs now.

    `unbound` have a stored header that is not for where they lead.
    """

    unsigned: frozenset[str] = frozenset()
    unbound: frozenset[str] = frozenset()


LACKS_NOTHING: Final = Lacks()


def find_unbound(registry: Registry, credentials: Iterable[Credential]) -> frozenset[str]:
    """List the subscriptions with a header that was approved once, and not for where they lead."""
    asked: set[tuple[str, str]] = set()
    bound: set[tuple[str, str]] = set()
    destinations: dict[str, str] = {}
    known = {each.name: each.url for each in registry.subscriptions}
    for each in credentials:
        if each.approved_us is None or each.subscription not in known:
            continue
        name = each.subscription
        if name not in destinations:
            destinations[name] = _destination(known[name])
        asked.add((name, each.header))
        if each.is_bound(destinations[name]):
            bound.add((name, each.header))
    return frozenset(name for name, _ in asked - bound)


def _destination(url: str) -> str:
    try:
        return destination_of(parse_endpoint(url))
    except ValueError:  # it gets no route either
        return ""
