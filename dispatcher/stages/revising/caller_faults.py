"""What is wrong with the credentials by which a connector's partner fetches."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from dispatcher.model.caller import Caller, CallerKind
from dispatcher.model.registry import Connector
from dispatcher.stages.revising.fault import NAME, Fault, bad_name
from dispatcher.stages.revising.tls_faults import is_certificates, is_pin

CALLERS_LIMIT: Final = 16
KEY_BYTES_LIMIT: Final = 1024


def check_callers(connectors: Iterable[Connector]) -> Iterator[Fault]:
    """Find every fault of all the credentials; a key id names one of them in the registry."""
    kids: Counter[str] = Counter()
    for connector in connectors:
        of = f"connector {connector.name!r}: callers"
        kids.update(caller.kid for caller in connector.callers)
        if len(connector.callers) > CALLERS_LIMIT:
            yield Fault(of, "there are too many", f"write at most {CALLERS_LIMIT}")
        for caller in connector.callers:
            yield from _check_caller(f"{of} {caller.kid!r}", caller)
    for kid, count in kids.items():
        if count > 1:
            fix = "give each credential its own kid, across all connectors"
            yield Fault(f"callers {kid!r}: kid", f"defined {count} times", fix)


def _check_caller(where: str, caller: Caller) -> Iterator[Fault]:
    if not NAME.match(caller.kid):
        yield bad_name(f"{where}: kid")
    if caller.kind is CallerKind.SIGNATURE:
        if not _is_key(caller.key):
            fix = "paste the '-----BEGIN PUBLIC KEY-----' block of an Ed25519 or P-256 key"
            yield Fault(f"{where}: key", "not a public key to verify a signature with", fix)
        if caller.pin or caller.ca:
            yield Fault(where, "a signature has a key alone", "take pin and ca out")
        return
    if not is_pin(caller.pin):
        fix = "write sha256/ and the BASE64 of the SHA-256 of its SubjectPublicKeyInfo"
        yield Fault(f"{where}: pin", f"{caller.pin!r} is no pin", fix)
    if not is_certificates(caller.ca):
        fix = "paste the certificate of the authority that issues it, or the certificate itself"
        yield Fault(f"{where}: ca", "not certificates in PEM form", fix)
    if caller.key:
        yield Fault(where, "a certificate has a pin and a ca", "take the key out")


def _is_key(text: str) -> bool:
    """True for one public key of a kind that is taken, and nothing beside it."""
    is_one = text.startswith("-----BEGIN PUBLIC KEY-----\n") and text.count("-----BEGIN") == 1
    if not is_one or len(text) > KEY_BYTES_LIMIT or not text.isascii():
        return False
    try:
        key = load_pem_public_key(text.encode("ascii"))
    except Exception:  # noqa: BLE001 - a parser may stumble over anything in a hostile text
        return False
    is_p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    return is_p256 or isinstance(key, Ed25519PublicKey)
