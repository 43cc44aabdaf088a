"""Partners' keys, and what partners do with them: open a compact JWE, by RFC 7516 and 7518 alone.

Written on plain primitives, so that no library of the product vouches for itself.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from dispatcher.model.partner_key import PartnerKey

PAIRS: dict[str, Key] = {
    "EC": ECKey.generate_key("P-256"),
    "OKP": OKPKey.generate_key("X25519"),
    "RSA": RSAKey.generate_key(2048),
}
OTHER = ECKey.generate_key("P-256")


def public_jwk(pair: Key, kid: str = "k1", **more: Any) -> dict[str, Any]:
    return {**pair.as_dict(private=False), "kid": kid, "use": "enc", **more}


def partner_key(pair: Key, kid: str = "k1") -> PartnerKey:
    return PartnerKey(kid=kid, jwk=json.dumps(pair.as_dict(private=False)))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header_of(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decoded(body.partition(b".")[0].decode()))
    return found


def open_jwe(body: bytes, private: dict[str, Any]) -> bytes:
    """Open with a private JWK; any fault in it raises."""
    protected, wrapped, nonce, ciphertext, tag = body.decode().split(".")
    header = json.loads(decoded(protected))
    assert header["enc"] == "A256GCM"
    content_key = unwrap(header, decoded(wrapped), private)
    return AESGCM(content_key).decrypt(
        decoded(nonce), decoded(ciphertext) + decoded(tag), protected.encode()
    )


def unwrap(header: dict[str, Any], wrapped: bytes, private: dict[str, Any]) -> bytes:
    if header["alg"] == "RSA-OAEP-256":
        key = _rsa(private)
        return key.decrypt(wrapped, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    assert header["alg"] == "ECDH-ES+A256KW"
    return aes_key_unwrap(derive(header, private, header["alg"], 256), wrapped)


def derive(header: dict[str, Any], private: dict[str, Any], algorithm: str, bits: int) -> bytes:
    """Derive the key that both sides agree on (RFC 7518, 4.6.2)."""
    said = (algorithm.encode(), decoded(header.get("apu", "")), decoded(header.get("apv", "")))
    info = b"".join(len(each).to_bytes(4, "big") + each for each in said)
    agreed = agree(header["epk"], private)
    block = (1).to_bytes(4, "big") + agreed + info + bits.to_bytes(4, "big")
    return hashlib.sha256(block).digest()[: bits // 8]


def agree(ephemeral: dict[str, Any], private: dict[str, Any]) -> bytes:
    if private["kty"] == "OKP":
        mine = x25519.X25519PrivateKey.from_private_bytes(decoded(private["d"]))
        return mine.exchange(x25519.X25519PublicKey.from_public_bytes(decoded(ephemeral["x"])))
    x, y, d = (_number(each) for each in (ephemeral["x"], ephemeral["y"], private["d"]))
    theirs = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return ec.derive_private_key(d, ec.SECP256R1()).exchange(ec.ECDH(), theirs)


def _rsa(private: dict[str, Any]) -> rsa.RSAPrivateKey:
    n, e, d, p, q, dp, dq, qi = (
        _number(private[name]) for name in ("n", "e", "d", "p", "q", "dp", "dq", "qi")
    )
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()


def _number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")
