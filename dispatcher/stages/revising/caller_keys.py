"""The public keys that partners fetch by: one key is one, however and wherever it is listed.

Asked when one is revoked, before a snapshot is compiled, and of every change: what was revoked
counts no more, under another key id, as a signature or a certificate, or for another connector.
"""

from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from dispatcher.model.caller import Caller, CallerKind
from dispatcher.model.identity import FINGERPRINT_CHARACTERS
from dispatcher.model.registry import Connector, Registry
from dispatcher.stages.revising.fault import Fault


@dataclass(frozen=True, slots=True)
class CallerKey:
    """A credential of a connector, by the fingerprint of its public key."""

    connector: Connector
    caller: Caller
    fingerprint: str

    @property
    def name(self) -> str:
        """What it is called among the credentials of all connectors."""
        return f"{self.connector.name}/{self.caller.kid}/{self.fingerprint}"


def list_caller_keys(connectors: Iterable[Connector]) -> Iterator[CallerKey]:
    """Give every credential that connectors list, in their order."""
    for connector in connectors:
        for caller in connector.callers:
            yield CallerKey(connector, caller, fingerprint_of(caller))


@lru_cache(maxsize=65536)
def fingerprint_of(caller: Caller) -> str:
    """Give the first digits of the SHA-256 of its SubjectPublicKeyInfo; empty where it has none.

    A key has one form here, whichever way its PEM writes it.
    """
    try:
        if caller.kind is CallerKind.CERTIFICATE:
            digest = b64decode(caller.pin.removeprefix("sha256/"), validate=True)
        else:
            key = load_pem_public_key(caller.key.encode("ascii"))
            form = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            digest = sha256(form).digest()
    except Exception:  # noqa: BLE001 - a parser may stumble over anything in a hostile text
        return ""
    return digest.hex()[:FINGERPRINT_CHARACTERS]


def find_relisted(old: Registry, new: Registry, revoked: Collection[str]) -> tuple[Fault, ...]:
    """List the credentials a change would bring in although their key was revoked.

    What is listed already counts for nothing and may stay until somebody takes it out: a change of
    something else does not wait for that.
    """
    if not revoked:
        return ()
    known = {(each.connector.name, each.caller) for each in list_caller_keys(old.connectors)}
    return tuple(
        Fault(
            f"connector {each.connector.name!r}: callers {each.caller.kid!r}",
            f"its public key ({each.fingerprint}) was revoked",
            "list another one, of a new pair that the partner makes",
            code="caller_revoked",
        )
        for each in list_caller_keys(new.connectors)
        if each.fingerprint in revoked and (each.connector.name, each.caller) not in known
    )


def without_revoked(registry: Registry, revoked: Collection[str]) -> Registry:
    """Give a registry without the credentials whose key was revoked: these count for nothing."""
    if not revoked:
        return registry
    kept = [
        replace(
            connector,
            callers=tuple(e for e in connector.callers if fingerprint_of(e) not in revoked),
        )
        for connector in registry.connectors
    ]
    return replace(registry, connectors=tuple(kept))
