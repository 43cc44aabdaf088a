"""What an encrypted letter says of itself in clear, and the look at its bytes before they leave.

Used by `seal`, and by `depart` in the last instant: there the very bytes are looked at, so that no
fault on the way here can send a letter in clear. The outside names the key, who sends, and for
which subscription and id it was made; never the event's type. It never encrypts.
"""

import binascii
from typing import Any, Final

import msgspec

from dispatcher.model import base64url
from dispatcher.model.letter import Cleared, Sealed, Shaped, Stopped
from dispatcher.model.partner_key import CONTENT_ALGORITHM, PartnerKey, describe
from dispatcher.model.registry import Encryption
from dispatcher.model.scope import Field, sensitive_fields
from dispatcher.model.verdict import Reason

JOSE: Final = "application/jose"
_BASE64URL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NONCE_CHARACTERS: Final = 16
_TAG_CHARACTERS: Final = 22
_EPHEMERAL: Final = ({"kty", "crv", "x"}, {"kty", "crv", "x", "y"})


def header_of(cleared: Cleared, key: PartnerKey, content_type: str) -> dict[str, str]:
    """Give the protected header of a letter, but for the ephemeral key.

    Tenant, subscription and id enter the derivation of its key (RFC 7518, 4.6), where there is one.
    """
    algorithm, _ = describe(key)
    header = {
        "alg": algorithm,
        "enc": CONTENT_ALGORITHM,
        "kid": key.kid,
        "typ": "JOSE",
        "cty": content_type.removeprefix("application/"),
    }
    if algorithm.startswith("ECDH-ES"):
        leased = cleared.leased
        if leased.event.tenant:
            header["apu"] = base64url.encode(leased.event.tenant.encode())
        bound = f"{cleared.route.subscription}|{leased.webhook_id}"
        header["apv"] = base64url.encode(bound.encode())
    return header


def find_sensitive(shaped: Shaped) -> Field | None:
    """Give a field that may only leave encrypted, where the letter discloses one."""
    cleared = shaped.admitted.cleared
    floor = cleared.route.encrypt_from
    if floor is None:
        return None
    sensitive = sensitive_fields(cleared.scope, floor)
    if not sensitive:
        return None
    return next((field for field in shaped.disclosed if field in sensitive), None)


def check_body(sealed: Sealed) -> Stopped | None:
    """Look at the bytes about to leave: say why they may not, or nothing if they may."""
    route = sealed.cleared.route
    if route.encryption is Encryption.NONE:
        is_due = find_sensitive(sealed.shaped) is not None
        return Stopped(Reason.ENCRYPTION_REQUIRED) if is_due else None
    key = route.letter_key
    if key is None or not _is_encrypted(sealed, key):
        return Stopped(Reason.ENCRYPTION_BROKEN)
    return None


def _is_encrypted(sealed: Sealed, key: PartnerKey) -> bool:
    """True for a compact JWE of the plaintext's size, to this key, for this letter alone."""
    parts = sealed.body.split(b".")
    if len(parts) != 5 or sealed.content_type != JOSE or any(map(_is_other, parts)):
        return False
    protected, wrapped, nonce, ciphertext, tag = parts
    lengths = (len(nonce), len(tag), len(ciphertext))
    plain = sealed.shaped
    if not wrapped or lengths != (
        _NONCE_CHARACTERS,
        _TAG_CHARACTERS,
        -(-len(plain.plaintext) * 4 // 3),
    ):
        return False
    header = _decode(protected)
    ephemeral = header.pop("epk", None)
    expected = header_of(sealed.cleared, key, plain.content_type)
    is_bound = "apv" in expected
    return header == expected and is_bound == _is_public(ephemeral)


def _is_public(ephemeral: object) -> bool:
    """True for an ephemeral key that holds nothing but its public half."""
    return isinstance(ephemeral, dict) and ephemeral.keys() in _EPHEMERAL


def _is_other(part: bytes) -> bool:
    return bool(part.translate(None, _BASE64URL))


def _decode(part: bytes) -> dict[str, Any]:
    try:
        header = msgspec.json.decode(base64url.decode(part.decode()))
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}
