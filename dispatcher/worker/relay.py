"""Step 1 of the road: new events become deliveries.

Claims a batch from the intake, plans each event against one snapshot, and files the plans in the
same transaction: leased at once where the lane is open and its window has room, waiting otherwise.
A payload that came in clear is checked and sealed on the way; where its tenant's key cannot be had
it stays in the intake, and the others go on.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from dispatcher.model.delivery import State
from dispatcher.model.errors import DispatcherError, KeyUnavailable, KeyUnknown
from dispatcher.model.event import UNREADABLE, Content, Event
from dispatcher.model.ids import DeliveryId, LeaseToken, WebhookId
from dispatcher.model.letter import Leased, Planned
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.model.window import window_for
from dispatcher.stages.fanout.intake import check_payload, check_subjects
from dispatcher.stages.fanout.plan import plan
from dispatcher.stages.settling.settle import KEY_PAUSE_US
from dispatcher.store.outbox import Filing, Intake, NewEvent
from dispatcher.vault.places import payload_place
from dispatcher.worker.desk import Desk
from dispatcher.worker.kit import Kit, Step
from dispatcher.worker.policy import PolicyWatch
from dispatcher.worker.triage import Triage

LIMIT_MIN: Final = 16
DOUBLINGS_MAX: Final = 16
PAUSES: Final = 2


@dataclass(slots=True)
class _Batch:
    snapshot: Snapshot
    token: LeaseToken
    lease_ends: float
    filings: list[Filing] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)


class Relay:
    """Plans new events, batch by batch."""

    def __init__(self, kit: Kit, policy: PolicyWatch, desk: Desk, triage: Triage) -> None:
        self._kit = kit
        self._triage = triage
        self._policy = policy
        self._desk = desk
        self._floor_us = 0
        self._floor_ends = 0.0
        self._busy: set[str] = set()
        self._full_turns = 0
        self._keyless: dict[str, float] = {}
        self._asked: set[int] = set()
        self._lost: set[int] = set()

    async def turn(self) -> int:
        """Plan one batch; give how many events it held, 1 where windows must empty first."""
        kit = self._kit
        if self._policy.lease_ends <= kit.clock.boot():
            return 0
        limit = self._limit()
        if not limit:
            return 1
        lease_seconds = self._policy.delivery_lease_seconds
        batch = _Batch(self._policy.snapshot, kit.mint_token(), kit.clock.boot() + lease_seconds)
        kit.step(Step.CLAIM)
        async with (
            self._policy.sealing,
            kit.outbox.intake(limit=limit, floor_us=self._floor()) as intake,
        ):
            if not intake.events:
                return 0
            events = [self._given_up(new) for new in intake.events]
            blobs, late = self._seal_clear(events)
            asked = [new for new in late if self._may_ask(new)]
            if not asked:
                ids = await self._file(intake, batch, events, blobs, late)
        if asked:  # not inside the transaction: whoever keeps the keys may be slow
            await self._have_keys(asked)
            return 1
        self._asked.clear()
        self._lost.clear()
        kit.step(Step.FILED)
        self._floor_us = intake.events[-1].due_us
        self._busy = {f.planned.subscription for f in batch.filings if f.planned is not None}
        kit.metrics.planned.inc(len(intake.events))
        self._desk.accept(
            (_leased(filing.event, filing.planned, ids[filing.planned.webhook_id], batch), route)
            for filing in batch.filings
            if filing.state is State.LEASED
            and filing.planned is not None
            and (route := batch.snapshot.routes.get(filing.planned.subscription)) is not None
        )
        return len(intake.events)

    def _limit(self) -> int:
        """Claim about as many as can be leased at once: one filed as waiting costs a write more.

        Windows that are full get two pauses to empty. Where they stay full, claims grow from turn
        to turn, so that slow partners cannot keep events from the others.
        """
        routes = self._policy.snapshot.routes
        room = sum(self._desk.room(routes[name]) for name in self._busy if name in routes)
        most = self._kit.settings.claim_batch_max
        if not self._busy or room >= LIMIT_MIN:
            self._full_turns = 0
            return min(most, room) if self._busy else most
        self._full_turns += 1
        if self._full_turns <= PAUSES:
            return 0
        return min(most, LIMIT_MIN << min(self._full_turns - PAUSES - 1, DOUBLINGS_MAX))

    def _floor(self) -> int:
        """Skip what was claimed before, and look at everything again once a second."""
        now = self._kit.clock.boot()
        if now >= self._floor_ends:
            self._floor_us, self._floor_ends = 0, now + 1.0
        return self._floor_us

    async def _file(
        self,
        intake: Intake,
        batch: _Batch,
        events: Sequence[NewEvent],
        blobs: Sequence[tuple[int, bytes]],
        late: Sequence[NewEvent],
    ) -> dict[WebhookId, DeliveryId]:
        """Plan the claimed events and write it down; those without a key are left for later."""
        kit = self._kit
        await intake.seal(blobs)
        await intake.postpone([new.slot for new in late], KEY_PAUSE_US)
        slots = {new.slot for new in late}
        for new in events:
            if new.slot not in slots:
                batch.filings.extend(self._plan(new, batch))
        kit.step(Step.FILE)
        return await intake.file(
            batch.filings,
            epoch=batch.snapshot.epoch,
            token=batch.token,
            lease_us=int(self._policy.delivery_lease_seconds * 1_000_000),
        )

    def _seal_clear(
        self, events: Sequence[NewEvent]
    ) -> tuple[list[tuple[int, bytes]], list[NewEvent]]:
        """Seal what came in clear; give also the events whose key is not at hand."""
        blobs, late = [], []
        for new in events:
            event = new.event
            if event.is_locked:
                if not new.is_sealed or new.is_parked_before:  # to be checked, so to be opened
                    late.append(new)
            elif event.payload and not new.is_sealed:
                try:
                    content = Content(event.subjects_text, event.ordering_key, event.payload)
                    place = payload_place(event.tenant, event.id)
                    blobs.append((event.seq, self._kit.vault.seal(content.pack(event.type), place)))
                except KeyUnavailable:
                    late.append(new)
        now = self._kit.clock.boot()
        self._keyless = {name: ends for name, ends in self._keyless.items() if ends > now}
        return blobs, late

    def _given_up(self, new: NewEvent) -> NewEvent:
        """Take what lies under a key that nobody has for unreadable, as any other broken seal."""
        if new.event.seq not in self._lost or not new.event.is_locked:
            return new
        return replace(new, event=replace(new.event, payload=UNREADABLE, is_locked=False))

    def _may_ask(self, new: NewEvent) -> bool:
        """True once for each event before others are filed, so that none can keep them for ever."""
        return new.event.tenant not in self._keyless and new.event.seq not in self._asked

    async def _have_keys(self, late: Sequence[NewEvent]) -> None:
        """Have at hand what these events need; note the tenants for whom it cannot be had now."""
        self._asked.update(new.event.seq for new in late)
        of_tenant: dict[str, list[NewEvent]] = defaultdict(list)
        for new in late:
            of_tenant[new.event.tenant].append(new)
        await asyncio.gather(*(self._have_key(*each) for each in of_tenant.items()))

    async def _have_key(self, tenant: str, late: Sequence[NewEvent]) -> None:
        vault = self._kit.vault
        try:
            if not all(new.is_sealed for new in late):
                await vault.ready(tenant)
            for new in late:
                if new.event.is_locked and new.event.payload:
                    await self._fetch(new.event.seq, new.event.payload)
        except DispatcherError as error:
            self._kit.report("key_unavailable", error)
            self._keyless[tenant] = self._kit.clock.boot() + KEY_PAUSE_US / 1_000_000

    async def _fetch(self, seq: int, blob: bytes) -> None:
        try:
            await self._kit.vault.fetch(blob)
        except KeyUnknown:  # whoever may insert a row may name any key
            self._lost.add(seq)

    def _plan(self, new: NewEvent, batch: _Batch) -> Iterator[Filing]:
        event, snapshot = new.event, batch.snapshot
        planned = plan(event, snapshot, self._kit.mint_webhook_id)
        if not isinstance(planned, Refusal):
            planned = self._judge_content(new, snapshot) or planned
        if isinstance(planned, Refusal):
            yield Filing(event=event, slot=new.slot, state=State.PARKED, refusal=planned)
            return
        if not event.is_locked:
            self._triage.look(event, snapshot.event_types[event.type])
        if not planned:
            yield Filing(event=event, slot=new.slot, state=State.DROPPED)
        slot: DeliveryId | None = new.slot
        for delivery, route in _alone_first(planned, snapshot):
            state, window = State.WAITING, None
            if route.window_seconds is not None:
                window = window_for(new.enqueued_us, new.claimed_us, route.window_seconds)
            elif self._has_room(delivery, route, batch):
                state = State.LEASED
            yield Filing(event=event, slot=slot, state=state, planned=delivery, window=window)
            slot = None

    def _judge_content(self, new: NewEvent, snapshot: Snapshot) -> Refusal | None:
        """Check a row that no producer library has checked; theirs come sealed."""
        if not new.has_subjects:
            return refuse(Reason.SUBJECTS_INVALID)
        event_type = snapshot.event_types.get(new.event.type)
        is_checked = new.is_sealed and not new.is_parked_before
        if is_checked or event_type is None or new.event.payload is None:
            return None
        if new.event.payload == UNREADABLE:
            return refuse(Reason.PAYLOAD_UNREADABLE)
        return check_subjects(len(new.event.subjects), event_type) or check_payload(
            new.event.payload, event_type
        )

    def _has_room(self, delivery: Planned, route: Route, batch: _Batch) -> bool:
        if delivery.lane in batch.snapshot.closed:
            return False
        if self._desk.room(route, batch.taken.total(), batch.taken[route.subscription]) <= 0:
            return False
        batch.taken[route.subscription] += 1
        return True


def _alone_first(planned: Sequence[Planned], snapshot: Snapshot) -> Sequence[tuple[Planned, Route]]:
    """Give deliveries with their routes, those that an intake row can become before the others."""
    routed = [(delivery, snapshot.routes[delivery.subscription]) for delivery in planned]
    if any(route.window_seconds is not None for _, route in routed):
        routed.sort(key=lambda each: each[1].window_seconds is not None)
    return routed


def _leased(event: Event, planned: Planned, row: DeliveryId, batch: _Batch) -> Leased:
    return Leased(
        id=row,
        token=batch.token,
        attempt=1,
        failures=0,
        webhook_id=planned.webhook_id,
        subscription=planned.subscription,
        filed_scope=planned.scope.id,
        lease_ends=batch.lease_ends,
        event=event,
    )
