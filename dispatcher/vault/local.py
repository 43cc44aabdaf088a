"""The keyring file as a key provider: wraps under its primary key, opens under whichever it names.

Used by `epochs` through `provider.KeyProvider`. A key that is not in the ring it holds is looked
for in the file once more, so that a key added there is known without a restart.
"""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag

from dispatcher.model.errors import KeyMissing, SealBroken
from dispatcher.vault.deriving import derive, prefixed
from dispatcher.vault.keyring import Keyring, add_key, load_keyring
from dispatcher.vault.provider import KeyContext, Wrapped
from dispatcher.vault.xaes import KEY_BYTES, NONCE_BYTES, Xaes

_WRAPPING: Final = "dispatcher epoch key wrap v1"


class LocalProvider:
    """Wraps under a key of the keyring."""

    name = "local"

    def __init__(self, keyring: Keyring, path: Path | None = None) -> None:
        self._keyring = keyring
        self._path = path

    async def generate(self, context: KeyContext) -> tuple[bytes, Wrapped]:
        """Give a fresh key, and the same key wrapped."""
        key = os.urandom(KEY_BYTES)
        return key, await self.wrap(key, context)

    async def wrap(self, key: bytes, context: KeyContext) -> Wrapped:
        """Wrap a key under the primary key, as the file has it now."""
        await self._refresh()
        kek, nonce = self._keyring.primary, os.urandom(NONCE_BYTES)
        sealed = self._cipher(kek).seal(nonce, key, _bind(kek, context))
        return Wrapped(nonce + sealed, f"{self.name}:{kek}")

    async def unwrap(self, wrapped: Wrapped, context: KeyContext) -> bytes:
        """Open a key. Raises `KeyMissing` or `SealBroken`."""
        kek = wrapped.kek.partition(":")[2]
        if kek not in self._keyring.keys:
            await self._refresh()
        nonce, sealed = wrapped.blob[:NONCE_BYTES], wrapped.blob[NONCE_BYTES:]
        try:
            return self._cipher(kek).open(nonce, sealed, _bind(kek, context))
        except (InvalidTag, ValueError):
            raise SealBroken(
                "a wrapped key does not open: it was altered or moved, or the key is another",
                where=f"epoch_keys {context.epoch}",
                fix="see whether the keyring is the one this registry was written with",
            ) from None

    async def rewrap(self, wrapped: Wrapped, context: KeyContext) -> Wrapped:
        """Wrap a key anew under the primary key."""
        return await self.wrap(await self.unwrap(wrapped, context), context)

    async def rotate(self) -> str:
        """Add a fresh key to the file and make it the primary one."""
        if self._path is None:
            raise KeyMissing("there is no keyring file to add a key to", where="vault.keyring")
        self._keyring = await asyncio.to_thread(_add_alone, self._path)
        return f"{self.name}:{self._keyring.primary}"

    async def describe(self) -> str:
        """Say which key wraps now."""
        await self._refresh()
        return f"{self.name}:{self._keyring.primary}"

    async def _refresh(self) -> None:
        if self._path is not None:
            self._keyring = await asyncio.to_thread(load_keyring, self._path)

    def _cipher(self, kek: str) -> Xaes:
        return Xaes(derive(self._keyring.key(kek), _WRAPPING))

    def __repr__(self) -> str:
        return f"LocalProvider(primary={self._keyring.primary!r})"


def _add_alone(path: Path) -> Keyring:
    """Add a key while nobody else does: a key that got lost would open nothing it had wrapped."""
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        return add_key(path)
    finally:
        os.close(directory)


def _bind(kek: str, context: KeyContext) -> bytes:
    texts = [part for pair in sorted(context.texts.items()) for part in pair]
    return b"".join(map(prefixed, (kek, *texts)))
