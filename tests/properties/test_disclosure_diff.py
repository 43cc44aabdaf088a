"""No event can disclose more after a change that was not called widening.

Pairs of registries are generated, and events sent through the stages of both, on several days: the
same stages that the worker uses. The diff itself is asked only for its word.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.disclosure import Direction
from dispatcher.model.ids import WebhookId
from dispatcher.model.leak import Confidence, Detector, LeakAction, LeakRule
from dispatcher.model.letter import Admitted, Cleared, Resolved, Shaped
from dispatcher.model.paper import Agreement, Assessment, ConnectorState, LegalBasis, Purpose
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.producers import (
    Writer,
    judge_producer,
    list_producers,
    producer_of_principal,
)
from dispatcher.model.registry import (
    Destination,
    Encryption,
    EventType,
    OwnershipProof,
    Policy,
    Producer,
    Registry,
)
from dispatcher.model.snapshot import Route
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Refusal
from dispatcher.stages.fanout.intake import check_payload
from dispatcher.stages.fanout.plan import plan
from dispatcher.stages.gates.addresses import AddressRules, admit
from dispatcher.stages.gates.preflight import preflight
from dispatcher.stages.revising.acceptance import accepts_no_more
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.producer_faults import check_producers
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.shaping.shape import shape
from tests.unit.stages import builders
from tests.unit.stages.builders import (
    FAR,
    NO_LOOPBACK,
    TODAY,
    TOKENS,
    event_type,
    leaf,
    record,
    text_of,
)

SOON, LATER = TODAY + timedelta(days=10), TODAY + timedelta(days=40)
DAYS = (TODAY, SOON, SOON + timedelta(days=1), LATER + timedelta(days=20))
PAYLOADS: tuple[dict[str, Any], ...] = (
    {"id": "o1", "mail": "ada@example.com", "card": "4111"},
    {"id": "o2", "mail": None, "more": 7},
    {"id": "o3" * 40, "mail": "bob@example.com"},
    {"id": 4, "card": "4222", "more": "x"},
    {},
)
PATHS = ("$.id", "$.mail", "$.card")


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Draw the usual value most of the time, or nothing would ever flow."""
    # Both ends of the list, for those are drawn more often.
    around = [usual] * (2 * len(others))
    return st.sampled_from([*around, *others, *around])


ENDS = mostly(FAR, None, TODAY - timedelta(days=1), SOON, LATER)
LEAVES = {
    "id": some(leaf("string"), leaf(["string", "integer"]), {**leaf("string"), "maxLength": 5}),
    "mail": some(
        leaf(["string", "null"], "contact", "confidential"),
        leaf("string", "contact", "confidential"),
        leaf(["string", "null"], "other", "public"),
    ),
    "card": some(leaf("string", "financial", "restricted"), leaf("string", "other", "internal")),
}


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    members = {
        name: draw(leaves) for name, leaves in LEAVES.items() if draw(some(True, True, False))
    }
    schema = record(**members)
    schema |= draw(some({}, {"additionalProperties": False}, {"required": ["id"]}))
    return schema | draw(some({}, {"title": "An order"}, {"maxProperties": 2}))


def papers(kind: type, **more: Any) -> st.SearchStrategy[Any]:
    ends = mostly(FAR, TODAY - timedelta(days=1), SOON, LATER)
    built = st.builds(kind, reference=st.just("A-1"), until=ends, **more)
    return st.one_of(built, st.none(), built, built)


K1, K2 = (
    PartnerKey(kid=kid, jwk=json.dumps({"kty": "OKP", "crv": "X25519", "x": sign * 43}))
    for kid, sign in (("k1", "E"), ("k2", "U"))
)
PINS = tuple(f"sha256/{letter * 43}=" for letter in "AEI")
BLOCKS = tuple(
    f"-----BEGIN CERTIFICATE-----\n{letter * 8}\n-----END CERTIFICATE-----\n" for letter in "AB"
)


def terms() -> st.SearchStrategy[Tls]:
    return st.builds(
        Tls,
        minimum=mostly("1.2", "1.3"),
        ca=mostly("", *BLOCKS, "".join(BLOCKS)),
        pins=mostly((), PINS[:2], PINS),
        pins_until=some(FAR, SOON, LATER),
        pins_report_until=mostly(None, SOON, LATER),
    )


def destinations() -> st.SearchStrategy[Destination]:
    return st.builds(
        Destination,
        host=some("hooks.acme.example", "*.acme.example", "hooks.brook.example"),
        path_prefix=mostly("/", "/in"),
        alias_zones=mostly((), ("acme.example",), ("acme.example", "cdn.example")),
        country=mostly("DE", "", "US"),
        expires=ENDS,
        tls=st.one_of(st.just(Tls()), terms()),
        close_after_each=mostly(False, True),
        reason=st.just("orders"),
    )


MAIL, PARK = Detector.EMAIL, LeakAction.PARK
LEAK_RULES = (
    (LeakRule(detector=MAIL, action=PARK),),
    (LeakRule(detector=MAIL, action=PARK, count=2),),
    (LeakRule(detector=MAIL, action=PARK, exceptions=("order.paid $.mail",)),),
    (LeakRule(detector=MAIL, action=PARK, exceptions=("* $.mail",)),),
    (LeakRule(detector=MAIL, action=LeakAction.MASK),),
    (LeakRule(detector=MAIL, action=LeakAction.BLOCK, confidence=Confidence.LOW),),
)
PURPOSES = (
    Purpose(name="fulfilment", categories=tuple(Category), legal_basis=LegalBasis.CONTRACT),
    Purpose(name="support", categories=(Category.OTHER,)),
)
GRANTS = st.lists(some(*PATHS), unique=True, max_size=3).map(tuple)
KEYS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "event_types": {
        "schema": schemas().map(text_of),
        "payload_bytes_max": mostly(65536, 40),
        "version": some(1, 2),
    },
    "connectors": {
        "state": mostly(ConnectorState.ACTIVE, ConnectorState.DRAFT),
        "tenants": some(("north",), ("north", "south"), ("south",)),
        "clearance": mostly(Sensitivity.RESTRICTED, *Sensitivity),
        "owner_confirmed_until": ENDS,
        "agreement": papers(Agreement, countries=mostly((), ("DE",), ("DE", "US"))),
        "assessment": papers(Assessment),
        "keys": mostly((K1,), (), (K2, K1), (K1, K2)),
        "destinations": st.lists(destinations(), min_size=2, max_size=4).map(tuple),
    },
    "subscriptions": {
        "connector": mostly("acme", "brook"),
        "purpose": mostly("fulfilment", "support"),
        "url": mostly("https://hooks.acme.example/in", "https://hooks.brook.example/"),
        "scope": st.fixed_dictionaries({"order.paid": GRANTS}, optional={"order.sent": GRANTS}),
        "concurrency": some(1, 32),
        "encryption": some(*Encryption),
        "encryption_kid": mostly("", "k1"),
        "headers": mostly({}, {"X-Account": "north"}, {"X-Account": "south", "X-B": "'\"\\ #"}),
    },
    "producers": {
        "event_types": mostly(("*",), ("order.paid",), ("order.paid", "order.sent")),
        "tenants": mostly(("*",), ("north",), ("north", "south")),
        "database_roles": mostly((), ("app",)),
        "principals": mostly((), ("svc",)),
    },
    "policy": {
        "leak_rules": mostly((), *LEAK_RULES),
        "encrypt_from": mostly("never", "restricted", "internal"),
        "ownership_proof": mostly(OwnershipProof.WAIVED, *OwnershipProof),
        "proof_days": some(25, 180),
        "owner_grace_days": some(0, 14),
        "revoked_hosts": mostly((), ("hooks.acme.example",), ("*.brook.example",)),
        "countries": mostly({}, {"DE": Sensitivity.RESTRICTED}, {"*": Sensitivity.INTERNAL}),
    },
}


def two_of(part: str, make: Any, *names: str) -> st.SearchStrategy[Any]:
    return st.tuples(*(st.builds(make, st.just(name), **KEYS[part]) for name in names))


def claims_nobody_twice(producers: tuple[Producer, ...]) -> bool:
    faults = check_producers(producers, ("order.paid", "order.sent"))
    return not any("claimed" in fault.why for fault in faults)


PRODUCERS = two_of("producers", builders.producer, "shop", "till").filter(claims_nobody_twice)
LISTS = st.one_of(st.just(()), PRODUCERS.map(lambda both: both[:1]), PRODUCERS)
REGISTRIES = st.builds(
    Registry,
    producers=LISTS,
    event_types=two_of(
        "event_types",
        lambda name, **keys: EventType(name=name, **keys),
        "order.paid",
        "order.sent",
    ),
    connectors=two_of(
        "connectors",
        lambda name, **keys: builders.connector(name, purposes=PURPOSES, **keys),
        "acme",
        "brook",
    ),
    subscriptions=two_of("subscriptions", builders.subscription, "one", "two"),
    policy=st.builds(Policy, **KEYS["policy"]),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Registry, Registry]:
    """A registry, and one with a small change to it: one or two keys, or an object less."""
    old = new = draw(REGISTRIES)
    for _ in range(draw(some(1, 1, 2))):
        new = draw(changed(new))
    return (old, new) if draw(st.booleans()) else (new, old)


@st.composite
def changed(draw: st.DrawFn, held: Registry) -> Registry:
    part = draw(some(*KEYS))
    key = draw(some(*KEYS[part]))
    objects = getattr(held, part)
    if part == "producers" and (not objects or draw(some(True, False, False))):
        return replace(held, producers=draw(LISTS))
    if part == "policy":
        return replace(held, policy=replace(objects, **{key: draw(KEYS[part][key])}))
    number = draw(st.integers(0, len(objects) - 1))
    was = getattr(objects[number], key)
    drawn = st.one_of(KEYS[part][key], altered(was)) if key == "destinations" else KEYS[part][key]
    value = draw(drawn.filter(lambda each: each != was))
    kept = () if draw(some(*[False] * 9, True)) else (replace(objects[number], **{key: value}),)
    new = replace(held, **{part: (*objects[:number], *kept, *objects[number + 1 :])})
    assume(claims_nobody_twice(new.producers))
    return new


@st.composite
def altered(draw: st.DrawFn, listed: tuple[Destination, ...]) -> tuple[Destination, ...]:
    """Take one entry out of the allowlist, or let it have other terms or another end."""
    number = draw(st.integers(0, len(listed) - 1))
    entry = listed[number]
    kept = draw(
        some(
            (),
            (replace(entry, tls=draw(terms())),),
            (replace(entry, tls=Tls()),),
            (replace(entry, expires=draw(ENDS)),),
        )
    )
    return (*listed[:number], *kept, *listed[number + 1 :])


# Everybody who may try to enqueue: by name, by database role, over HTTP.
WRITERS = (
    {"producer": "shop"},
    {"producer": "till"},
    {"producer": "nobody"},
    {"producer": "shop", "role": "app"},
    {"producer": "shop", "role": "stranger"},
)
PRINCIPALS = ("svc", "stranger")


def tries(held: Registry, kind: str, tenant: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Give whoever tries to enqueue, with what the row then says of them."""
    for writer in WRITERS:
        yield str(writer), writer
    for principal in PRINCIPALS:
        name = producer_of_principal(list_producers(held.producers), principal, kind, tenant)
        if isinstance(name, str):
            yield principal, {"producer": name}


# One partner has shown one of its endpoints, some time ago.
PROOFS = (builders.proof(proven_us=builders.us_of(TODAY - timedelta(days=20))),)


def disclosed(held: Registry, day: date) -> set[tuple[Any, ...]]:
    """Send every event through the stages, and note who would see what."""
    snapshot = builders.snapshot(held, today=day, proofs=PROOFS)
    seen: set[tuple[Any, ...]] = set()
    for kind in held.event_types:
        for number, payload in enumerate(PAYLOADS):
            body = msgspec.json.encode(payload)
            if check_payload(body, kind) is not None:
                continue
            for tenant in ("north", "south"):
                by, event, planned = [], builders.event(), ()
                for who, writer in tries(held, kind.name, tenant):
                    tried = builders.event(body, tenant=tenant, type=kind.name, **writer)
                    verdict = plan(tried, snapshot, lambda: WebhookId("msg_1"))
                    if not isinstance(verdict, Refusal):
                        by, event, planned = [*by, who], tried, verdict
                for each in planned:
                    leased = builders.leased(
                        event, subscription=each.subscription, filed_scope=each.scope.id
                    )
                    cleared = preflight(leased, snapshot, each.scope)
                    if isinstance(cleared, Cleared):
                        at = (kind.name, number, tenant, each.subscription)
                        seen |= {(*at, *leaf, who) for leaf in leaves(cleared) for who in by}
    return seen


# The names that a partner's host may have gone by when it was looked up.
WAYS = (
    (),
    ("edge.acme.example",),
    ("edge.cdn.example", "pop.acme.example"),
    ("cdn.brook.example",),
)


def leaves(cleared: Cleared) -> set[tuple[Any, ...]]:
    ways = [
        way
        for way in WAYS
        if isinstance(admit(cleared, Resolved(("203.0.114.9",), way), AddressRules()), Admitted)
    ]
    shaped = shape(Admitted(cleared=cleared, addresses=("203.0.114.9",)), TOKENS)
    if isinstance(shaped, Refusal):  # the leak guard
        return set()
    assert isinstance(shaped, Shaped)
    route = cleared.route
    if isinstance(seal(shaped, lambda *_: "a.b.c.d.e"), Refusal):
        return set()
    # Who reads it: whoever is on its way to the partner, or the holder of one key alone.
    key = route.letter_key
    readers = {"anybody", "k1", "k2"} if key is None else {key.kid}
    data = msgspec.json.decode(shaped.plaintext)["data"]
    to = (route.connector, str(route.endpoint), route.purpose)
    met = {(*to, "reached", each) for each in reached(route)}
    # What is masked tells less than what it stands for.
    told = {name: value for name, value in data.items() if value != "***"}
    sent = {(*to, "envelope", "")} | {(*to, name, repr(value)) for name, value in told.items()}
    sent = {(*leaf, reader) for leaf in sent for reader in readers}
    return {(*leaf, way) for leaf in met | sent for way in ways}


def reached(route: Route) -> set[tuple[Any, ...]]:
    """List the servers that a letter could reach: by version, authority, key, and reuse."""
    keys = {key for key in (*PINS, "another") if route.tls.is_reporting or route.tls.has_pin(key)}
    versions = {"1.2", "1.3"} if route.tls.minimum == "1.2" else {"1.3"}
    reuse = {False} if route.close_after_each else {False, True}
    return set(product(versions, route.tls.authorities or {"public"}, keys, reuse))


@given(pairs())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_lets_an_event_disclose_more_is_called_widening(pair):
    old, new = pair
    if diff(old, new, TODAY, NO_LOOPBACK).direction is Direction.WIDENS:
        return
    for day in DAYS:
        assert disclosed(new, day) <= disclosed(old, day)


@st.composite
def allowlists(draw: st.DrawFn) -> tuple[Registry, Registry]:
    """A registry, and one with a small change to one entry of its allowlist."""
    # Two entries of the same place are a fault, and make no revision.
    entries = st.lists(
        destinations(), min_size=2, max_size=3, unique_by=lambda each: (each.host, each.path_prefix)
    )
    was = draw(entries.map(tuple))
    both = (was, draw(altered(was)))
    old, new = (builders.registry(connectors=(builders.connector(destinations=d),)) for d in both)
    return (old, new) if draw(st.booleans()) else (new, old)


def ways(held: Registry, day: date) -> set[tuple[Any, ...]]:
    lanes = builders.snapshot(held, today=day).open_lanes
    return {each for _, route in lanes for each in reached(route)}


@given(allowlists())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_lets_a_letter_reach_another_server_is_called_widening(pair):
    old, new = pair
    if diff(old, new, TODAY, NO_LOOPBACK).direction is not Direction.WIDENS:
        for day in DAYS:
            assert ways(new, day) <= ways(old, day)


@given(pairs())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_widens_one_way_and_not_the_other_narrows_back(pair):
    old, new = pair
    if diff(old, new, TODAY, NO_LOOPBACK).direction is Direction.NARROWS:
        assert diff(new, old, TODAY, NO_LOOPBACK).direction is Direction.WIDENS


# One event type and one tenant more than anybody lists: only a star covers them.
KINDS = tuple(event_type(name) for name in ("order.paid", "order.sent", "order.next"))


def enqueued(listed: tuple[Producer, ...]) -> set[tuple[str, str, str]]:
    """Let everybody try to enqueue everything, and note who got through."""
    held = builders.registry(event_types=KINDS, producers=listed)
    rule = list_producers(listed)
    return {
        (kind.name, tenant, who)
        for kind in KINDS
        for tenant in ("north", "south", "west")
        for who, writer in tries(held, kind.name, tenant)
        if isinstance(
            judge_producer(rule, Writer(writer["producer"], writer.get("role")), kind.name, tenant),
            str,
        )
    }


@given(LISTS, LISTS)
@settings(max_examples=500, deadline=None)
def test_whatever_lets_somebody_enqueue_more_is_called_widening(was, now):
    old, new = (builders.registry(event_types=KINDS, producers=each) for each in (was, now))
    direction = diff(old, new, TODAY, NO_LOOPBACK).direction
    if direction is not Direction.WIDENS:
        assert enqueued(now) <= enqueued(was)
    if direction is Direction.NEUTRAL:
        assert enqueued(now) == enqueued(was)


@given(REGISTRIES)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_registry_does_not_differ_from_itself(held):
    assert diff(held, replace(held), TODAY, NO_LOOPBACK).changes == ()


SCALARS = st.booleans() | some(
    {"type": "string"},
    {"type": ["string", "null"]},
    {"type": "integer", "minimum": 1},
    {"type": "number", "maximum": 3},
    {"enum": [1, "a", True]},
    {"enum": ["a"]},
    {"const": 1},
    {"maxLength": 2, "type": "string", "title": "short"},
)


def keywords(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {
        "type": some("object", "array", ["object", "null"], "string", "number", "integer"),
        "properties": st.dictionaries(some("a", "b"), inner, max_size=2),
        "additionalProperties": inner,
        "patternProperties": st.dictionaries(some("^a", "b$"), inner, max_size=1),
        "required": some([], ["a"], ["a", "b"]),
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "minProperties": some(0, 1),
        "maxItems": some(0, 1),
        "minimum": some(0, 1, 2),
        "not": inner,
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "description": some("x", "y"),
    }


SCHEMAS = st.recursive(
    SCALARS, lambda inner: st.fixed_dictionaries({}, optional=keywords(inner)), max_leaves=6
)
DOCUMENTS = st.recursive(
    some(None, True, 0, 1, 2.5, "a", "abc"),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(some("a", "b", "ab", "c"), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def tweaked(draw: st.DrawFn, schema: Any) -> Any:
    """Change one keyword, here or further down."""
    if not isinstance(schema, dict):
        return draw(SCALARS)
    below = [key for key, inner in schema.items() if isinstance(inner, dict)]
    if below and draw(st.booleans()):
        key = draw(some(*below))
        return schema | {key: draw(tweaked(schema[key]))}
    key = draw(some(*keywords(SCALARS)))
    if key in schema and draw(st.booleans()):
        return {name: said for name, said in schema.items() if name != key}
    return schema | {key: draw(keywords(SCALARS)[key])}


@st.composite
def schema_pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    old = draw(SCHEMAS)
    new = draw(tweaked(old))
    return (old, new) if draw(st.booleans()) else (new, old)


@given(schema_pairs(), st.lists(DOCUMENTS, min_size=12, max_size=12))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_schema_said_to_accept_no_more_accepts_no_more(pair, documents):
    was, now = (event_type(schema={"properties": {"v": each}}) for each in pair)
    if not accepts_no_more(was.schema, now.schema):
        return
    for document in documents:
        payload = msgspec.json.encode({"v": document})
        if check_payload(payload, now) is None:
            assert check_payload(payload, was) is None, document


OPEN = record(id=leaf())
CLOSED = OPEN | {"additionalProperties": False}


@pytest.mark.parametrize(
    ("old", "new", "is_within"),
    [
        (OPEN, record(id=leaf(), phone=leaf()), True),
        (CLOSED, record(id=leaf(), phone=leaf()) | {"additionalProperties": False}, False),
        (OPEN, CLOSED, True),
        (CLOSED, OPEN, False),
        (OPEN, OPEN | {"required": ["id"]}, True),
        (OPEN | {"required": ["id"]}, OPEN, False),
        (OPEN, OPEN | {"title": "An order"}, True),
        (OPEN, record(id=leaf(level="restricted")), True),
        (record(id=leaf(["string", "null"])), OPEN, True),
        (OPEN, record(id=leaf(["string", "null"])), False),
        (OPEN, record(), False),
        (record(n={"enum": [True]}), record(n={"enum": [1]}), False),
        (record(n={"maximum": 5}), record(n={"maximum": 4}), True),
        (record(n={"maximum": 5}), record(n={"maximum": 6}), False),
        (record(n={"type": "number"}), record(n={"type": "integer"}), True),
        ({"items": {"type": "string"}}, {"items": {"type": "string"}, "prefixItems": [{}]}, False),
        ({"patternProperties": {"^a": False}}, {"patternProperties": {"^b": False}}, False),
    ],
)
def test_the_everyday_changes_of_a_schema_are_understood(old, new, is_within):
    assert accepts_no_more(text_of(old), text_of(new)) == is_within


def test_long_lists_of_choices_are_compared_without_trying_each_against_each():
    choices = [f"choice {number}" for number in range(20_000)]
    was, now = ({"enum": said} for said in (choices, choices[::-1]))
    begun = time.process_time()
    assert accepts_no_more(json.dumps(was), json.dumps(now))
    assert not accepts_no_more(json.dumps({"enum": [1]}), json.dumps({"enum": [True]}))
    assert time.process_time() - begun < 5
