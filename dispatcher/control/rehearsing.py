"""Writes a rehearsed letter exactly as a worker would, for whoever shows it.

Asked by `previews`. Everything is asked of the functions that stand on the road: shaping, sealing,
the signature, the bytes of the request. Nothing is sent from here, and nothing written down. What
it gives holds a valid signature, and must not be shown as it is.
"""

from dataclasses import dataclass, field
from typing import Final

from dispatcher.model.headers import Headers
from dispatcher.model.keys import SigningKey
from dispatcher.model.letter import Admitted, Sealed, Shaped, Stopped
from dispatcher.model.verdict import Refusal, refuse
from dispatcher.network.wire import write_prefix, write_request
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.signature import depart
from dispatcher.stages.shaping.shape import shape
from dispatcher.stages.shaping.tokens import Tokens, TokensWanted
from dispatcher.vault.partner_encryption import encrypt

_SHOWN: Final = frozenset({"webhook-id", "webhook-timestamp", "content-digest", "signature-input"})
"""Of the headers made in the last instant, those that vouch for nothing."""


@dataclass(frozen=True, slots=True)
class Written:
    """One letter as it would leave at one instant. `headers` are those of the instant."""

    sealed: Sealed = field(repr=False)
    prefix: bytes = field(repr=False)
    headers: Headers = field(repr=False)
    refusal: Refusal | None = None

    def request(self, headers: Headers | None = None) -> bytes:
        """Give every byte of the request, with other headers of the instant if they are given."""
        chosen = self.headers if headers is None else headers
        return write_request(self.prefix, chosen, self.sealed.body)


def write_letter(
    admitted: Admitted, tokens: Tokens, keys: tuple[SigningKey, ...], now_seconds: int
) -> Written | Refusal | TokensWanted:
    """Shape, seal, sign and write: what the courier does, and the transport, without a connection.

    Without a key the letter is written unsigned, and `refusal` says why it would not leave.
    """
    shaped = shape(admitted, tokens)
    if not isinstance(shaped, Shaped):
        return shaped
    sealed, route = seal(shaped, encrypt), admitted.cleared.route
    if isinstance(sealed, Refusal):
        return sealed
    departure = depart(sealed, keys, now_seconds)
    prefix = write_prefix(route.endpoint, route.headers, sealed.content_type)
    if isinstance(departure, Stopped):
        return Written(sealed, prefix, (), refuse(departure.reason))
    return Written(sealed, prefix, departure.headers)


def without_signature(headers: Headers, keys: tuple[SigningKey, ...]) -> Headers:
    """Give the headers of an instant with nothing in them that would vouch for a body."""
    made = " ".join(f"(made with key {key.fingerprint} when it is sent)" for key in keys)
    return tuple((name, value if name in _SHOWN else made) for name, value in headers)
