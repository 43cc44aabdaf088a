"""Sealing to the intake: whoever enqueues closes a payload that only the workers can open.

    format(2) | length of key id(1) | key id | ephemeral key(32) | nonce(24) | ciphertext | tag

The outbox has the public half (X25519) of a key of the registry; the private half is derived from
that key whenever it is at hand (`epochs`), and lies nowhere. A process agrees on one secret for
many payloads and seals each under it (XAES-256-GCM), bound to its place. Called by `sealer`, for
producers to seal and for workers to open. What was sealed so proves nothing about who did it.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from dispatcher.model.event import INTAKE_FORMAT
from dispatcher.vault.deriving import derive, prefixed
from dispatcher.vault.xaes import NONCE_BYTES, TAG_BYTES, Xaes

PUBLIC_BYTES: Final = 32
SESSION_SEALS: Final = 65_536
"""How many payloads a process seals under one secret before it agrees on another."""
SESSIONS_MAX: Final = 4096
SESSIONS_OUT_MAX: Final = 16
_PRIVATE: Final = "dispatcher intake private key v1"
_SESSION: Final = "dispatcher intake session v1"
_FORMAT_BYTE: Final = bytes([INTAKE_FORMAT])


@dataclass(frozen=True, slots=True)
class IntakeKey:
    """The public half, and the name of the key that the private one is derived from."""

    id: str
    public: bytes


@dataclass(slots=True)
class _Session:
    """One secret agreed on, what the other side needs to find it, and how often it may seal."""

    start: bytes
    cipher: Xaes
    left: int


_sessions: dict[IntakeKey, _Session] = {}
# A product service may fork while a thread of it seals. The thread stays behind, and would never
# give its cipher's lock back.
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_sessions.clear)


def seal_to_intake(key: IntakeKey, plaintext: bytes, bound: bytes) -> bytes:
    """Close a payload for the workers. Raises `ValueError` for a public key that is none."""
    session = _sessions.get(key)
    if session is None or session.left <= 0:
        while len(_sessions) >= SESSIONS_OUT_MAX:
            _sessions.pop(next(iter(_sessions)), None)
        session = _sessions[key] = _agree(key)
    session.left -= 1
    nonce = os.urandom(NONCE_BYTES)
    return session.start + nonce + session.cipher.seal(nonce, plaintext, bound)


def _agree(key: IntakeKey) -> _Session:
    own = X25519PrivateKey.generate()
    ephemeral = own.public_key().public_bytes_raw()
    secret = own.exchange(X25519PublicKey.from_public_bytes(key.public))
    cipher = _cipher(secret, key.id, ephemeral, key.public)
    start = _FORMAT_BYTE + prefixed(key.id, 1) + ephemeral
    return _Session(start, cipher, SESSION_SEALS)


class IntakeOpener:
    """The private half of one key of the registry: opens what was sealed to its public half."""

    def __init__(self, key_id: str, key: bytes) -> None:
        private = X25519PrivateKey.from_private_bytes(derive(key, _PRIVATE))
        public = private.public_key().public_bytes_raw()
        self.key = IntakeKey(key_id, public)

        def cipher(ephemeral: bytes) -> Xaes:
            secret = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
            return _cipher(secret, key_id, ephemeral, public)

        self._cipher = lru_cache(maxsize=SESSIONS_MAX)(cipher)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """Open what follows the key's name in a blob. Raises `InvalidTag` where it does not."""
        ephemeral, rest = sealed[:PUBLIC_BYTES], sealed[PUBLIC_BYTES:]
        if len(rest) < NONCE_BYTES + TAG_BYTES:
            raise InvalidTag
        try:
            cipher = self._cipher(ephemeral)
        except ValueError:  # a point that agrees on nothing
            raise InvalidTag from None
        return cipher.open(rest[:NONCE_BYTES], rest[NONCE_BYTES:], bound)

    def __repr__(self) -> str:
        return f"IntakeOpener({self.key.id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key cannot be pickled")


def _cipher(secret: bytes, key_id: str, ephemeral: bytes, public: bytes) -> Xaes:
    return Xaes(derive(secret, _SESSION, key_id, salt=ephemeral + public))
