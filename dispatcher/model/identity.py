"""Client certificates: which one is shown for an identity, and where each is in its life.

An identity is the name that destinations ask for; it may have several certificates, so that one
takes the place of another without a gap. What is shown is worked out from the times they bear and
from what was revoked. Asked by workers and by whoever lists them. Nothing here knows a private key.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from dispatcher.model.keys import KeyState

FINGERPRINT_CHARACTERS: Final = 16
"""How many hexadecimal digits of the SHA-256 of a certificate name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A client certificate of one identity, by its fingerprint, and when it is valid."""

    identity: str
    fingerprint: str
    not_before_us: int
    not_after_us: int

    @property
    def name(self) -> str:
        """What it is called among the certificates of all identities."""
        return f"{self.identity}/{self.fingerprint}"

    def is_valid(self, now_us: int) -> bool:
        """True between its beginning and its end."""
        return self.not_before_us <= now_us < self.not_after_us


def choose_shown(
    certificates: Iterable[ClientCertificate], revoked: Collection[str], now_us: int
) -> dict[str, ClientCertificate]:
    """Give the certificate that is shown for each identity: the newest valid one, if any."""
    found: dict[str, ClientCertificate] = {}
    for each in certificates:
        if each.fingerprint in revoked or not each.is_valid(now_us):
            continue
        other = found.get(each.identity)
        if other is None or _age(each) >= _age(other):
            found[each.identity] = each
    return found


def state_of(
    certificate: ClientCertificate,
    shown: Iterable[ClientCertificate],
    revoked: Collection[str],
    now_us: int,
) -> KeyState:
    """Say where a certificate is in its life: `retiring` is valid, but a newer one is shown."""
    if certificate.fingerprint in revoked:
        return KeyState.REVOKED
    if now_us >= certificate.not_after_us:
        return KeyState.RETIRED
    if now_us < certificate.not_before_us:
        return KeyState.PENDING
    return KeyState.ACTIVE if certificate in shown else KeyState.RETIRING


def next_turn_us(certificates: Iterable[ClientCertificate], now_us: int) -> int | None:
    """Say when a certificate begins or ends next; `None` where none does."""
    times = (time for each in certificates for time in (each.not_before_us, each.not_after_us))
    return min((time for time in times if time > now_us), default=None)


def _age(certificate: ClientCertificate) -> tuple[int, int]:
    return certificate.not_before_us, certificate.not_after_us
