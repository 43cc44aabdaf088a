"""The keys of the audit log: one that seals each entry in its place, one that signs checkpoints.

Both are derived from the keyring's root key, so no role of the database has them. The seal lets
whoever has the keyring name the very entry that was altered; a checkpoint lets anybody with the
public key see that the log is what it was.
"""

from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dispatcher.vault.keyring import Keyring

SEAL_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


class RecordKeys:
    """Seals entries and signs checkpoints of one registry's log."""

    def __init__(self, keyring: Keyring) -> None:
        root = keyring.key(keyring.root)
        key = _derive(root, b"dispatcher audit seal v1")
        # A million seals are made from copies of one state, which has taken the key in already.
        self._sealing = blake2b(key=key, digest_size=SEAL_BYTES)
        self._signing = Ed25519PrivateKey.from_private_bytes(
            _derive(root, b"dispatcher audit checkpoint v1")
        )
        self.public_key = self._signing.public_key().public_bytes_raw()

    def seal(self, place: int, entry: bytes) -> bytes:
        """Give the seal of an entry at its place in the log (0 is the first)."""
        sealing = self._sealing.copy()
        sealing.update(place.to_bytes(8, "big") + entry)
        return sealing.digest()

    def sign(self, text: bytes) -> bytes:
        """Sign the text of a checkpoint."""
        return self._signing.sign(text)


def is_signed(public_key: bytes, signature: bytes, text: bytes) -> bool:
    """True when this Ed25519 signature is for this text, and by this key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _derive(root: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(root)
