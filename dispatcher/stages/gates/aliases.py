"""Which names a host may go by on the way to its addresses, where the allowlist says so (D7).

Called by `admit` with the names of one answer, and by the judge of revisions. The rule is optional:
the addresses themselves are judged in any case. It never resolves anything.
"""

from collections.abc import Iterable

from dispatcher.model.host import parse_name
from dispatcher.model.registry import Destination


def is_alias_outside(host: str, aliases: Iterable[str], zones: tuple[str, ...]) -> bool:
    """True when one of the names lies in none of the zones; the host itself lies nowhere else.

    Without zones there is no rule.
    """
    if not zones:
        return False
    return not all(name == host or is_within_any(name, zones) for name in aliases)


def is_within_any(name: str, zones: Iterable[str]) -> bool:
    """True when a name is one of the zones, or lies below one, by whole labels."""
    return any(name == zone or name.endswith(f".{zone}") for zone in zones)


def granted_zones(entries: Iterable[Destination]) -> tuple[str, ...]:
    """Give the zones of the entries that list an endpoint today; one without any lifts the rule."""
    zones = [zones_of(each) for each in entries]
    if not all(zones):
        return ()
    return tuple(sorted(set[str]().union(*zones)))


def zones_of(entry: Destination) -> tuple[str, ...]:
    """Give the zones of one entry as answers write names."""
    return tuple(map(parse_name, entry.alias_zones))
