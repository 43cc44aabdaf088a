"""What the certificate of a new connection says, read once, for pins and for the ledger.

Called by the dialer after the handshake, so the certificate has been verified already; whoever
made it is trusted no further than that. What cannot be read is left empty, and an empty key fits no
pin. It must never raise, and never keep more than a bounded text.
"""

import ssl
from asyncio import BaseTransport
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import Certificate, load_der_x509_certificate

from dispatcher.model.text import readable
from dispatcher.model.tls import Peer

ISSUER_CHARACTERS_MAX: Final = 256
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


def meet(transport: BaseTransport, address: str) -> Peer:
    """Say who is at the other end of a connection."""
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject | ssl.SSLSocket):
        return Peer(address)
    return read_certificate(address, tls.getpeercert(binary_form=True) or b"")


def read_certificate(address: str, der: bytes) -> Peer:
    """Read the facts of a certificate, as far as they can be read."""
    found = _try(lambda: load_der_x509_certificate(der), None)
    if found is None:
        return Peer(address)
    return Peer(
        address,
        _try(lambda: _issuer(found), ""),
        _try(lambda: (found.not_valid_after_utc - _EPOCH) // timedelta(microseconds=1), 0),
        _try(lambda: _pin(found), ""),
    )


def _issuer(certificate: Certificate) -> str:
    return readable(certificate.issuer.rfc4514_string())[:ISSUER_CHARACTERS_MAX]


def _pin(certificate: Certificate) -> str:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256/{b64encode(sha256(key).digest()).decode()}"


def _try(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except Exception:  # noqa: BLE001 - a parser may stumble over anything in a hostile certificate
        return otherwise
