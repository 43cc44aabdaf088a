"""Vaults for tests that are not about keys: their keys are made on the spot, from the keyring."""

import hashlib
import time
from dataclasses import dataclass, field, replace

import msgspec

from dispatcher.model.epoch_key import EpochKey
from dispatcher.model.errors import KeyUnavailable
from dispatcher.model.event import Content
from dispatcher.vault.epochs import EpochKeys, Held
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.provider import KeyProvider, KeyProviders
from dispatcher.vault.sealer import Vault
from dispatcher.vault.xaes import Xaes
from tests.support.records import KEYRING

FOREVER = float("inf")


class StandingKeys(EpochKeys):
    """Keys that are always at hand: each a hash of the keyring's primary key and a tenant."""

    def __init__(self, keyring: Keyring) -> None:
        super().__init__(MemoryEpochs(), KeyProviders(LocalProvider(keyring)), boot=time.monotonic)
        self._secret = keyring.keys[keyring.primary]

    def sealing(self, tenant: str) -> Held:
        name = f"e{hashlib.sha256(tenant.encode()).hexdigest()[:12]}"
        return self.opening(name)

    def opening(self, key_id: str) -> Held:
        key = hashlib.sha256(self._secret + key_id.encode()).digest()
        return Held(key_id, "", Xaes(key), FOREVER, FOREVER)

    async def ready(self, *tenants: str) -> None:
        return

    async def fetch(self, *key_ids: str) -> None:
        return


def standing_vault(keyring: Keyring = KEYRING) -> Vault:
    """A vault that never has to ask for a key."""
    return Vault(keyring, StandingKeys(keyring))


@dataclass
class MemoryEpochs:
    """A registry's epoch keys, without a registry; its clock stands until it is moved."""

    now_us: int = 1_000_000
    keys: dict[str, EpochKey] = field(default_factory=dict)
    reads: int = 0
    counted: int = 0

    async def current(self, tenant: str) -> tuple[EpochKey, int] | None:
        self.reads += 1
        for key in self.keys.values():
            if key.tenant == tenant and key.begins_us <= self.now_us < key.ends_us:
                return key, key.ends_us - self.now_us
        return None

    async def add(self, key: EpochKey, period_us: int) -> None:
        if await self.current(key.tenant) is None:
            begins = self.now_us - self.now_us % period_us
            made = replace(key, begins_us=begins, ends_us=begins + period_us)
            self.keys[key.id] = made

    async def find(self, key_id: str) -> EpochKey | None:
        self.reads += 1
        return self.keys.get(key_id)

    async def changes(self) -> int:
        return self.counted

    def destroy(self, key_id: str) -> None:
        self.counted += 1
        self.keys[key_id] = replace(self.keys[key_id], wrapped=None, destroyed_us=self.now_us)


@dataclass
class Fickle:
    """A key provider that counts what it is asked, and fails while `away`."""

    inner: KeyProvider
    away: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    def __getattr__(self, action: str):
        async def ask(*given):
            self.asked.append(action)
            if self.away:
                raise KeyUnavailable("whoever keeps the keys is away", where="vault.provider")
            return await getattr(self.inner, action)(*given)

        return ask


def content_of(
    payload: bytes, *subjects: str, key: str | None = None, event_type: str = "order.placed"
) -> bytes:
    """What is sealed of an event with this payload, about these people."""
    return Content(msgspec.json.encode(subjects).decode(), key, payload).pack(event_type)
