"""The slow chores: rescue lost leases, judge parked rows again, refresh the outbox's catalogue,
note fields nobody has classed, empty the vault of retired partners, destroy signing keys that
ended, forget workers long gone.

Runs beside the road in small batches; a chore that fails is logged and tried again next time.
"""

import asyncio
from typing import Final

from dispatcher.model.errors import KeyMissing, KeyUnavailable
from dispatcher.model.ids import Revision
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Reason
from dispatcher.vault.places import REGISTRY
from dispatcher.worker.ended_keys import destroy_ended_keys
from dispatcher.worker.kit import Kit, rest
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.triage import Triage

VAULT_ROWS: Final = 1000
REJUDGE_ROWS: Final = 1000
REJUDGE_BATCHES: Final = 20
FORGET_EVERY: Final = 60
"""Turns between looks for what may be forgotten."""
FORGET_WORKERS_SECONDS: Final = 3600
READ_LOST_SECONDS: Final = 600
"""Longer than any read may take, by far."""
_HOUR_US: Final = 3_600_000_000


class Upkeep:
    """Does every chore in turn."""

    def __init__(self, kit: Kit, policy: PolicyWatch, triage: Triage) -> None:
        self._triage = triage
        self._kit = kit
        self._policy = policy
        self._published = Revision(0)
        self._offered = ""
        self._turns = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Take a turn at every interval, until told to stop; a turn under way is finished."""
        while not stopping.is_set():
            try:
                await self.turn()
            except Exception as error:  # noqa: BLE001 - one chore's fault must not end the others
                self._kit.report("upkeep_failed", error)
            await rest(stopping, self._kit.settings.upkeep_seconds)

    async def turn(self) -> None:
        """Do the chores that are due."""
        kit, snapshot = self._kit, self._policy.snapshot
        rescued = await kit.claims.rescue()
        if rescued:
            kit.metrics.rescued.inc(rescued)
            kit.log.warning("leases_rescued", count=rescued)
        lost = await kit.tickets.lose_reads(READ_LOST_SECONDS * 1_000_000)
        if lost:
            kit.log.warning("reads_lost", count=lost)
        if snapshot.revision != self._published:
            event_types = snapshot.event_types.values()
            await kit.catalogue.publish(event_types, snapshot.producers, snapshot.revision)
            self._published = snapshot.revision
            await self._empty_vault()
        await self._offer_intake()
        for _ in range(REJUDGE_BATCHES):
            if await kit.claims.rejudge(snapshot.epoch, rows_max=REJUDGE_ROWS) < REJUDGE_ROWS:
                break
        await self._park_orphans(snapshot)
        await self._triage.write(snapshot)
        if self._turns % FORGET_EVERY == 0:
            await self._forget()
        self._turns += 1

    async def _offer_intake(self) -> None:
        """Let producers seal to the key of today; without one at hand, they keep the last one.

        Looked at in every turn: who puts another in its place reads what producers seal to it.
        """
        kit = self._kit
        try:
            await kit.vault.ready(REGISTRY)
            key = kit.vault.intake_key()
        except (KeyMissing, KeyUnavailable) as error:
            kit.report("key_unavailable", error)
            return
        others = await kit.catalogue.offer_intake(key.id, key.public)
        if others and key.id == self._offered:
            why = "the catalogue named another key; unless a period just began, who wrote it there?"
            kit.log.warning("intake_key_replaced", count=others, why=why)
        self._offered = key.id

    async def _park_orphans(self, snapshot: Snapshot) -> None:
        """Park what waits for subscriptions that are gone; it is judged again if they return."""
        known = {lane for lane, _ in snapshot.open_lanes} | snapshot.closed.keys()
        for lane in (await self._kit.claims.waiting_lanes()).keys() - known:
            await self._kit.claims.park_lane(lane, Reason.SUBSCRIPTION_UNKNOWN, snapshot.epoch)

    async def _empty_vault(self) -> None:
        """Delete the tokens of retired partners; without their keys they mean nothing by now."""
        kit, count = self._kit, VAULT_ROWS
        while count == VAULT_ROWS:
            count = await kit.vault_tokens.purge(self._policy.retired, rows_max=VAULT_ROWS)
            if count:
                kit.log.info("vault_emptied", count=count)

    async def _forget(self) -> None:
        kit = self._kit
        await kit.tickets.forget_signatures(_HOUR_US)
        # A letter that was under way at the time may have left one.
        await self._empty_vault()
        await kit.workers.forget_silent(FORGET_WORKERS_SECONDS * 1_000_000)
        await destroy_ended_keys(kit)
