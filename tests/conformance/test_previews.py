"""Previews over the API: who is shown what of which event, and why it would not leave."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.control.previews import PreviewControl
from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.paper import Agreement, LegalBasis, Purpose
from dispatcher.model.people import RIGHTS, Right, Role
from dispatcher.model.registry import Destination, OwnershipProof, Policy, Style
from dispatcher.model.tls import Tls
from dispatcher.model.token import TokenKey, write_value
from dispatcher.store.database import Database
from dispatcher.store.vault_tokens import WantedToken
from dispatcher.vault.places import token_key_place
from tests.conformance.test_api import activate, registry_document
from tests.support.letters import Road, change, rows
from tests.support.planes import Caller, means_of, open_payload, person
from tests.unit.stages import builders

EMAIL, NAME, NOTE = "asa@people.example", "Åsa Ekelund", "call after six"
PAYLOAD = {
    "id": "order-canary-1",
    "total": 7,
    "customer": {"name": NAME, "email": EMAIL, "token": "tok-canary", "note": NOTE},
    "lines": [{"sku": "sku-canary", "qty": 2}],
    "rates": {"rate-canary": 7654321.25},
    "extra-canary": {"deep": "deep-canary"},
}
VALUES = (
    "canary", EMAIL, "people.example", NAME, "Ekelund", NOTE, "user-7", "7654321",
)  # fmt: skip
WORKER = person("sue", Role.SRE)
OFFICER = person("pia", Role.PRIVACY)
BASIS = LegalBasis.CONTRACT
PURPOSE = Purpose(name="fulfilment", categories=(Category.OTHER, Category.CONTACT, Category.PII))
ACME = builders.connector(
    agreement=Agreement(reference="A-1", until=builders.FAR),
    purposes=(replace(PURPOSE, legal_basis=BASIS),),
    clearance=Sensitivity.CONFIDENTIAL,
    tenants=("north", "south"),
)
OTHER = builders.connector("other", tenants=("south",))
GRANTS = ("$.id", "$.total", "$.customer.email pseudonym(customer)", "$.lines[*].sku")
HELD = builders.registry(
    connectors=(ACME, OTHER),
    subscriptions=(
        builders.subscription(scope={"order.paid": GRANTS}),
        builders.subscription("acme-people", scope={"order.paid": ("$.id", "@subject pass")}),
        builders.subscription("acme-thin", scope={"order.paid": GRANTS}, style=Style.THIN),
        builders.subscription(
            "acme-sales", scope={"order.paid": ("$.total sum",)}, style=Style.SUMMARY
        ),
        builders.subscription("other-orders", connector="other", scope={"order.paid": ("$.id",)}),
    ),
    policy=Policy(ownership_proof=OwnershipProof.WAIVED),
)


@pytest.fixture
async def api(database: Database) -> Caller:
    api = Caller(means_of(database))
    await activate(api, HELD)
    return api


async def preview(api: Caller, by: Any = OFFICER, /, **asked: Any) -> Any:
    body = {"subscription": "acme-orders"} | asked
    return await api.ask("POST", "/v1/previews", body, by=by)


async def enqueue(api: Caller, **more: Any) -> str:
    event = {"type": "order.paid", "tenant": "north", "subjects": ["user-7"], "payload": PAYLOAD}
    return str((await api.ask("POST", "/v1/events", event | more))["event"])


async def file(database: Database, api: Caller, *grants: str) -> None:
    """File what was enqueued for acme-orders, under these grants."""
    policy = await PreviewControl.over(api.means).policy(["acme-orders"], None)
    scope = policy.snapshot.routes["acme-orders"].scopes["order.paid"]
    fields = tuple(each for each in scope.fields if each.line.startswith(grants or ("$", "@")))
    await Road(database, open_payload).file(
        subscriptions=("acme-orders",), scope=type(scope).of(fields)
    )


def fates(recipient: Any) -> dict[str, tuple[str, list[str]]]:
    return {each["path"]: (each["fate"], each["why"]) for each in recipient["fields"]}


async def test_each_field_of_an_event_says_whether_it_leaves_and_why_not(api: Caller):
    found = await preview(api, tenant="north", subjects=["user-7"], payload=PAYLOAD)
    (acme,) = found["recipients"]
    assert fates(acme) == {
        "@subject": ("withheld", ["ungranted"]),
        "$.id": ("leaves", []),
        "$.total": ("leaves", []),
        "$.customer.name": ("withheld", ["ungranted"]),
        "$.customer.email": ("leaves", []),
        "$.customer.token": ("withheld", ["ungranted", "secret"]),
        "$.customer.note": ("withheld", ["ungranted"]),
        "$.lines[*].sku": ("leaves", []),
        "$.lines[*].qty": ("withheld", ["ungranted"]),
        "$.rates[*]": ("withheld", ["ungranted"]),
        "$.extra-canary": ("withheld", ["undeclared"]),
    }
    email = next(each for each in acme["fields"] if each["path"] == "$.customer.email")
    assert (email["action"], email["category"]) == ("pseudonym(customer)", "contact")
    assert (email["sensitivity"], email["effective"]) == ("confidential", "internal")
    assert json.loads(acme["letter"]["body"])["data"]["id"] == "order-canary-1"
    assert acme["is_sent"]


async def test_a_client_certificate_that_nobody_has_keeps_a_letter_here(api: Caller):
    asking = tuple(replace(e, tls=Tls(identity="acme-mtls")) for e in ACME.destinations)
    connectors = (replace(ACME, destinations=asking), OTHER)
    await activate(api, replace(HELD, connectors=connectors))
    found = await preview(api, tenant="north", payload=PAYLOAD)
    (refusal,) = found["recipients"][0]["refusals"]
    assert (refusal["code"], refusal["is_hold"]) == ("client_identity_missing", True)
    assert "acme-mtls" in refusal["detail"]


async def test_of_a_summary_no_letter_is_shown_for_it_is_of_no_single_event(api: Caller):
    asked = {"tenant": "north", "subjects": ["user-7"], "payload": PAYLOAD}
    found = await preview(api, subscription="acme-sales", **asked)
    (sales,) = found["recipients"]
    assert sales["letter"] is None
    assert not sales["is_sent"]
    assert fates(sales)["$.total"] == ("withheld", ["summary_only"])
    assert fates(sales)["$.id"] == ("withheld", ["ungranted"])
    assert fates(sales)["$.customer.token"] == ("withheld", ["ungranted", "secret"])
    assert '"total":7' not in json.dumps(found["recipients"])


async def test_whoever_may_not_see_what_events_hold_is_shown_how_one_is_built(
    api: Caller, database: Database
):
    await enqueue(api)
    await file(database, api)
    for asked in ({}, {"delivery": 1}, {"against": "acme-thin"}, {"against": "acme-people"}):
        body = {"subscription": "acme-orders"} | asked
        reply = await api.call("POST", "/v1/previews", body, by=WORKER)
        assert reply.status == 200
        told = reply.body.decode() + json.dumps(json.loads(reply.body), ensure_ascii=False)
        assert [value for value in VALUES if value in told] == []
        found = json.loads(reply.body)
        assert found["is_redacted"]
        letter = found["recipients"][0]["letter"]
        assert {"name": "Content-Length", "value": "(up to 256 bytes)"} in letter["headers"]
        assert json.loads(letter["body"])["data"] == {
            "customer": {"email": "<text, up to 64 characters>"},
            "id": "<text, up to 16 characters>",
            "lines": [{"sku": "<text, up to 16 characters>"}, "<up to 16 elements>"],
            "total": "<whole number>",
        }
        assert json.loads(found["event"]["payload"])["rates"] == {"<name>": "<number>"}
        paths = fates(found["recipients"][0])
        assert paths["$['<name>']"] == ("withheld", ["undeclared"])
    people = json.loads(found["recipients"][1]["letter"]["body"])
    assert people["subject"] == "<text, up to 16 characters>"


async def test_a_privacy_officer_is_shown_the_kept_event_as_it_is(api: Caller, database: Database):
    event = await enqueue(api)
    await file(database, api)
    for asked, source in (({}, "recent"), ({"delivery": 1}, "delivery")):
        found = await preview(api, **asked)
        assert not found["is_redacted"]
        assert (found["event"]["id"], found["event"]["source"]) == (event, source)
        assert json.loads(found["event"]["payload"]) == PAYLOAD
        assert EMAIL not in found["recipients"][0]["letter"]["body"]


async def test_every_preview_is_on_the_record_and_writes_nothing_else(
    api: Caller, database: Database
):
    event = await enqueue(api)
    await file(database, api)
    tables = ("events", "deliveries", "disclosures", "scopes", "replies")
    counts = [f"(SELECT count(*) FROM {{{name}}}) AS {name}" for name in tables]
    before = await rows(database, f"SELECT {', '.join(counts)}")
    await preview(api, delivery=1)
    await preview(api, WORKER)
    await preview(api, WORKER, tenant="north", payload=PAYLOAD, subjects=["user-7"])
    assert await rows(database, f"SELECT {', '.join(counts)}") == before
    listed = await api.ask("GET", "/v1/audit", query={"kind": "event.previewed"})
    found = {each["detail"]["source"]: each for each in listed["items"]}
    assert found["delivery"]["detail"] == {
        "event": event, "delivery": 1, "source": "delivery", "values": "shown"
    }  # fmt: skip
    assert (found["delivery"]["actor"], found["delivery"]["about"]) == (
        "pia",
        "subscription acme-orders",
    )
    assert found["recent"]["detail"]["values"] == "hidden"
    assert found["given"]["detail"]["values"] == "shown"
    assert [value for value in VALUES if value in json.dumps(listed)] == []


async def test_no_preview_bears_a_signature_or_a_ticket(api: Caller):
    found = await preview(api, tenant="north", payload=PAYLOAD, against="acme-thin")
    for recipient in found["recipients"]:
        headers = {each["name"]: each["value"] for each in recipient["letter"]["headers"]}
        assert headers["webhook-signature"].startswith("(made with key ")
        assert headers["webhook-signature"].endswith(" when it is sent)")
    thin = json.loads(found["recipients"][1]["letter"]["body"])
    assert thin["ref"] == f"/v1/refs/{thin['id']}"
    assert set(thin["ticket"].removeprefix("tkt_")) == {"x"}
    assert "data" not in thin
    assert fates(found["recipients"][1])["$.id"] == ("withheld", ["thin"])


async def test_a_token_of_a_chosen_value_is_shown_to_those_alone_who_may_see_events(api: Caller):
    asked: dict[str, Any] = {"tenant": "north", "payload": PAYLOAD}
    shown = {}
    for by in (OFFICER, WORKER):
        found = await preview(api, by, **asked)
        body = json.loads(found["recipients"][0]["letter"]["body"])
        shown[by.name] = body["data"]["customer"]["email"]
        assert body["data"]["id"] == "order-canary-1"
    assert re.fullmatch("tok_1_[a-z2-7]{26}", shown["pia"])
    assert shown["sue"] == "tok_1_" + "x" * 26 != shown["pia"]


async def test_a_token_of_the_vault_is_looked_up_and_never_minted(api: Caller, database: Database):
    first, *others = HELD.subscriptions
    first = replace(first, scope={"order.paid": ("$.customer.email vault(mail)",)})
    await activate(api, replace(HELD, subscriptions=(first, *others)))

    async def shown(by: Any = OFFICER) -> str:
        found = await preview(api, by, tenant="north", payload=PAYLOAD)
        data = json.loads(found["recipients"][0]["letter"]["body"])["data"]
        return str(data["customer"]["email"])

    unminted = "vlt_1_" + "x" * 26
    assert await shown() == unminted
    assert await rows(database, "SELECT token FROM {vault_tokens}") == []
    (key,) = [e for e in await api.means.registry.token_keys() if e.connector == "acme"]
    assert key.sealed is not None
    secret = api.means.vault.open(key.sealed, token_key_place("acme", 1))
    made = PreviewControl.over(api.means).tokens.recipient("north", TokenKey("acme", 1, secret))
    text, token = write_value(EMAIL), made.draw()
    wanted = WantedToken(
        connector="acme",
        tenant="north",
        domain="mail",
        blind=made.blind("mail", text).hex(),
        token=token,
        sealed=made.seal("mail", token, text),
        subjects=(),
    )
    await PreviewControl.over(api.means).vault_tokens.mint([wanted])
    assert await shown() == token
    assert await shown(WORKER) == unminted


async def test_what_holds_a_letter_is_told_beside_what_would_be_sent(api: Caller):
    body = {"target": "connector:acme", "reason": "INC-1", "wait_seconds": 0}
    await api.ask("POST", "/v1/switches", body)
    found = await preview(api, tenant="north", payload=PAYLOAD)
    (acme,) = found["recipients"]
    assert acme["refusals"] == [{"code": "switch_on", "detail": "connector:acme", "is_hold": True}]
    assert not acme["is_sent"]
    assert json.loads(acme["letter"]["body"])["data"]["total"] == 7
    assert fates(acme)["$.id"] == ("leaves", [])


@pytest.mark.parametrize(
    ("terms", "asked", "code", "has_letter"),
    [
        ({"body_bytes_max": 1024}, {"payload": {"id": "x" * 1024}}, "body_too_large", False),
        ({"records_max": 1}, {"payload": {"lines": [{"sku": "a"}] * 2}}, "too_many_records", False),
        ({"subjects_max": 1}, {"subjects": ["a", "b"]}, "too_many_subjects", False),
        ({}, {"payload": {"id": 5}}, "schema_invalid", True),
        ({}, {"tenant": "west"}, "tenant_not_served", False),
        ({}, {"type": "order.lost"}, "event_type_unknown", False),
    ],
)
async def test_what_would_park_an_event_is_told_by_its_code(
    api: Caller, terms: Any, asked: Any, code: str, has_letter: bool
):
    first, *others = HELD.subscriptions
    if terms:  # lower ceilings narrow, so they hold at once
        held = replace(HELD, subscriptions=(replace(first, **terms), *others))
        body = {"registry": registry_document(held), "reason": "less"}
        assert (await api.ask("POST", "/v1/change-sets", body))["active"]
    found = await preview(api, **({"tenant": "north", "payload": PAYLOAD} | asked))
    (acme,) = found["recipients"]
    assert [each["code"] for each in acme["refusals"]] == [code]
    assert (acme["letter"] is not None) is has_letter
    assert not acme["is_sent"]
    assert has_letter or "leaves" not in {each["fate"] for each in acme["fields"]}


async def test_a_wrong_type_is_said_to_be_one(api: Caller):
    found = await preview(api, tenant="north", payload={"id": 5, "total": {"a": 1}, "lines": []})
    told = fates(found["recipients"][0])
    assert told["$.id"] == told["$.total"] == ("withheld", ["wrong_type"])
    assert told["$.customer.email"] == ("absent", [])


async def test_a_delivery_keeps_to_the_scope_it_was_filed_under(api: Caller, database: Database):
    await enqueue(api)
    await file(database, api, "$.id")
    (acme,) = (await preview(api, delivery=1))["recipients"]
    assert fates(acme)["$.id"] == ("leaves", [])
    assert fates(acme)["$.total"] == ("withheld", ["not_filed"])
    (delivery,) = await rows(database, "SELECT webhook_id FROM {deliveries}")
    body = json.loads(acme["letter"]["body"])
    assert body["id"] == delivery["webhook_id"]
    assert body["data"] == {"id": "order-canary-1"}


async def test_two_partners_stand_beside_each_other_with_different_ids(api: Caller):
    found = await preview(api, tenant="south", payload=PAYLOAD, against="other-orders")
    acme, other = found["recipients"]
    assert (acme["connector"], other["connector"]) == ("acme", "other")
    assert fates(acme)["$.total"][0], fates(other)["$.total"][0] == ("leaves", "withheld")
    ids = {json.loads(each["letter"]["body"])["id"] for each in (acme, other)}
    assert len(ids) == 2


async def test_a_token_of_one_tenant_sees_that_tenant_alone(api: Caller, database: Database):
    north = person("nia", Role.PRIVACY, tenant="north")
    await enqueue(api, tenant="south")
    await file(database, api)
    path, acme = "/v1/previews", {"subscription": "acme-orders"}
    assert await api.refused("POST", path, acme, by=north) == (404, "event_unknown")
    refused = await api.refused("POST", path, acme | {"delivery": 1}, by=north)
    assert refused == (404, "delivery_unknown")
    refused = await api.refused("POST", path, acme | {"tenant": "south"}, by=north)
    assert refused == (403, "tenant_scoped")
    refused = await api.refused("POST", path, {"subscription": "other-orders"}, by=north)
    assert refused == (404, "subscription_unknown")
    event = await enqueue(api)
    assert (await preview(api, north))["event"]["id"] == event
    # The one tenant there is to choose is the token's own.
    assert (await preview(api, north, payload=PAYLOAD))["event"]["tenant"] == "north"


async def test_what_is_not_said_well_enough_is_asked_for(api: Caller, database: Database):
    await enqueue(api)
    await file(database, api)
    for asked, refused in (
        ({"payload": {}}, (422, "preview_ambiguous")),
        ({"payload": {}, "tenant": "north", "delivery": 1}, (422, "preview_ambiguous")),
        ({"delivery": 1, "subscription": "acme-thin"}, (422, "delivery_of_another")),
        ({"delivery": 99}, (404, "delivery_unknown")),
        ({"subscription": "nobody"}, (404, "subscription_unknown")),
        ({"against": "nobody"}, (404, "subscription_unknown")),
        ({"tenant": "west"}, (404, "event_unknown")),
        ({"delivery": 0}, (400, "malformed")),
    ):
        body = {"subscription": "acme-orders"} | asked
        assert await api.refused("POST", "/v1/previews", body) == refused


async def test_p6_a_submitter_is_not_told_why_a_destination_is_refused(api: Caller):
    away = Destination(host="elsewhere.example", reason="orders")
    connectors = (replace(ACME, destinations=(away,)), OTHER)
    await activate(api, replace(HELD, connectors=connectors))
    asked: dict[str, Any] = {"tenant": "north", "payload": PAYLOAD}
    for by, code in ((person("pat", Role.PLATFORM), "destination_refused"),
                     (WORKER, "destination_unlisted")):  # fmt: skip
        (acme,) = (await preview(api, by, **asked))["recipients"]
        assert [each["code"] for each in acme["refusals"]] == [code]
        assert bool(acme["refusals"][0]["detail"]) is (by is WORKER)


@pytest.mark.parametrize("role", [each for each in Role if Right.READ in RIGHTS[each]])
async def test_only_those_with_the_right_are_shown_what_events_hold(api: Caller, role: Role):
    await enqueue(api)
    found = await preview(api, person("rob", role))
    assert found["is_redacted"] is (role is not Role.PRIVACY)
    assert (EMAIL in found["event"]["payload"]) is (role is Role.PRIVACY)


async def test_an_event_whose_payload_is_gone_is_said_to_be(api: Caller, database: Database):
    await enqueue(api)
    await file(database, api)
    await change(database, "UPDATE {events} SET payload = NULL")
    found = await preview(api, delivery=1)
    (acme,) = found["recipients"]
    assert [each["code"] for each in acme["refusals"]] == ["payload_gone"]
    assert (found["event"]["payload"], acme["letter"], acme["fields"]) == (None, None, [])
    body = {"subscription": "acme-orders"}
    assert await api.refused("POST", "/v1/previews", body) == (404, "event_unknown")


async def test_a_large_event_is_shown_whole(api: Caller):
    lines = [{"sku": f"s{number}", "qty": 1} for number in range(9_000)]
    kind = replace(HELD.event_types[0], payload_bytes_max=1_000_000)
    await activate(api, replace(HELD, event_types=(kind,)))
    (acme,) = (await preview(api, tenant="north", payload={"lines": lines}))["recipients"]
    assert acme["is_sent"]
    assert len(json.loads(acme["letter"]["body"])["data"]["lines"]) == 9_000
    assert fates(acme)["$.lines[*].qty"] == ("withheld", ["ungranted"])


async def test_a_synthetic_event_is_the_same_for_the_same_seed_and_holds_nobody(api: Caller):
    shown = [
        (await preview(api, WORKER, tenant="north", synthetic=seed))["event"]
        for seed in ("1", "1", "2")
    ]
    assert shown[0] == shown[1] != shown[2]
    assert shown[0]["source"] == "synthetic"
    found = await preview(api, WORKER, tenant="north", synthetic="1")
    assert not found["is_redacted"]
    assert found["recipients"][0]["is_sent"]
    body = {"subscription": "acme-orders", "tenant": "north", "synthetic": "1"}
    refused = await api.refused("POST", "/v1/previews", body | {"payload": {}})
    assert refused == (422, "preview_ambiguous")
    refused = await api.refused("POST", "/v1/previews", body | {"type": "order.lost"})
    assert refused == (422, "synthetic_impossible")
