"""XAES-256-GCM (C2SP): AES-256-GCM with a 192-bit nonce, safe to draw at random.

Each message gets its own AES-GCM key, derived from the first half of the nonce by CMAC, so one key
serves 2^80 messages without any book-keeping of nonces. Used by `vault.sealer` alone; it must never
choose a nonce itself, nor keep a plaintext. Checked against the published vectors.
"""

from threading import Lock
from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16

_HALF: Final = NONCE_BYTES // 2
_BLOCK_BITS: Final = 128
_FIELD: Final = 0b10000111  # x^128 + x^7 + x^2 + x + 1, without its leading term
_FIRST: Final = 0x00015800 << 96  # counter 1, label "X", separator
_SECOND: Final = 0x00025800 << 96  # counter 2, label "X", separator
_BOTH: Final = 1 << _BLOCK_BITS | 1  # multiplies a block into two equal ones


class Xaes:
    """One 256-bit key, with all that does not depend on the message worked out beforehand."""

    __slots__ = ("_encrypt", "_lock", "_mask")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"an XAES-256-GCM key has {KEY_BYTES} bytes")
        # ECB over whole blocks is the bare block cipher, which the derivation is built from.
        self._encrypt = Cipher(AES256(key), ECB()).encryptor().update  # noqa: S305
        self._lock = Lock()
        zero = int.from_bytes(self._encrypt_blocks(bytes(16)), "big")
        doubled = (zero << 1) & ((1 << _BLOCK_BITS) - 1)
        subkey = doubled ^ _FIELD if zero >> (_BLOCK_BITS - 1) else doubled
        self._mask = (subkey ^ _FIRST) << _BLOCK_BITS | (subkey ^ _SECOND)

    def seal(self, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        """Encrypt, and append the tag. A nonce must never be used twice."""
        return self._message_key(nonce).encrypt(nonce[_HALF:], plaintext, aad)

    def open(self, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        """Decrypt; `cryptography.exceptions.InvalidTag` when anything at all was changed."""
        return self._message_key(nonce).decrypt(nonce[_HALF:], ciphertext, aad)

    def _message_key(self, nonce: bytes) -> AESGCM:
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"an XAES-256-GCM nonce has {NONCE_BYTES} bytes")
        context = int.from_bytes(nonce[:_HALF], "big") * _BOTH
        return AESGCM(self._encrypt_blocks((self._mask ^ context).to_bytes(32, "big")))

    def _encrypt_blocks(self, blocks: bytes) -> bytes:
        # One context for all calls: a fresh one costs more than the rest. Threads take turns. No
        # process of ours forks; in a product service's that does, `intake` begins anew.
        with self._lock:
            return self._encrypt(blocks)

    def __repr__(self) -> str:
        return "Xaes(<key>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key cannot be pickled")
