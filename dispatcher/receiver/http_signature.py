"""HTTP message signatures: RFC 9421 in the one profile that we send, with the digest of RFC 9530.

Called by `opening`. What must be covered is said here; a signature with another tag is somebody
else's and is passed over. It reads no more of the syntax than the profile has: whatever differs
does not verify.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dispatcher.model.keys import SIGNATURE_TAG
from dispatcher.receiver.keys import PublicKey, Secret
from dispatcher.receiver.refusals import Why

SIGNATURES_MAX: Final = 16
_FIELDS: Final = {"content-type", "content-digest", "webhook-id", "webhook-timestamp"}
_MEMBERS: Final = re.compile(r'(?:[^,"]|"[^"]*")+')
_INPUT: Final = re.compile(
    r"(?P<label>[a-z*][a-z0-9_.*-]*)="
    r'(?P<terms>\((?P<names>(?:"[a-z0-9@-]+" ?)*)\)(?P<parameters>;.*))'
)
_PARAMETER: Final = re.compile(r';([a-z*][a-z0-9_.*-]*)=("[^"]*"|\d+)')
_BYTES: Final = re.compile(r"(?P<label>[a-z*][a-z0-9_.*-]*)=:(?P<encoded>[A-Za-z0-9+/=]*):")


@dataclass(frozen=True, slots=True)
class Signable:
    """What came, as a signature sees it.

    `place` is `@method` and `@target-uri` of a request, or `@status` of an answer.
    """

    place: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature with our tag, and what it says it covers."""

    terms: str
    names: tuple[str, ...]
    parameters: Mapping[str, str]
    signed: bytes

    def number(self, name: str) -> int | None:
        """Give a parameter that is a number."""
        text = self.parameters.get(name, "")
        return int(text) if re.fullmatch(r"\d{1,15}", text) else None


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the signatures of what came by the keys we were told, at an instant."""

    secrets: Sequence[Secret]
    public_keys: Sequence[PublicKey]
    now: float
    tolerance_seconds: int

    def judge(self, came: Signable) -> Why | None:
        """Say what is wrong with it, or nothing."""
        found = [self._judge_one(came, one) for one in _signatures(came.headers)]
        if not found:
            return Why.SIGNATURE_MISSING
        if None not in found:
            return found[0]
        return None if _is_digest_right(came) else Why.DIGEST_WRONG

    def _judge_one(self, came: Signable, signature: Signature) -> Why | None:
        created, expires = signature.number("created"), signature.number("expires")
        if (
            not _FIELDS | came.place.keys() <= set(signature.names)
            or created is None
            or expires is None
        ):
            return Why.SIGNATURE_INCOMPLETE
        if created - self.now > self.tolerance_seconds:
            return Why.TIMESTAMP_FUTURE
        if self.now - created > self.tolerance_seconds or self.now > expires:
            return Why.TIMESTAMP_OLD
        keys = self._keys(signature)
        if not keys:
            return Why.KEY_UNKNOWN
        base = _base(came, signature)
        if base is None or not any(key.is_signer(signature.signed, base) for key in keys):
            return Why.SIGNATURE_WRONG
        return None

    def _keys(self, signature: Signature) -> Sequence[Secret | PublicKey]:
        if signature.parameters.get("alg") == '"hmac-sha256"':
            return self.secrets
        if signature.parameters.get("alg") != '"ed25519"':
            return ()
        keyid = signature.parameters.get("keyid", "").strip('"')
        return [key for key in self.public_keys if key.kid in {None, keyid}]


def _signatures(headers: Mapping[str, str]) -> Iterator[Signature]:
    signed = {
        one["label"]: one["encoded"]
        for text in _MEMBERS.findall(headers.get("signature", ""))
        if (one := _BYTES.fullmatch(text.strip()))
    }
    for text in _MEMBERS.findall(headers.get("signature-input", ""))[:SIGNATURES_MAX]:
        found = _INPUT.fullmatch(text.strip())
        if found is None or found["label"] not in signed:
            continue
        parameters = dict(_PARAMETER.findall(found["parameters"]))
        names = tuple(found["names"].replace('"', "").split())
        if parameters.get("tag") == f'"{SIGNATURE_TAG}"':
            yield Signature(found["terms"], names, parameters, _decode(signed[found["label"]]))


def _base(came: Signable, signature: Signature) -> bytes | None:
    values = {**came.headers, **came.place}
    if not values.keys() >= set(signature.names):
        return None
    lines = [f'"{name}": {values[name]}' for name in signature.names]
    text = "\n".join([*lines, f'"@signature-params": {signature.terms}'])
    # Bytes of a header that are no text come to us as surrogates, and go back to what they were.
    return text.encode(errors="surrogateescape")


def _is_digest_right(came: Signable) -> bool:
    for text in came.headers["content-digest"].split(","):
        found = _BYTES.fullmatch(text.strip())
        if found and found["label"] == "sha-256":
            told = _decode(found["encoded"])
            return hmac.compare_digest(hashlib.sha256(came.body).digest(), told)
    return False


def _decode(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""
