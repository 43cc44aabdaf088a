"""What a destination asks of TLS beyond what is always so, and the peer that was met there.

Part of a destination's document: read by the gates, compiled into a route, obeyed by `network`.
Nothing here can make verification weaker than the public roots and the host's own name: an own
authority takes the place of the public roots, and pins come on top.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Final, Literal, Self

from dispatcher.model.paper import STRICT

ID_CHARACTERS: Final = 32
_BLOCK: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+)-----END CERTIFICATE-----"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The TLS terms of a destination.

    `ca` holds the PEM certificates of the authorities that alone are trusted there; empty: the
    public ones. `pins` are `sha256/BASE64` of the public keys (SubjectPublicKeyInfo) that the
    partner's own certificate may have, through `pins_until`; through `pins_report_until` another
    key is only reported. `identity` names the client certificate that workers show.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    minimum: Literal["1.2", "1.3"] = "1.2"
    ca: str = ""
    pins: tuple[str, ...] = ()
    pins_until: date | None = None
    pins_report_until: date | None = None
    identity: str = ""

    @property
    def authorities(self) -> frozenset[str]:
        """The certificates of `ca`, each without the line breaks it happens to be written with."""
        return frozenset("".join(found.split()) for found in _BLOCK.findall(self.ca))

    @property
    def is_reporting(self) -> bool:
        """True while a wrong pin is only reported, in terms that were taken `on` a day."""
        return bool(self.pins) and self.pins_report_until is not None

    def on(self, today: date) -> Self:
        """Give the terms of one day: a time of reporting that is over is left out."""
        if self.pins_report_until is None or today <= self.pins_report_until:
            return self
        return replace(self, pins_report_until=None)

    def has_pin(self, spki: str) -> bool:
        """True when this public key may be the partner's: one of the pins, or there are none."""
        return not self.pins or spki in self.pins


@dataclass(frozen=True, slots=True)
class Peer:
    """Who answered a connection: the address, and what the certificate says.

    `spki` is the public key as pins are written. Without TLS there is the address alone; what
    cannot be read of a certificate is left empty.
    """

    address: str
    issuer: str = ""
    not_after_us: int = 0
    spki: str = ""


@dataclass(frozen=True, slots=True)
class Met:
    """A peer that was met for one host of a connector; `id` is the hash of all of it."""

    id: str
    connector: str
    host: str
    peer: Peer

    @classmethod
    def at(cls, connector: str, host: str, peer: Peer) -> Self:
        """Name what was met by its content."""
        facts = (connector, host, peer.address, peer.issuer, str(peer.not_after_us), peer.spki)
        digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
        return cls(digest[:ID_CHARACTERS], connector, host, peer)
