"""The secret headers of a letter: added in the last instant, where they are bound to its place.

Called by the courier right after the signature. They are opened beforehand, by the policy watch.
"""

from collections.abc import Mapping
from dataclasses import replace

from dispatcher.model.credential import destination_of
from dispatcher.model.headers import Headers
from dispatcher.model.letter import Departure, Stopped
from dispatcher.model.snapshot import Route

Opened = Mapping[tuple[str, str], Headers]
"""What goes beside a letter, by its subscription and where that leads."""


def with_credentials(
    departure: Departure | Stopped, opened: Opened, route: Route
) -> Departure | Stopped:
    """Add the headers that are bound to where this letter goes."""
    if not opened or isinstance(departure, Stopped):
        return departure
    more = opened.get((route.subscription, destination_of(route.endpoint)))
    return replace(departure, headers=departure.headers + more) if more else departure
