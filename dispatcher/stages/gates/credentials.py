"""Do the credentials of a subscription still go where they were entered for?

Asked whenever a snapshot is compiled. Whoever could point a subscription elsewhere would otherwise
be handed the secrets that are stored for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dispatcher.model.credential import Credential, destination_of
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.headers import folded
from dispatcher.model.registry import Registry, Subscription


@dataclass(frozen=True, slots=True)
class Lacks:
    """Subscriptions that nothing can be sent for: `unsigned` have no key that signs now.

    `unbound` have a stored header that is not for where they lead, or is there twice.
    """

    unsigned: frozenset[str] = frozenset()
    unbound: frozenset[str] = frozenset()


LACKS_NOTHING: Final = Lacks()


def find_unbound(registry: Registry, credentials: Iterable[Credential]) -> frozenset[str]:
    """List the subscriptions with a header that was approved once, and cannot be sent as it was.

    It is not for where they lead, or the registry has a header of that name for them by now.
    """
    asked: set[tuple[str, str]] = set()
    bound: set[tuple[str, str]] = set()
    places: dict[str, tuple[str, frozenset[str]]] = {}
    known = {each.name: each for each in registry.subscriptions}
    for each in credentials:
        name = each.subscription
        if each.approved_us is None or name not in known:
            continue
        if name not in places:
            places[name] = _destination(known[name].url), header_names(known[name])
        destination, taken = places[name]
        asked.add((name, each.header))
        if each.is_bound(destination) and folded(each.header) not in taken:
            bound.add((name, each.header))
    return frozenset(name for name, _ in asked - bound)


def header_names(held: Subscription) -> frozenset[str]:
    """Give the names, folded, of the headers that the registry has for a subscription."""
    compat = (held.compat_signature.header,) if held.compat_signature is not None else ()
    return frozenset(map(folded, (*held.headers, *compat)))


def _destination(url: str) -> str:
    try:
        return destination_of(parse_endpoint(url))
    except ValueError:  # it gets no route either
        return ""
