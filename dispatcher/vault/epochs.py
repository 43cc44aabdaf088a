"""Keys of tenants and epochs, opened and at hand: from here `sealer` takes them without waiting.

Keys lie wrapped in the registry (`EpochStore`); the provider opens them. What is opened is kept for
a cache's lifetime and no longer, so that nothing opens where the provider can no longer be asked.
Who seals or opens without waiting gets `KeyUnavailable` for a key that is not at hand, asks for it
with `ready` or `fetch`, and tries again. Many who want one key at once ask once. It must never be
asked to fetch inside a transaction, and shows no key to anybody.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

from dispatcher.model.epoch_key import EpochKey
from dispatcher.model.errors import (
    DispatcherError,
    KeyDestroyed,
    KeyMissing,
    KeyUnavailable,
    KeyUnknown,
    SealBroken,
)
from dispatcher.vault.intake import IntakeOpener
from dispatcher.vault.provider import KeyContext, KeyProviders, Wrapped
from dispatcher.vault.xaes import Xaes

KEYS_CACHED_MAX: Final = 8192
ASK_AGAIN_SECONDS: Final = 1.0
"""For how long a provider that failed is not asked for the same key again."""
AT_ONCE: Final = 8
_KEY_ID_BYTES: Final = 6


class EpochStore(Protocol):
    """Where wrapped keys lie."""

    async def current(self, tenant: str) -> tuple[EpochKey, int] | None:
        """Give the key that seals a tenant's records now, and for how many microseconds more."""

    async def add(self, key: EpochKey, period_us: int) -> None:
        """Keep a new key for the period that is now, unless the tenant has one for it."""

    async def find(self, key_id: str) -> EpochKey | None:
        """Give a key by its name."""

    async def changes(self) -> int:
        """Count how often keys were destroyed, or ended before their time."""


@dataclass(frozen=True, slots=True)
class Held:
    """An opened key, and until when, on the boot clock, it may be used to open and to seal.

    A key of the registry opens too what was sealed to the intake.
    """

    id: str
    tenant: str
    cipher: Xaes
    until: float
    seals_until: float
    intake: IntakeOpener | None = None


class EpochKeys:
    """The keys that are at hand."""

    def __init__(
        self,
        store: EpochStore,
        providers: KeyProviders,
        *,
        boot: Callable[[], float],
        cache_seconds: float = 900.0,
        period_us: int = 604_800_000_000,
    ) -> None:
        self._store = store
        self._providers = providers
        self._boot = boot
        self._cache_seconds = cache_seconds
        self._period_us = period_us
        self._held: dict[str, Held] = {}
        self._current: dict[str, Held] = {}
        self._destroyed: set[str] = set()
        self._failed: dict[str, tuple[float, DispatcherError]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._forgotten = 0
        self._changes: int | None = None

    def sealing(self, tenant: str) -> Held:
        """Give the key that seals a tenant's records now. Raises `KeyUnavailable`."""
        held = self._current.get(tenant)
        if held is None or self._boot() >= held.seals_until:
            raise _not_at_hand(f"of the tenant {tenant!r}" if tenant else "of the registry")
        return held

    def opening(self, key_id: str) -> Held:
        """Give a key by its name. Raises `KeyUnavailable` or `KeyDestroyed`."""
        held = self._held.get(key_id)
        if held is not None and self._boot() < held.until:
            return held
        if key_id in self._destroyed:
            raise _destroyed(key_id)
        raise _not_at_hand(key_id)

    async def ready(self, *tenants: str) -> None:
        """Have the keys at hand that seal these tenants' records; makes those there are not."""
        now = self._boot()
        lacking = [
            tenant
            for tenant in dict.fromkeys(tenants)
            if (held := self._current.get(tenant)) is None or now >= held.seals_until
        ]
        if lacking:
            await _all(self._once(f"seal {tenant}", self._mint(tenant)) for tenant in lacking)

    async def fetch(self, *key_ids: str) -> None:
        """Have these keys at hand. Raises `KeyUnavailable`, `KeyDestroyed` or `KeyMissing`."""
        now = self._boot()
        lacking = [
            key_id
            for key_id in dict.fromkeys(key_ids)
            if (held := self._held.get(key_id)) is None or now >= held.until
        ]
        if lacking:
            await _all(self._once(key_id, self._find(key_id)) for key_id in lacking)

    def forget(self) -> None:
        """Drop every opened key, for one of them may have been destroyed or replaced."""
        self._forgotten += 1
        self._held.clear()
        self._current.clear()
        self._failed.clear()

    async def renew(self) -> None:
        """Drop tenants' opened keys where any was destroyed or ended since this was last asked.

        The registry's own end too, but are never destroyed, and still open what they sealed. Raises
        `KeyUnavailable` where nobody can say.
        """
        try:
            changes = await self._store.changes()
        except DispatcherError as error:
            raise _told(error) from None
        if changes != self._changes:
            self._changes = changes
            own = {held.id: held for held in self._held.values() if not held.tenant}
            self.forget()
            self._held.update(own)

    async def _once(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Ask once for all who want the same, and not at once again where that failed."""
        ends, error = self._failed.get(name, (0.0, None))
        if error is not None and self._boot() < ends:
            work.close()
            raise error
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._ask(name, work))
            task.add_done_callback(_look_at)  # nobody may be waiting any more
        else:
            work.close()
        await asyncio.shield(task)

    async def _ask(self, name: str, work: Awaitable[None]) -> None:
        try:
            async with self._turn:
                await work
            self._failed.pop(name, None)
        except DispatcherError as error:
            told = _told(error)
            if len(self._failed) >= KEYS_CACHED_MAX:
                self._failed.clear()
            self._failed[name] = (self._boot() + ASK_AGAIN_SECONDS, told)
            raise told from None
        finally:
            self._asking.pop(name, None)

    async def _mint(self, tenant: str) -> None:
        began = self._forgotten
        found = await self._store.current(tenant)
        if found is None:
            key_id = f"e{os.urandom(_KEY_ID_BYTES).hex()}"
            _, wrapped = await self._providers.primary.generate(KeyContext(tenant, key_id))
            made = EpochKey(
                id=key_id,
                tenant=tenant,
                begins_us=0,
                ends_us=0,
                wrapped=wrapped.blob,
                kek=wrapped.kek,
            )
            await self._store.add(made, self._period_us)
            # Somebody else may have been faster: then theirs is everybody's.
            found = await self._store.current(tenant)
        if found is None:
            raise KeyUnavailable(
                "a new key was kept, and is not there", where="epoch_keys", fix="try again"
            )
        stored, left_us = found
        ends = self._boot() + left_us / 1_000_000
        self._current[tenant] = await self._open(stored, ends, began)

    async def _find(self, key_id: str) -> None:
        began = self._forgotten
        stored = await self._store.find(key_id)
        if stored is None:
            raise KeyUnknown(
                f"the registry has no key {key_id!r}",
                where="epoch_keys",
                fix="restore the registry these records were written with from a backup",
            )
        await self._open(stored, 0.0, began)

    async def _open(self, stored: EpochKey, epoch_ends: float, began: int) -> Held:
        if stored.wrapped is None:
            self._destroyed.add(stored.id)
            raise _destroyed(stored.id)
        until = self._boot() + self._cache_seconds
        key = await self._providers.unwrap(
            Wrapped(stored.wrapped, stored.kek), KeyContext(stored.tenant, stored.id)
        )
        if began != self._forgotten:  # read before everything was dropped: it may be destroyed
            raise _not_at_hand(stored.id)
        try:
            cipher = Xaes(key)
        except ValueError:
            raise SealBroken("a wrapped key is no key", where=f"epoch_keys {stored.id}") from None
        intake = None if stored.tenant else IntakeOpener(stored.id, key)
        held = Held(stored.id, stored.tenant, cipher, until, min(until, epoch_ends), intake)
        while len(self._held) >= KEYS_CACHED_MAX:
            gone = self._held.pop(next(iter(self._held)))
            self._current.pop(gone.tenant, None)
        self._held[stored.id] = held
        return held

    def __repr__(self) -> str:
        return f"EpochKeys(at_hand={len(self._held)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys cannot be pickled")


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Wait for all, then raise what went wrong first."""
    done = await asyncio.gather(*works, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each


def _told(error: DispatcherError) -> DispatcherError:
    """Say of a key what went wrong: also with the registry, or a file, it may be had later."""
    if isinstance(error, KeyMissing | KeyUnavailable | SealBroken):
        return error
    return KeyUnavailable(error.why, where=error.where, fix=error.fix)


def _look_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()


def _not_at_hand(which: str) -> KeyUnavailable:
    return KeyUnavailable(
        f"the key {which} is not at hand", where="epoch_keys", fix="have it fetched, and try again"
    )


def _destroyed(key_id: str) -> KeyDestroyed:
    return KeyDestroyed(
        f"the key {key_id} was destroyed, and what it sealed is gone",
        where="epoch_keys",
        fix="nothing can undo that: dispatcher audit log --kind vault.shredded says when and why",
    )
