"""How one key is derived from another: for a purpose, and for whom.

Used by `sealer` and `tokens`. Each text goes in behind its length, so that no two purposes are ever
derived alike.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dispatcher.vault.xaes import KEY_BYTES


def prefixed(text: str, length_bytes: int = 4) -> bytes:
    """Encode text behind its length: no two lists of texts encode alike."""
    encoded = text.encode()
    return len(encoded).to_bytes(length_bytes, "big") + encoded


def derive(key: bytes, *purpose: str, salt: bytes | None = None, length: int = KEY_BYTES) -> bytes:
    """Derive a key for a purpose. With a salt, whoever lacks either of the two can derive none."""
    info = b"".join(map(prefixed, purpose))
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key)
