"""Small sound values for tests of the pure floors; each test changes only what it is about."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.event import Event
from dispatcher.model.ids import DeliveryId, Epoch, EventId, LeaseToken, Revision, WebhookId
from dispatcher.model.letter import Admitted, Cleared, Leased
from dispatcher.model.paper import Agreement, Assessment, Purpose
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.proof import Proof, ProofMethod, proof_key
from dispatcher.model.registry import (
    Connector,
    Destination,
    EventType,
    Producer,
    Registry,
    Subscription,
)
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.switch import Switch, Target
from dispatcher.model.token import TokenKey
from dispatcher.stages.gates.listing import Ground
from dispatcher.stages.gates.preflight import preflight
from dispatcher.stages.revising.compiling import compile_snapshot, plan_routes
from dispatcher.vault.tokens import TokenKeys
from tests.support.records import KEYRING

TODAY = date(2026, 6, 1)
FAR = date(2099, 12, 31)
NO_LOOPBACK: frozenset[tuple[str, int]] = frozenset()
TOKENS = TokenKeys(KEYRING).recipient("north", TokenKey("acme", 1, b"s" * 32))


def leaf(kind: str | list[str] = "string", category: str = "other", level: str = "public") -> Any:
    return {
        "type": kind,
        "x-data-classification": {"category": category, "sensitivity": level},
    }


def record(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members}


def text_of(schema: Any) -> str:
    return msgspec.json.encode(schema).decode()


ORDER = record(
    id=leaf(),
    total=leaf("integer"),
    customer=record(
        name=leaf(),
        email=leaf(category="contact", level="confidential"),
        token=leaf(category="secret"),
        note=leaf(),
    ),
    lines={"type": "array", "items": record(sku=leaf(), qty=leaf("integer"))},
    rates={"type": "object", "additionalProperties": leaf("number")},
)
UNCLASSED = record(**ORDER["properties"] | {"customer": record(note={"type": "string"})})
"""A schema as no registry takes it: if one slipped in, its note would have no class."""


def event_type(name: str = "order.paid", schema: Any = None, **more: Any) -> EventType:
    return EventType(name=name, schema=text_of(ORDER if schema is None else schema), **more)


def connector(name: str = "acme", **more: Any) -> Connector:
    given: dict[str, Any] = {
        "name": name,
        "owner": "ada",
        "contact": "ada@acme.example",
        "owner_confirmed_until": FAR,
        "tenants": ("north",),
        "purposes": (Purpose(name="fulfilment"),),
        "destinations": (Destination(host="hooks.acme.example", reason="orders"),),
    }
    return Connector(**given | more)


def subscription(name: str = "acme-orders", **more: Any) -> Subscription:
    given: dict[str, Any] = {
        "name": name,
        "connector": "acme",
        "purpose": "fulfilment",
        "url": "https://hooks.acme.example/in",
        "scope": {"order.paid": ("$.id", "$.lines[*].sku")},
    }
    return Subscription(**given | more)


def producer(name: str = "shop", **more: Any) -> Producer:
    given: dict[str, Any] = {"event_types": ("order.paid",), "tenants": ("north",)}
    return Producer(name=name, **given | more)


def registry(**more: Any) -> Registry:
    given: dict[str, Any] = {
        "event_types": (event_type(),),
        "connectors": (connector(),),
        "subscriptions": (subscription(),),
    }
    return Registry(**given | more)


def switch(target: str, number: int = 1) -> Switch:
    return Switch(
        id=number, target=Target.parse(target), reason="a test", actor="sre", tripped_us=0
    )


def proof(place: str = "https://hooks.acme.example:443/in", **more: Any) -> Proof:
    given: dict[str, Any] = {
        "connector": "acme",
        "method": ProofMethod.ECHO,
        "proven_us": us_of(TODAY),
        "proven_by": "w1",
        "revision": Revision(1),
    }
    return Proof(place=place, **given | more)


def us_of(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000


def proofs_of(held: Registry, today: date = TODAY) -> tuple[Proof, ...]:
    """Prove every endpoint there is."""
    keys = [
        proof_key(route.connector, route.endpoint)
        for _, route, _ in plan_routes(held, Ground(held.policy, today, NO_LOOPBACK))
    ]
    return tuple(proof(place, connector=name, proven_us=us_of(today)) for name, place in keys)


def snapshot(
    held: Registry | None = None,
    *stops: str,
    revision: int = 1,
    epoch: int = 1,
    today: date = TODAY,
    proofs: Iterable[Proof] | None = None,
) -> Snapshot:
    """Compile a snapshot, by default with every endpoint proven."""
    held = registry() if held is None else held
    return compile_snapshot(
        held,
        revision=Revision(revision),
        epoch=Epoch(epoch),
        switches=tuple(switch(target, number) for number, target in enumerate(stops)),
        proofs=proofs_of(held, today) if proofs is None else proofs,
        today=today,
        loopback=NO_LOOPBACK,
    )


def event(payload: bytes | None = b'{"id":"o1"}', **more: Any) -> Event:
    given: dict[str, Any] = {
        "seq": 1,
        "id": EventId("evt_1"),
        "tenant": "north",
        "type": "order.paid",
        "producer": "shop",
        "subjects": (),
        "occurred_us": 1_700_000_000_000_000,
        "payload": payload,
    }
    return Event(**given | more)


def leased(of: Event | None = None, **more: Any) -> Leased:
    given: dict[str, Any] = {
        "id": DeliveryId(7),
        "token": LeaseToken("lease"),
        "attempt": 1,
        "failures": 0,
        "webhook_id": WebhookId("msg_1"),
        "subscription": "acme-orders",
        "filed_scope": Scope.of(()).id,
        "lease_ends": 100.0,
        "event": event() if of is None else of,
    }
    return Leased(**given | more)


def cleared(of: Event | None = None, under: Snapshot | None = None) -> Cleared:
    policy = snapshot() if under is None else under
    verdict = preflight(leased(of), policy, policy.routes["acme-orders"].scopes["order.paid"])
    assert isinstance(verdict, Cleared)
    return verdict


def admitted(
    payload: bytes,
    *grants: str,
    schema: Any = None,
    subjects: tuple[str, ...] = (),
    keys: tuple[PartnerKey, ...] = (),
    **more: Any,
) -> Admitted:
    """Admit a letter to a partner who may know everything; `more` are keys of the subscription."""
    held = registry(
        event_types=(event_type(schema=schema),),
        subscriptions=(subscription(scope={"order.paid": grants}, **more),),
        connectors=(
            connector(
                keys=keys,
                clearance=Sensitivity.RESTRICTED,
                agreement=Agreement(reference="A-1", until=FAR),
                assessment=Assessment(reference="PIA-1", until=FAR, covers=("*",)),
                purposes=(Purpose(name="fulfilment", categories=tuple(Category)),),
            ),
        ),
    )
    letter = cleared(event(payload, subjects=subjects), snapshot(held))
    return Admitted(cleared=letter, addresses=("8.8.8.8",))
