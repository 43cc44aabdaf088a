"""The keys that seal what is at rest: what there is, a new one, wrapped anew, destroyed.

Called by `vault`. To destroy a tenant's keys makes what they sealed unreadable, here and in every
copy: that takes the right to erase, and it is shown to be so before it is answered. Nothing that is
still to be delivered is lost unless the caller says that it may be.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dispatcher.control.confirming import confirmed
from dispatcher.control.legal_holds import require_unheld
from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.texts import require_reason
from dispatcher.model.audit import Entry
from dispatcher.model.epoch_key import EpochKey
from dispatcher.model.errors import (
    Conflict,
    DispatcherError,
    InvalidInput,
    KeyDestroyed,
    NotFound,
    SealBroken,
)
from dispatcher.model.ids import Epoch
from dispatcher.model.people import Principal, Right
from dispatcher.store.audit import AuditLog
from dispatcher.store.epoch_keys import EpochKeyStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.shredding import Sample, ShredStore
from dispatcher.store.workers import WorkerRow, WorkerStore
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyContext, KeyProviders, Wrapped
from dispatcher.vault.sealer import Vault, start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantKeys:
    """The epoch keys of one tenant, or of the registry itself where that is empty."""

    tenant: str
    keys: int
    destroyed: int
    oldest_us: int | None
    ends_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultStatus:
    """Which key of keys wraps now, how many keys each wraps, and what each tenant has."""

    provider: str
    wrapped_by: dict[str, int]
    tenants: tuple[TenantKeys, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many periods ended, and the policy epoch from which nobody seals under their keys.

    `confirmed` processes obey it, `fenced` ones have lost their policy lease.
    """

    ended: int
    epoch: int
    confirmed: tuple[str, ...]
    fenced: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrapped:
    """How many keys were wrapped anew, how many there are; `after` is where to go on."""

    rewrapped: int
    total: int
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That a key's records open no more. `event` is one that opened before, if there was any."""

    key: str
    begins_us: int
    ends_us: int
    event: str
    opened_before: bool
    opens_now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shredded:
    """What was destroyed, or would be: `is_done` is false when it was only asked.

    Deliveries and payloads are those of one `outbox`; where there are others of this registry,
    nobody looked. `confirmed` processes have forgotten the keys, `fenced` ones have lost their
    policy lease.
    """

    tenant: str
    outbox: str
    is_done: bool
    keys: int
    undelivered: int
    dropped: int = 0
    payloads: int = 0
    proofs: tuple[Proof, ...] = ()
    epoch: int | None = None
    confirmed: tuple[str, ...] = ()
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShredAsked:
    """Whose keys are to go, which, and why; `before_us` is where their periods must have ended."""

    tenant: str
    before_us: int
    reason: str
    drop_waiting: bool = False
    is_rehearsal: bool = False
    wait_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultKeys:
    """The keys of one registry, and what they sealed in one outbox."""

    keys: EpochKeyStore
    providers: KeyProviders
    vault: Vault
    registry: RegistryStore
    outbox: ShredStore
    workers: WorkerStore
    audit: AuditLog
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            keys=means.epoch_keys,
            providers=means.providers,
            vault=means.vault,
            registry=means.registry,
            outbox=ShredStore(means.outbox_database),
            workers=means.workers,
            audit=means.audit,
            wall_us=means.wall_us,
        )

    async def status(self) -> VaultStatus:
        """Say what there is. Raises where the provider does not answer."""
        stored = await self.keys.all()
        wrapped_by: dict[str, int] = {}
        for key in stored:
            if key.wrapped is not None:
                wrapped_by[key.kek] = wrapped_by.get(key.kek, 0) + 1
        names = dict.fromkeys(key.tenant for key in stored)
        return VaultStatus(
            provider=await self.providers.primary.describe(),
            wrapped_by=wrapped_by,
            tenants=tuple(_of_tenant(name, stored) for name in names),
        )

    async def rotate(self, *, reason: str, by: Principal) -> str:
        """Have the provider make a new key of keys; give its name. Nothing is wrapped anew yet."""
        require(by, Right.KEYS)
        require_reason(reason)
        made = await self.providers.primary.rotate()
        await self.audit.record(_entry("vault.rotated", by, made, reason))
        return made

    async def end_epoch(
        self, tenant: str | None, *, reason: str, by: Principal, wait_seconds: float
    ) -> Ended:
        """Begin new epochs for a tenant, or for all; return once no worker seals under the old.

        Raises `NotFound` (`tenant_without_keys`), and `NotConfirmed` when workers have not answered
        in time: the epochs have ended all the same.
        """
        require(by, Right.KEYS)
        require_reason(reason)
        if tenant is not None:
            _of_known(tenant, await self.keys.all())
        about = "every tenant" if tenant is None else f"tenant {tenant}"
        ended, epoch = await self.keys.end(tenant, _entry("vault.epoch_ended", by, about, reason))
        self.vault.forget()
        rows = await confirmed(
            self.workers, epoch, wait_seconds, done="the period has ended", code="end_unconfirmed"
        )
        return Ended(
            ended=ended,
            epoch=epoch,
            **_names(rows),
        )

    async def rewrap(self, after: str, limit: int, *, by: Principal) -> Rewrapped:
        """Wrap the next keys anew under the newest key of the provider; no record is touched."""
        require(by, Right.KEYS)
        live = [key for key in await self.keys.all() if key.wrapped is not None]
        batch = sorted((key for key in live if key.id > after), key=lambda key: key.id)[:limit]
        count = 0
        for key in batch:
            context = KeyContext(key.tenant, key.id)
            wrapped = await self.providers.rewrap(Wrapped(key.wrapped or b"", key.kek), context)
            count += await self.keys.rewrap(key, wrapped.blob, wrapped.kek)
        entry = _entry("vault.rewrapped", by, self.providers.primary.name, "", keys=count)
        await self.audit.record(entry)
        is_last = len(batch) < limit
        return Rewrapped(rewrapped=count, total=len(live), after=None if is_last else batch[-1].id)

    async def shred(self, asked: ShredAsked, *, by: Principal) -> Shredded:
        """Destroy a tenant's keys of periods that are over, and show that nothing opens any more.

        Raises `NotFound` (`tenant_without_keys`, `nothing_to_shred`), `Conflict` (`legal_hold`,
        `undelivered_events`, `deliveries_under_way`), and `NotConfirmed` when workers have not
        answered in time: the keys are gone all the same.
        """
        require(by, Right.ERASE)
        require_reason(asked.reason)
        keys = await self._doomed(asked)
        await require_unheld(self.registry, asked.tenant, self.wall_us())
        starts = [start_of(key.id) for key in keys]
        needing = await self.outbox.needing(asked.tenant, starts)
        undelivered = sum(needing.values())
        if asked.is_rehearsal:
            return Shredded(
                tenant=asked.tenant,
                outbox=self.outbox.place,
                is_done=False,
                keys=len(keys),
                undelivered=undelivered,
            )
        if undelivered and not asked.drop_waiting:
            raise _undelivered(undelivered)
        dropped = await self._drop(asked, starts, by) if undelivered else 0
        gone, epoch, proofs = await self._destroy(asked, keys, by)
        payloads = await self.outbox.forget(asked.tenant, starts)
        rows = await confirmed(
            self.workers,
            epoch,
            asked.wait_seconds,
            done=f"{len(gone)} keys are destroyed",
            code="shred_unconfirmed",
        )
        return Shredded(
            tenant=asked.tenant,
            outbox=self.outbox.place,
            is_done=True,
            keys=len(gone),
            undelivered=undelivered,
            dropped=dropped,
            payloads=payloads,
            proofs=proofs,
            epoch=epoch,
            **_names(rows),
        )

    async def _destroy(
        self, asked: ShredAsked, keys: Sequence[EpochKey], by: Principal
    ) -> tuple[list[str], Epoch, tuple[Proof, ...]]:
        """Destroy keys, and show of each that what it opened before opens no more."""
        samples = [await self.outbox.sample(asked.tenant, start_of(key.id)) for key in keys]
        opened = [await self._does_open(*each) for each in zip(keys, samples, strict=True)]
        about = f"tenant {asked.tenant}"
        gone, epoch = await self.keys.destroy(
            keys, _entry("vault.shredded", by, about, asked.reason, before_us=asked.before_us)
        )
        self.vault.forget()
        proofs = [
            Proof(
                key=key.id,
                begins_us=key.begins_us,
                ends_us=key.ends_us,
                event=sample.event_id if sample is not None else "",
                opened_before=did_open,
                opens_now=await self._does_open(key, sample),
            )
            for key, sample, did_open in zip(keys, samples, opened, strict=True)
        ]
        return gone, epoch, tuple(proofs)

    async def _doomed(self, asked: ShredAsked) -> list[EpochKey]:
        if asked.before_us > self.wall_us():
            raise InvalidInput(
                "what is yet to come cannot be shredded",
                where="before",
                fix="give a time that is past; 'dispatcher vault rotate --epoch' ends a period now",
                code="before_in_future",
            )
        keys = [
            key
            for key in _of_known(asked.tenant, await self.keys.all())
            if key.wrapped is not None and key.ends_us <= asked.before_us
        ]
        if not keys:
            raise NotFound(
                f"{asked.tenant} has no key whose period ended before that",
                where="tenant",
                fix="'dispatcher vault status' lists periods; 'vault rotate --epoch' ends one now",
                code="nothing_to_shred",
            )
        return keys

    async def _drop(self, asked: ShredAsked, starts: Sequence[bytes], by: Principal) -> int:
        dropped = await self.outbox.drop(asked.tenant, starts)
        about = f"tenant {asked.tenant}"
        entry = _entry("vault.deliveries_dropped", by, about, asked.reason, deliveries=dropped)
        await self.audit.record(entry)
        left = sum((await self.outbox.needing(asked.tenant, starts)).values())
        if left:
            raise Conflict(
                f"{left} deliveries of these events are under way",
                where="deliveries",
                fix="ask again in a moment, when they have ended",
                code="deliveries_under_way",
            )
        return dropped

    async def _does_open(self, key: EpochKey, sample: Sample | None) -> bool:
        """True when the key can be had, and opens the sample where there is one."""
        try:
            await self.vault.fetch(start_of(key.id))
            if sample is not None:
                self.vault.open(sample.blob, payload_place(key.tenant, sample.event_id))
        except (KeyDestroyed, SealBroken):
            return False
        return True


def _of_known(tenant: str, stored: Iterable[EpochKey]) -> list[EpochKey]:
    """Give a tenant's keys, destroyed ones too. A tenant without any was never sealed for."""
    own = [key for key in stored if key.tenant == tenant]
    if not own or not tenant:
        raise NotFound(
            f"the tenant {tenant[:100]!r} has no key, and never had one",
            where="tenant",
            fix="'dispatcher vault status' lists the tenants that have; is it spelled like there?",
            code="tenant_without_keys",
        )
    return own


def _undelivered(count: int) -> DispatcherError:
    return Conflict(
        f"{count} deliveries wait for events that would be unreadable",
        where="deliveries",
        fix="deliver them first, or lose them: --drop-waiting",
        code="undelivered_events",
    )


def _of_tenant(name: str, stored: Iterable[EpochKey]) -> TenantKeys:
    own = [key for key in stored if key.tenant == name]
    live = [key for key in own if key.wrapped is not None]
    return TenantKeys(
        tenant=name,
        keys=len(live),
        destroyed=len(own) - len(live),
        oldest_us=min((key.begins_us for key in live), default=None),
        ends_us=max(key.ends_us for key in own),
    )


def _names(rows: Sequence[WorkerRow]) -> dict[str, Any]:
    """Name the processes that have confirmed, and those that have lost their policy lease."""
    return {
        "confirmed": tuple(row.id for row in rows if not row.is_fenced),
        "fenced": tuple(row.id for row in rows if row.is_fenced),
    }


def _entry(kind: str, by: Principal, about: str, reason: str, **detail: int) -> Entry:
    return Entry(kind=kind, actor=by.name, about=about, reason=reason, detail=detail)
