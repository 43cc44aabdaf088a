"""A header that a partner wants with every request, and that is a secret: an API key, a token.

It is bound to the place it was entered for. Where the endpoint of its subscription is another, it
is not sent, and nothing else is either. The value itself is not here.
"""

from dataclasses import dataclass

from dispatcher.model.endpoint import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One header of one subscription: who entered it, and who agreed.

    `destination` is the place it is for. Without an approval it is sent nowhere.
    """

    id: str
    subscription: str
    header: str
    destination: str
    entered_by: str
    entered_us: int
    approved_by: str | None = None
    approved_us: int | None = None
    destroyed_us: int | None = None

    def is_bound(self, destination: str) -> bool:
        """True where it may be sent to this place."""
        is_there = self.approved_us is not None and self.destroyed_us is None
        return is_there and self.destination == destination


def destination_of(endpoint: Endpoint) -> str:
    """Say what a credential is bound to: scheme, host, port and path."""
    return f"{endpoint.origin}{endpoint.path}"
