"""Short ways to put events on the road and to make letters, for tests of the store."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.delivery import Move, Outcome, State
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.event import Content, Event
from dispatcher.model.ids import Epoch, LeaseToken, Revision, WebhookId, lane_of
from dispatcher.model.letter import (
    Admitted,
    Cleared,
    Leased,
    Planned,
    Sealed,
    Settlement,
    Shaped,
)
from dispatcher.model.path import parse_path
from dispatcher.model.producers import list_producers
from dispatcher.model.registry import EventType, Producer
from dispatcher.model.scope import Field, Scope
from dispatcher.model.snapshot import Route
from dispatcher.model.window import Window
from dispatcher.producer import enqueue
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.claims import ClaimStore, LaneOrder
from dispatcher.store.database import Database
from dispatcher.store.ledger import Disclosure, LedgerStore, Settled
from dispatcher.store.outbox import Filing, OutboxStore

ORDER_PLACED = EventType(
    name="order.placed",
    schema='{"type":"object","required":["id"],"properties":{"id":{"type":"string"},'
    '"email":{"type":"string"},"total":{"type":"integer"}},"additionalProperties":false}',
    payload_bytes_max=1000,
)
LANE = lane_of("acme", "order.placed")
TOKEN = LeaseToken("token-1")
MINUTE_US = 60_000_000
_numbers = itertools.count(1)


def field_of(path: str) -> Field:
    return Field(parse_path(path), "pass", "string", Category.OTHER, Sensitivity.INTERNAL)


WIDE = Scope.of((field_of("$.id"), field_of("$.email")))
NARROW = Scope.of((field_of("$.id"),))


def lie_open(blob: bytes, tenant: str, event_id: str) -> bytes | None:
    """Open what `Road.file` lays by as if it were sealed; what is truly sealed makes no sense."""
    return blob


async def rows(database: Database, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """Read whatever a statement finds."""
    async with database.begin() as connection:
        found = await database.execute(connection, sql, **parameters)
        return [dict(row) for row in found.mappings()]


async def change(database: Database, sql: str, **parameters: Any) -> None:
    async with database.begin() as connection:
        await database.execute(connection, sql, **parameters)


@dataclass
class Road:
    """One outbox database with the stores that work on it, and shortcuts along the road."""

    database: Database
    open_payload: Callable[[bytes, str, str], bytes | None] = lie_open
    outbox: OutboxStore = field(init=False)
    claims: ClaimStore = field(init=False)
    ledger: LedgerStore = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = OutboxStore(self.database, self.open_payload)
        self.claims = ClaimStore(self.database, self.open_payload)
        self.ledger = LedgerStore(self.database, "worker-1")

    async def publish(
        self, *event_types: EventType, producers: Sequence[Producer] = (), revision: int = 1
    ) -> None:
        await CatalogueStore(self.database).publish(
            event_types or (ORDER_PLACED,), list_producers(producers), Revision(revision)
        )

    async def enqueue(self, count: int = 1, **changed: Any) -> list[str]:
        """Put events into the outbox, as a product service does."""
        terms: dict[str, Any] = {"tenant": "shop", "subjects": ["person-1"]} | changed
        async with self.database.begin() as connection:
            return [
                await enqueue(connection, "order.placed", {"id": f"o{number}"}, **terms)
                for number in range(count)
            ]

    async def file(
        self,
        *,
        subscriptions: Sequence[str] = ("acme",),
        state: State = State.WAITING,
        scope: Scope = WIDE,
        token: LeaseToken = TOKEN,
        lease_us: int = MINUTE_US,
        limit: int = 1000,
        window: Window | None = None,
    ) -> int:
        """Plan every new event for these subscriptions, to be summed up where a window is given."""
        async with self.outbox.intake(limit=limit, floor_us=0) as intake:
            filings = [
                Filing(
                    event=new.event,
                    slot=new.slot if position == 0 else None,
                    state=state,
                    planned=planned(subscription, scope),
                    window=window,
                )
                for new in intake.events
                for position, subscription in enumerate(subscriptions)
            ]
            await intake.seal(
                [
                    (new.event.seq, _content(new.event).pack(new.event.type))
                    for new in intake.events
                    if not new.is_sealed
                ]
            )
            await intake.file(filings, epoch=Epoch(1), token=token, lease_us=lease_us)
            return len(intake.events)

    async def close_windows(self) -> None:
        """Let the time of every window be over."""
        await change(self.database, "UPDATE {windows} SET closes_us = 1")
        sql = "UPDATE {deliveries} SET due_us = 1 WHERE due_us IS NOT NULL AND window_id > 0"
        await change(self.database, sql)

    async def members(self) -> list[tuple[int, int]]:
        """Give delivery and event of each that counts in a window."""
        sql = """SELECT d.id AS letter, m.event_seq AS seq FROM {window_members} m
            JOIN {deliveries} d ON d.window_id = m.window_id ORDER BY d.id, m.event_seq"""
        return [(each["letter"], each["seq"]) for each in await rows(self.database, sql)]

    async def lease(
        self,
        *lanes: str,
        rows_max: int = 100,
        token: LeaseToken | None = None,
        lease_us: int = MINUTE_US,
    ) -> list[Leased]:
        token = token or LeaseToken(f"token-{next(_numbers)}")
        orders = [LaneOrder(lane, rows_max, 0) for lane in lanes or (LANE,)]
        taken, _ = await self.claims.lease(orders, token=token, lease_us=lease_us, lease_ends=9.0)
        return taken

    async def leased(self, count: int = 1, **terms: Any) -> list[Leased]:
        """Walk fresh events up to the point where a worker holds their deliveries."""
        await self.publish()
        await self.enqueue(count)
        await self.file()
        return await self.lease(**terms)

    async def disclose(self, *letters: Sealed) -> list[bool]:
        return await self.ledger.disclose(
            [Disclosure(each, ("sub_x",), ("k1",)) for each in letters]
        )

    async def settle(self, *settlements: Settlement, epoch: int = 1) -> None:
        await self.ledger.settle([Settled(each, Epoch(epoch)) for each in settlements])

    async def deliveries(self) -> list[dict[str, Any]]:
        return await rows(self.database, "SELECT * FROM {deliveries} ORDER BY id")

    async def disclosures(self) -> list[dict[str, Any]]:
        sql = "SELECT * FROM {disclosures} ORDER BY delivery_id, attempt"
        return await rows(self.database, sql)


def _content(event: Event) -> Content:
    return Content(event.subjects_text, event.ordering_key, event.payload or b"")


def planned(subscription: str = "acme", scope: Scope = WIDE) -> Planned:
    return Planned(
        subscription=subscription,
        lane=lane_of(subscription, "order.placed"),
        webhook_id=WebhookId(f"msg_{next(_numbers)}"),
        scope=scope,
    )


def sealed(leased: Leased, scope: Scope = WIDE) -> Sealed:
    """Make the letter that a leased delivery would become."""
    route = Route(
        subscription=leased.subscription,
        connector="acme",
        purpose="fulfilment",
        legal_basis="contract",
        agreement="A-1",
        country="DE",
        endpoint=parse_endpoint("https://hooks.example.com/in"),
        tenants=frozenset({"shop"}),
        scopes={"order.placed": scope},
        retry_seconds=(5,),
        attempt_seconds=15,
        concurrency=32,
    )
    cleared = Cleared(leased=leased, route=route, scope=scope, revision=Revision(1), epoch=Epoch(1))
    body = b'{"id":"x"}'
    return Sealed(
        shaped=Shaped(
            admitted=Admitted(cleared=cleared, addresses=("192.0.2.1",)),
            plaintext=body,
            disclosed=scope.fields,
        ),
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
        content_type="application/json",
    )


def settlement(leased: Leased, move: Move, outcome: Outcome | None, **changed: Any) -> Settlement:
    terms: dict[str, Any] = {"attempt": leased.attempt, "failures": leased.failures} | changed
    return Settlement(
        id=leased.id,
        token=leased.token,
        move=move,
        outcome=outcome,
        **terms,
    )
