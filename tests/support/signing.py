"""A partner's own signer: RFC 9421 written out by hand, so that no library checks itself."""

import base64
from collections.abc import Sequence
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Key = Ed25519PrivateKey | EllipticCurvePrivateKey
COVERED = ("@method", "@target-uri", "authorization")


def pem_of_key(key: Key) -> str:
    """Write the public half as a partner would hand it in."""
    found = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found.decode()


def sign_get(
    url: str,
    ticket: str,
    key: Key,
    *,
    kid: str,
    created: int,
    covered: Sequence[str] = COVERED,
    method: str = "GET",
    more: str = ';nonce="n-1"',
) -> dict[str, str]:
    """Give the headers of a signed GET."""
    parts = urlsplit(url)
    bearer = f"Bearer {ticket}"
    values = {
        "@method": method,
        "@target-uri": url,
        "@authority": parts.netloc,
        "@path": parts.path,
        "authorization": bearer,
    }
    names = " ".join(f'"{name}"' for name in covered)
    terms = f'({names});created={created};keyid="{kid}"{more}'
    lines = [f'"{name}": {values[name]}' for name in covered]
    base = "\n".join([*lines, f'"@signature-params": {terms}']).encode()
    encoded = base64.b64encode(_sign(key, base)).decode()
    return {
        "authorization": bearer,
        "signature-input": f"sig={terms}",
        "signature": f"sig=:{encoded}:",
    }


def _sign(key: Key, base: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(base)
    r, s = decode_dss_signature(key.sign(base, ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
