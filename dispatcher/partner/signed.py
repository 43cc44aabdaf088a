"""Whose signature is on a request? RFC 9421, by a key that a connector lists.

Called by `callers` for every request that bears a signature. Reading and verifying is a library's;
what must be covered, and how old a signature may be, is said here. It never looks at where a
request claims to have been sent: a signature for another place than ours is none.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    VerifyResult,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519

from dispatcher.model.caller import Callers, Known

SIGNED_SECONDS_MAX: Final = 60
"""How far `created` may be from our clock, on either side."""
_ALWAYS: Final = frozenset({'"@method"', '"authorization"'})
_PLACES: Final = (frozenset({'"@target-uri"'}), frozenset({'"@authority"', '"@path"'}))


@dataclass(frozen=True, slots=True)
class Message:
    """A request as the library reads it: `url` is the one that we are known by."""

    method: str
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed, and the name of exactly this signature: one is taken once."""

    known: Known
    signature_id: str


class _Keys(HTTPSignatureKeyResolver):
    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def resolve_public_key(self, key_id: str) -> Any:
        known = self._callers.by_kid.get(key_id)
        return load_pem_public_key(known.caller.key.encode()) if known is not None else None


class _Verifier(HTTPMessageVerifier):
    """The library's verifier, by our clock."""

    now_seconds = 0

    def validate_created_and_expires(self, sig_input: Any, max_age: object = None) -> None:  # noqa: ARG002
        created, expires = (sig_input.params.get(name) for name in ("created", "expires"))
        if created is None or abs(self.now_seconds - created) > SIGNED_SECONDS_MAX:
            raise InvalidSignature("not created now")
        if expires is not None and expires < self.now_seconds:
            raise InvalidSignature("expired")


def find_signer(message: Message, callers: Callers, now_seconds: int) -> Signed | None:
    """Say who signed a request, or nothing where nobody did whom we know, or not all of it."""
    found = _verify(message, callers, now_seconds)
    if found is None:
        return None
    covered = found.covered_components
    if not (covered.keys() >= _ALWAYS and any(covered.keys() >= place for place in _PLACES)):
        return None
    # By what was signed, not by the signature: P-256 has more than one for the same text.
    base = "\n".join(f"{name}: {value}" for name, value in covered.items())
    known = callers.by_kid[str(found.parameters["keyid"])]
    return Signed(known, sha256(base.encode()).hexdigest())


def _verify(message: Message, callers: Callers, now_seconds: int) -> VerifyResult | None:
    for algorithm in (ED25519, ECDSA_P256_SHA256):
        verifier = _Verifier(signature_algorithm=algorithm, key_resolver=_Keys(callers))
        verifier.now_seconds = now_seconds
        # Whatever the library stumbles over in a hostile header is no signature.
        with suppress(Exception):
            (found,) = verifier.verify(message, max_age=None)
            return found
    return None
