"""The API's promises, without a socket: who may what, pages, tags, keys, tenants, the record."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from dispatcher.api.calls import Call
from dispatcher.api.table import all_routes
from dispatcher.control.people import People
from dispatcher.model.checkpoint import read_notes
from dispatcher.model.errors import StoreUnavailable
from dispatcher.model.people import RIGHTS, Principal, PrincipalKind, Right, Role
from dispatcher.model.retention import Store
from dispatcher.store.database import Database
from dispatcher.vault.places import payload_place
from dispatcher.vault.record import is_signed
from tests.conformance.test_changes import LARGE, OTHER, SMALL
from tests.support import payloads
from tests.support.databases import open_for_tests
from tests.support.letters import change, rows
from tests.support.planes import EVERYBODY, Caller, means_of, person
from tests.support.vaults import content_of
from tests.unit.stages.builders import connector, event_type, leaf, producer, record

EVENT = {"type": "order.paid", "tenant": "north", "subjects": ["user-7"], "payload": {"id": "o-1"}}
ASKED: dict[str, Right] = {
    "POST /v1/events": Right.ENQUEUE,
    "POST /v1/change-sets": Right.PROPOSE,
    "PUT /v1/change-sets/{number}": Right.PROPOSE,
    "POST /v1/change-sets/{number}/approval": Right.APPROVE,
    "POST /v1/change-sets/{number}/rejection": Right.REJECT,
    "POST /v1/revisions/{number}/rollback": Right.PROPOSE,
    "POST /v1/switches": Right.HOLD,
    "POST /v1/switches/release": Right.RELEASE,
    "POST /v1/replays": Right.REPLAY,
    "POST /v1/credentials": Right.KEYS,
    "POST /v1/credentials/approvals": Right.APPROVE,
    "POST /v1/credentials/removals": Right.KEYS,
    "POST /v1/keys/rotations": Right.KEYS,
    "POST /v1/keys/retirements": Right.KEYS,
    "POST /v1/keys/revocations": Right.KEYS,
    "POST /v1/subscriptions/{name}/proof": Right.PROVE,
    "POST /v1/detokenisations": Right.DETOKENISE,
    "POST /v1/erasures": Right.ERASE,
    "POST /v1/vault/rotate": Right.KEYS,
    "POST /v1/vault/epochs/end": Right.KEYS,
    "POST /v1/vault/rewrap": Right.KEYS,
    "POST /v1/vault/shred": Right.ERASE,
    "POST /v1/principals": Right.PEOPLE,
    "POST /v1/tokens": Right.PEOPLE,
    "DELETE /v1/tokens/{token}": Right.PEOPLE,
}
"""What each route that does something asks for; every other one asks for the right to read."""
DISCLOSED = """
INSERT INTO {disclosures} (delivery_id, attempt, event_seq, webhook_id, tenant, connector,
    subscription, endpoint, purpose, agreement, subjects, scope_id, field_set, body_sha256,
    body_bytes, key_ids, revision, epoch, worker, begun_us)
VALUES (:delivery, :attempt, 1, 'msg_1', 'north', 'acme', 'acme-orders', 'https://x', 'p', 'a',
    '[]', 's', 'f', 'h', 1, '[]', 1, 1, 'w', CAST(:begun AS bigint))
"""
PURGED = """
INSERT INTO {purges} (at_us, store, rule, counts, oldest_us, newest_us, is_complete, worker,
    revision)
VALUES ({now}, :store, 'a rule', :counts, 1, 2, true, 'w', 1)
"""
FOUND = """
INSERT INTO {findings} (delivery_id, event_seq, subscription, detector, path, action, length, count,
    found_us)
VALUES (:delivery, 1, 'acme-orders', :detector, '$.note', 'park', 16, 1, 1)
"""


def registry_document(held: Any) -> Any:
    return json.loads(TypeAdapter(type(held)).dump_json(held))


@pytest.fixture
async def api(database: Database) -> Caller:
    return Caller(means_of(database))


async def activate(api: Caller, held: Any = LARGE) -> dict[str, Any]:
    """Make a registry the active one, by two people."""
    body = {"registry": registry_document(held), "reason": "a test"}
    waiting = await api.ask("POST", "/v1/change-sets", body, by=person("pat", Role.PLATFORM))
    number = waiting["change_set"]
    found = await api.ask("GET", f"/v1/change-sets/{number}")
    yes = {"hash": found["hash"], "reason": "read it"}
    by = person("bea", Role.APPROVER)
    return await api.ask("POST", f"/v1/change-sets/{number}/approval", yes, by=by)


@pytest.mark.parametrize("role", Role)
async def test_each_role_may_do_on_each_route_what_the_table_says(sqlite_url: str, role: Role):
    opened = open_for_tests(sqlite_url)
    api = Caller(means_of(opened))
    for route in all_routes():
        asked = ASKED.get(f"{route.method} {route.path}", Right.READ)
        path = route.path.replace("{number}", "1").replace("{id}", "x").replace("{name}", "x")
        path = path.replace("{token}", "0" * 12)
        reply = await api.call(route.method, path, by=person("rob", role))
        may = asked in RIGHTS[role]
        assert (reply.status != 403) is may, (route.path, reply.body)
        if not may:
            assert json.loads(reply.body)["code"] == "forbidden"
    await opened.aclose()


async def test_a_service_approves_nothing_by_whatever_role(api: Caller):
    bot = Principal(name="bot", kind=PrincipalKind.SERVICE, roles=frozenset(Role))
    refused = await api.refused("POST", "/v1/change-sets/1/approval", {}, by=bot)
    assert refused == (403, "service_cannot_approve")


async def test_two_people_bring_a_partner_in_and_one_takes_it_out(api: Caller):
    done = await activate(api)
    assert (done["active"], done["revision"], list(done["secrets"])) == (True, 1, ["acme-orders"])
    (listed,) = (await api.ask("GET", "/v1/connectors"))["items"]
    assert listed["connector"]["name"] == "acme"
    assert (await api.ask("GET", "/v1/subscriptions/acme-orders"))["connector"] == "acme"
    found = await api.ask("GET", "/v1/event-types/order.paid")
    assert found["event_type"]["name"] == "order.paid"
    narrower = {"registry": registry_document(SMALL), "reason": "less"}
    done = await api.ask("POST", "/v1/change-sets", narrower)
    assert (done["direction"], done["active"], done["revision"]) == ("narrows", True, 2)
    assert (await api.ask("GET", "/v1/registry"))["registry"] == registry_document(SMALL)
    assert (await api.ask("GET", "/v1/revisions/1/registry"))["registry"] == registry_document(
        LARGE
    )


async def test_a_plan_says_what_would_flow_and_changes_nothing(api: Caller):
    found = await api.ask("POST", "/v1/plans", {"registry": registry_document(LARGE)})
    assert found["direction"] == "widens"
    assert "destination" in {each["aspect"] for each in found["changes"]}
    assert (await api.ask("GET", "/v1/change-sets"))["items"] == []


async def test_refusals_of_approval_each_have_their_own_code(api: Caller):
    pat = person("pat", Role.PLATFORM, Role.APPROVER)
    body = {"registry": registry_document(LARGE), "reason": "a test"}
    await api.ask("POST", "/v1/change-sets", body, by=pat)
    digest = (await api.ask("GET", "/v1/change-sets/1"))["hash"]
    path, bea = "/v1/change-sets/1/approval", person("bea", Role.APPROVER)
    assert await api.refused("POST", path, {"hash": digest}, by=pat) == (403, "self_approval")
    edited = {**body, "reason": "another reason"}
    await api.ask("PUT", "/v1/change-sets/1", edited, by=pat)
    assert await api.refused("POST", path, {"hash": digest}, by=bea) == (409, "change_set_edited")
    assert await api.refused("PUT", "/v1/change-sets/1", edited, by=EVERYBODY) == (
        403,
        "not_the_author",
    )
    await api.ask("POST", "/v1/change-sets/1/rejection", {"reason": "no"}, by=bea)
    assert await api.refused("POST", path, {"hash": digest}, by=bea) == (409, "change_set_decided")
    assert await api.refused("GET", "/v1/change-sets/9") == (404, "change_set_unknown")


async def test_an_event_goes_in_and_its_payload_keeps_every_digit(api: Caller, database: Database):
    await activate(api)
    raw = json.dumps(EVENT).replace('"o-1"', '"o-1", "total": 12345678901234567890.10')
    head = {"content-type": "application/json", "idempotency-key": "k-1"}
    made = await api.ask("POST", "/v1/events", raw=raw.encode(), headers=head)
    again = await api.ask("POST", "/v1/events", raw=raw.encode(), headers=head)
    assert made == again
    (row,) = await rows(database, "SELECT id, tenant, payload FROM {events}")
    opened = api.means.vault.open(bytes(row["payload"]), payload_place("north", row["id"]))
    exact = b'{"id": "o-1", "total": 12345678901234567890.10}'
    assert opened == content_of(exact, "user-7", event_type="order.paid")
    other = raw.replace("o-1", "o-2").encode()
    refused = await api.refused("POST", "/v1/events", raw=other, headers=head)
    assert refused == (422, "idempotency_conflict")
    story = await api.ask("GET", f"/v1/events/{made['event']}/trace")
    assert (story["event"]["type"], len(story["deliveries"])) == ("order.paid", 1)
    listed = await api.ask("GET", "/v1/events", query={"type": "order.paid"})
    assert [each["id"] for each in listed["items"]] == [made["event"]]
    assert "o-1" not in str(story) + str(listed)


async def test_an_event_that_does_not_fit_is_refused_and_not_written(
    api: Caller, database: Database
):
    await activate(api)
    for spoiled, code in (
        ({"type": "order.lost"}, "event_type_unknown"),
        ({"payload": {"id": 7}}, "schema_invalid"),
        ({"tenant": " "}, "tenant_missing"),
    ):
        assert await api.refused("POST", "/v1/events", EVENT | spoiled) == (422, code)
    assert await rows(database, "SELECT id FROM {events}") == []


async def test_what_readers_of_json_read_differently_is_refused_or_kept_to_the_digit(
    api: Caller, database: Database
):
    schema = record(id=leaf(), total=leaf("integer"))
    small = replace(LARGE, event_types=(event_type(schema=schema),), subscriptions=())
    await activate(api, small)

    def event(payload: bytes, more: bytes = b"") -> dict[str, Any]:
        head = b'{"type":"order.paid","tenant":"north","subjects":[],'
        headers = {"content-type": "application/json"}
        return {"raw": head + more + b'"payload":' + payload + b"}", "headers": headers}

    for case, (payload, detail) in payloads.REFUSED.items():
        reply = await api.call("POST", "/v1/events", **event(payload))
        document = json.loads(reply.body)
        assert (reply.status, document["code"]) in ((422, "schema_invalid"), (400, "malformed")), (
            case
        )
        if detail == payloads.NAMED_TWICE:
            assert (reply.status, detail in document["why"]) == (422, True), case
    for more in (b'"tenant":"south",', b'"payload":{},', b'"subjects":["a"],'):
        reply = await api.call("POST", "/v1/events", **event(b'{"id":"a"}', more))
        assert (reply.status, json.loads(reply.body)["why"]) == (400, "a member is named twice")
    refused = await api.refused("POST", "/v1/events", **event(payloads.LARGE))
    assert refused == (422, "payload_too_large")
    for payload in payloads.EXACT:
        await api.ask("POST", "/v1/events", **event(payload))
    stored = await rows(database, "SELECT id, tenant, payload FROM {events} ORDER BY seq")
    opened = [
        api.means.vault.open(bytes(row["payload"]), payload_place("north", row["id"]))
        for row in stored
    ]
    assert opened == [content_of(payload, event_type="order.paid") for payload in payloads.EXACT]


async def test_an_event_about_too_many_is_refused_at_the_door(api: Caller):
    kind = replace(LARGE.event_types[0], subjects_max=2)
    await activate(api, replace(LARGE, event_types=(kind,)))
    many = EVENT | {"subjects": ["a", "b", "c"]}
    assert await api.refused("POST", "/v1/events", many) == (422, "too_many_subjects")
    await api.ask("POST", "/v1/events", EVENT | {"subjects": ["a", "b", "a"]})


async def test_a_principal_enqueues_in_the_name_of_its_own_producer_and_of_no_other(
    api: Caller, database: Database
):
    shop = producer(event_types=("order.paid",), tenants=("north",), principals=("svc",))
    other = producer("billing", event_types=("*",), tenants=("*",), principals=("zoe",))
    await activate(api, replace(LARGE, producers=(shop, other)))
    svc, zoe, rob = (person(name, Role.PRODUCER) for name in ("svc", "zoe", "rob"))
    await api.ask("POST", "/v1/events", EVENT, by=svc)
    await api.ask("POST", "/v1/events", EVENT | {"producer": "shop"}, by=svc)
    await api.ask("POST", "/v1/events", EVENT | {"tenant": "south"}, by=zoe)
    for by, more in (
        (rob, {}),
        (svc, {"tenant": "south"}),
        (svc, {"producer": "billing"}),
        (zoe, {"producer": "shop"}),
    ):
        refused = await api.refused("POST", "/v1/events", EVENT | more, by=by)
        assert refused == (403, "producer_not_allowed")
    held = await rows(database, "SELECT producer, tenant FROM {events} ORDER BY seq")
    assert [(e["producer"], e["tenant"]) for e in held] == [
        ("shop", "north"),
        ("shop", "north"),
        ("billing", "south"),
    ]
    listed = await api.ask("GET", "/v1/producers")
    assert [each["name"] for each in listed["items"]] == ["billing", "shop"]
    assert (await api.ask("GET", "/v1/producers/shop"))["principals"] == ["svc"]


async def test_a_producer_that_lost_its_right_is_refused_at_once(api: Caller):
    shop = producer(event_types=("order.paid",), tenants=("north",), principals=("svc",))
    await activate(api, replace(LARGE, producers=(shop,)))
    svc = person("svc", Role.PRODUCER)
    await api.ask("POST", "/v1/events", EVENT, by=svc)
    none = replace(LARGE, producers=(replace(shop, principals=("another",)),))
    await activate(api, none)
    refused = await api.refused("POST", "/v1/events", EVENT, by=svc)
    assert refused == (403, "producer_not_allowed")


async def test_every_list_is_whole_and_in_order_when_read_page_by_page(api: Caller):
    await activate(api)
    for number in range(5):
        name = f"p{number}"
        await api.ask("POST", "/v1/principals", {"name": name, "roles": ["reader"]})
        body = {"registry": registry_document(OTHER), "reason": name}
        await api.ask("POST", "/v1/change-sets", body)
        await api.ask("POST", "/v1/events", EVENT)
    for path, key, backwards in (
        ("/v1/principals", "name", False),
        ("/v1/tokens", "id", False),
        ("/v1/change-sets", "number", True),
        ("/v1/events", "seq", True),
        ("/v1/deliveries", "id", False),
    ):
        whole = (await api.ask("GET", path))["items"]
        found, query = [], {"limit": "2"}
        while True:
            part = await api.ask("GET", path, query=query)
            assert len(part["items"]) <= 2
            found += part["items"]
            if part["next"] is None:
                break
            query = {"limit": "2", "cursor": part["next"]}
        assert found == whole
        keys = [each[key] for each in found]
        assert len(keys) >= 5
        assert keys == sorted(keys, reverse=backwards)


async def test_disclosures_are_paged_by_delivery_and_attempt(api: Caller, database: Database):
    for delivery, attempt in ((1, 1), (1, 2), (2, 1), (3, 1), (3, 2)):
        await change(database, DISCLOSED, delivery=delivery, attempt=attempt, begun=10 + delivery)
    found, query = [], {"limit": "2"}
    while True:
        part = await api.ask("GET", "/v1/disclosures", query=query)
        found += [(each["delivery_id"], each["attempt"]) for each in part["items"]]
        if part["next"] is None:
            break
        query = {"limit": "2", "cursor": part["next"]}
    assert found == [(1, 1), (1, 2), (2, 1), (3, 1), (3, 2)]
    part = await api.ask("GET", "/v1/disclosures", query={"since_us": "12", "until_us": "13"})
    assert [each["delivery_id"] for each in part["items"]] == [2]
    part = await api.ask("GET", "/v1/disclosures", query={"connector": "other"})
    assert part["items"] == []


async def test_findings_are_listed_the_newest_first_and_by_detector(
    api: Caller, database: Database
):
    await activate(api)
    made = await api.ask("POST", "/v1/events", EVENT)
    for number, detector in enumerate(("card", "email", "card"), start=1):
        await change(database, FOUND, delivery=number, detector=detector)
    (newest, second, _) = (await api.ask("GET", "/v1/findings"))["items"]
    assert (newest["delivery_id"], second["detector"]) == (3, "email")
    assert (newest["event_id"], newest["path"], newest["length"]) == (made["event"], "$.note", 16)
    part = await api.ask("GET", "/v1/findings", query={"detector": "card", "limit": "1"})
    query = {"detector": "card", "cursor": part["next"]}
    rest = await api.ask("GET", "/v1/findings", query=query)
    assert [each["delivery_id"] for each in (*part["items"], *rest["items"])] == [3, 1]


async def test_purges_are_listed_the_newest_first_and_what_is_due_is_counted(
    api: Caller, database: Database
):
    await activate(api)
    for store in ("payloads", "ledger"):
        await change(database, PURGED, store=store, counts='{"events":2}')
    page = await api.ask("GET", "/v1/purges", query={"limit": "1"})
    (newest,) = page["items"]
    assert (newest["store"], newest["counts"]) == ("ledger", {"events": 2})
    assert (newest["survivor_us"], newest["is_complete"]) == (None, True)
    (other,) = (await api.ask("GET", "/v1/purges", query={"cursor": page["next"]}))["items"]
    assert other["store"] == "payloads"
    mine = await api.ask("GET", "/v1/purges", query={"store": "payloads"})
    assert mine["items"] == [other]
    due = await api.ask("GET", "/v1/purges/due")
    assert [row["store"] for row in due] == list(Store)
    assert due[0] == {
        "store": "payloads",
        "rule": "payload_hours = 24",
        "due": 0,
        "held": 0,
        "moving": 0,
        "oldest_us": None,
    }


async def test_an_object_that_did_not_change_is_not_sent_again(api: Caller):
    await activate(api)
    first = await api.call("GET", "/v1/connectors/acme")
    again = {"if-none-match": first.headers["etag"]}
    same = await api.call("GET", "/v1/connectors/acme", headers=again)
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", first.headers["etag"])
    body = {"registry": registry_document(replace(LARGE, connectors=(connector(owner="new"),)))}
    assert (await api.ask("POST", "/v1/change-sets", body))["active"]
    changed = await api.call("GET", "/v1/connectors/acme", headers=again)
    assert changed.status == 200
    assert changed.headers["etag"] != first.headers["etag"]


async def test_a_request_with_a_key_is_done_once_and_answered_the_same(
    api: Caller, database: Database
):
    body, head = {"name": "bob", "roles": ["sre"]}, {"idempotency-key": "once"}
    first = await api.call("POST", "/v1/principals", body, headers=head)
    again = await api.call("POST", "/v1/principals", body, headers=head)
    assert (again.status, again.body) == (first.status, first.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await rows(database, "SELECT id FROM {tokens}")) == 1
    token = json.loads(first.body)["token"]
    assert token not in str(await rows(database, "SELECT * FROM {replies}"))
    other = await api.refused("POST", "/v1/principals", {**body, "name": "eve"}, headers=head)
    assert other == (409, "idempotency_conflict")
    of_another = await api.refused(
        "POST", "/v1/principals", body, headers=head, by=person("zoe", Role.ADMIN)
    )
    assert of_another == (409, "principal_exists")


async def test_a_key_is_free_again_after_a_refusal_and_never_after_a_death(
    api: Caller, database: Database
):
    head = {"idempotency-key": "again"}
    body = {"principal": "bob"}
    assert (await api.refused("POST", "/v1/tokens", body, headers=head))[0] == 404
    await api.ask("POST", "/v1/principals", {"name": "bob", "roles": ["sre"]})
    await api.ask("POST", "/v1/tokens", body, headers=head)
    await change(database, "UPDATE {replies} SET sealed = NULL WHERE key = 'again'")
    assert await api.refused("POST", "/v1/tokens", body, headers=head) == (
        409,
        "idempotency_unfinished",
    )


async def test_the_answer_to_a_token_of_all_tenants_is_not_given_to_one_of_one(api: Caller):
    await activate(api)
    body, head = {"target": "connector:acme", "reason": "INC-1"}, {"idempotency-key": "same"}
    await api.ask("POST", "/v1/switches", body, headers=head, by=person("ann", Role.SRE))
    north = person("ann", Role.SRE, tenant="north")
    refused = await api.refused("POST", "/v1/switches", body, headers=head, by=north)
    assert refused == (403, "tenant_scoped")


async def test_a_key_stays_used_when_nobody_knows_whether_it_was_done(
    api: Caller, monkeypatch: pytest.MonkeyPatch
):
    async def lost(*_words: Any, **_more: Any) -> None:
        raise StoreUnavailable("the connection was lost while committing")

    head, body = {"idempotency-key": "lost"}, {"name": "bob", "roles": ["sre"]}
    with monkeypatch.context() as patch:  # a loss in the middle of a commit cannot be had at will
        patch.setattr(People, "add", lost)
        refused = await api.refused("POST", "/v1/principals", body, headers=head)
        assert refused == (503, "database_unreachable")
    again = await api.refused("POST", "/v1/principals", body, headers=head)
    assert again == (409, "idempotency_unfinished")


async def test_a_token_of_one_tenant_sees_and_touches_nothing_of_another(
    api: Caller, database: Database
):
    await activate(api)
    north, south = person("nor", *Role, tenant="north"), person("sou", *Role, tenant="south")
    made = await api.ask("POST", "/v1/events", EVENT, by=north)
    assert await api.refused("POST", "/v1/events", EVENT, by=south) == (403, "tenant_scoped")
    await change(database, DISCLOSED, delivery=1, attempt=1, begun=1)
    await change(database, FOUND, delivery=1, detector="card")
    for path in ("/v1/events", "/v1/deliveries", "/v1/disclosures", "/v1/findings"):
        assert len((await api.ask("GET", path, by=north))["items"]) == 1, path
        assert (await api.ask("GET", path, by=south))["items"] == [], path
        query = {"tenant": "north"}
        refused = await api.refused("GET", path, by=south, query=query)
        assert refused == (403, "tenant_scoped")
    for path in (f"/v1/events/{made['event']}", f"/v1/events/{made['event']}/trace"):
        await api.ask("GET", path, by=north)
        assert (await api.refused("GET", path, by=south))[0] == 404
    (delivery,) = (await api.ask("GET", "/v1/deliveries"))["items"]
    assert (await api.refused("GET", f"/v1/deliveries/{delivery['id']}", by=south))[0] == 404
    stop = {"target": "tenant:north", "reason": "INC-1"}
    for target in ("everything", "connector:acme", "tenant:north"):
        refused = await api.refused("POST", "/v1/switches", {**stop, "target": target}, by=south)
        assert refused == (403, "tenant_scoped")
    await api.ask("POST", "/v1/switches", stop, by=north)
    refused = await api.refused(
        "POST", "/v1/switches/release", {"target": "tenant:north"}, by=south
    )
    assert refused == (403, "tenant_scoped")


async def test_a_token_of_one_tenant_is_refused_wherever_all_tenants_are_meant(api: Caller):
    north = person("nor", *Role, tenant="north")
    for route in all_routes():
        if route.is_tenant_bound:
            continue
        path = route.path.replace("{number}", "1").replace("{id}", "x").replace("{name}", "x")
        path = path.replace("{token}", "0" * 12)
        assert await api.refused(route.method, path, by=north) == (403, "tenant_scoped")


async def test_the_tenant_of_a_token_comes_with_it(api: Caller):
    await api.ask("POST", "/v1/principals", {"name": "bob", "roles": ["reader"]})
    made = await api.ask("POST", "/v1/tokens", {"principal": "bob", "tenant": "north"})
    assert (await People.over(api.means).authenticate(made["token"])).tenant == "north"
    listed = await api.ask("GET", "/v1/tokens", query={"principal": "bob"})
    assert sorted(str(each["tenant"]) for each in listed["items"]) == ["None", "north"]


async def test_looking_at_what_left_is_on_the_record_and_so_is_what_was_refused(api: Caller):
    sue, rob = person("sue", Role.SRE), person("rob", Role.PRODUCER)
    await api.ask("GET", "/v1/disclosures", query={"connector": "acme"}, by=sue)
    await api.refused("GET", "/v1/disclosures", by=rob)
    await api.refused("GET", "/v1/events/evt_1/trace", by=sue)
    await api.ask("GET", "/v1/audit", by=sue)
    found = (await api.ask("GET", "/v1/audit", by=sue, query={"limit": "10"}))["items"]
    assert [(each["kind"], each["actor"], each["about"]) for each in reversed(found)] == [
        ("disclosures.read", "sue", "/v1/disclosures"),
        ("refused", "rob", "/v1/disclosures"),
        ("audit.read", "sue", "/v1/audit"),
    ]
    assert found[-1]["detail"]["query"] == "connector=acme"
    only = await api.ask("GET", "/v1/audit", query={"actor": "rob", "kind": "refused"})
    assert [each["detail"]["code"] for each in only["items"]] == ["forbidden"]


async def test_the_checkpoint_is_what_the_key_beside_it_signed(api: Caller):
    await api.ask("POST", "/v1/principals", {"name": "bob", "roles": ["sre"]})
    found = await api.ask("GET", "/v1/audit/checkpoint")
    ((signed,), _) = read_notes(found["note"])
    key = base64.b64decode(found["key"].rpartition("+")[2])[1:]
    assert is_signed(key, signed.signature, signed.checkpoint.text.encode())
    assert (signed.checkpoint.size, signed.checkpoint.origin) == (found["size"], found["log"])


async def test_the_first_principal_is_made_at_the_machine_and_nowhere_else(api: Caller):
    roles = frozenset({Role.SRE, Role.ADMIN})
    local = Principal(name="local:root", kind=PrincipalKind.LOCAL, roles=roles)
    for name, wanted, code in (("eve", "sre", "first_principal"), ("Eve", "admin", "malformed")):
        body = {"name": name, "roles": [wanted]}
        refused = await api.refused("POST", "/v1/principals", body, by=local)
        assert refused[1] == code
    body = {"name": "ada", "roles": ["admin"]}
    made = await api.ask("POST", "/v1/principals", body, by=local)
    assert (await People.over(api.means).authenticate(made["token"])).name == "ada"


BAD = {
    "no such path": ("GET", "/v1/nothing", {}, 404, "route_unknown"),
    "not a number": ("GET", "/v1/change-sets/one", {}, 404, "route_unknown"),
    "a number no row has": ("GET", "/v1/change-sets/9999999999999999999", {}, 404, "route_unknown"),
    "a control character": ("GET", "/v1/events/a%00b", {}, 404, "route_unknown"),
    "another method": ("PATCH", "/v1/events", {}, 405, "method_not_allowed"),
    "unknown parameter": ("GET", "/v1/events", {"query": {"x": "1"}}, 400, "malformed"),
    "limit zero": ("GET", "/v1/events", {"query": {"limit": "0"}}, 400, "malformed"),
    "limit beyond": ("GET", "/v1/events", {"query": {"limit": "1001"}}, 400, "malformed"),
    "limit no number": ("GET", "/v1/events", {"query": {"limit": "1_0"}}, 400, "malformed"),
    "cursor": ("GET", "/v1/change-sets", {"query": {"cursor": "x"}}, 400, "malformed"),
    "state": ("GET", "/v1/deliveries", {"query": {"state": "lost"}}, 400, "malformed"),
    "parameter where none is": ("GET", "/v1/registry", {"query": {"x": "1"}}, 400, "malformed"),
    "no body": ("POST", "/v1/switches", {}, 415, "media_type_unsupported"),
    "not JSON": ("POST", "/v1/switches", {"body": {}, "raw": b"{"}, 400, "malformed"),
    "not an object": ("POST", "/v1/switches", {"body": [1]}, 400, "malformed"),
    "a key missing": ("POST", "/v1/switches", {"body": {"target": "everything"}}, 400, "malformed"),
    "a key too many": (
        "POST",
        "/v1/switches",
        {"body": {"target": "everything", "reason": "r", "force": True}},
        400,
        "malformed",
    ),
    "a number as text": (
        "POST",
        "/v1/tokens",
        {"body": {"principal": "ann", "days": "9"}},
        400,
        "malformed",
    ),
    "a target": (
        "POST",
        "/v1/switches",
        {"body": {"target": "planet:mars", "reason": "r"}},
        422,
        "target_unknown",
    ),
    "a reason of two lines": (
        "POST",
        "/v1/switches",
        {"body": {"target": "everything", "reason": "a\nb"}},
        422,
        "reason_unreadable",
    ),
    "a registry with a fault": (
        "POST",
        "/v1/plans",
        {"body": {"registry": {"policy": {"revoked_hosts": [""]}}}},
        422,
        "registry_invalid",
    ),
    "a registry with an unknown key": (
        "POST",
        "/v1/plans",
        {"body": {"registry": {"conectors": []}}},
        400,
        "malformed",
    ),
    "a number that is none": (
        "POST",
        "/v1/events",
        {"body": {}, "raw": json.dumps(EVENT).replace('"o-1"', "NaN").encode()},
        400,
        "malformed",
    ),
    "a whole token where its id is asked for": (
        "DELETE",
        f"/v1/tokens/dsp_{'0' * 12}_{'1' * 64}",
        {},
        404,
        "route_unknown",
    ),
    "an idempotency key with a blank": (
        "POST",
        "/v1/tokens",
        {"body": {"principal": "ann"}, "headers": {"idempotency-key": "a b"}},
        400,
        "malformed",
    ),
    "nothing to release": (
        "POST",
        "/v1/switches/release",
        {"body": {"target": "everything"}},
        404,
        "switch_unknown",
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_bad_input_has_a_status_a_code_and_a_fix(sqlite_url: str, bad: Any):
    method, path, more, status, code = bad
    opened = open_for_tests(sqlite_url)
    assert await Caller(means_of(opened)).refused(method, path, **more) == (status, code)
    await opened.aclose()


async def test_a_method_that_is_not_for_a_path_is_answered_with_those_that_are(api: Caller):
    reply = await api.call("PATCH", "/v1/tokens")
    assert reply.headers["allow"] == "GET, POST"


async def test_a_parameter_given_twice_is_refused(api: Caller):
    call = Call(method="GET", path="/v1/events", query=(("limit", "1"), ("limit", "2")))

    async def who() -> Principal:
        return EVERYBODY

    reply, _ = await api.front.answer(call, who)
    assert (reply.status, json.loads(reply.body)["code"]) == (400, "malformed")
