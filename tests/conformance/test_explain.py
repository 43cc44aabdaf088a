"""`explain` over the API: the same words for everybody who may know, and no more for the others."""

from dataclasses import replace
from typing import Any

import pytest

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.ids import LeaseToken, WorkerId
from dispatcher.model.people import Principal, Role
from dispatcher.model.proof import ProofMethod, Unproven, proof_key
from dispatcher.model.registry import Destination, OwnershipProof, Policy
from dispatcher.store.database import Database
from dispatcher.store.proofs import ProofStore
from tests.conformance.test_api import activate, registry_document
from tests.conformance.test_changes import LARGE
from tests.support import planes
from tests.support.letters import MINUTE_US, Road, change
from tests.support.planes import Caller, means_of, person
from tests.support.records import audit_of
from tests.unit.stages.builders import FAR

URL = "https://hooks.acme.example/in"
SUBMITTER = person("pat", Role.PLATFORM)


@pytest.fixture
async def api(database: Database) -> Caller:
    api = Caller(means_of(database))
    (connector,) = LARGE.connectors
    entries = (
        *connector.destinations,
        Destination(host="inside.acme.example", reason="orders"),
        Destination(host="nowhere.acme.example", reason="orders"),
    )
    held = replace(LARGE, connectors=(replace(connector, destinations=entries),))
    # Whether endpoints are proven is asked by a test of its own.
    await activate(api, replace(held, policy=Policy(ownership_proof=OwnershipProof.WAIVED)))
    planes.looked_up.clear()
    return api


async def explain(api: Caller, url: str, by: Principal | None = None, **more: Any) -> Any:
    body = {"url": url, **more}
    return await api.ask("POST", "/v1/explanations", body, by=by or person("sue", Role.SRE))


async def test_a_listed_url_is_explained_with_entry_revision_addresses_and_source(api: Caller):
    found = await explain(api, URL)
    assert found["verdict"] == "allow"
    assert (found["code"], found["rule"], found["connector"]) == ("allowed", "listed", "acme")
    assert found["entry"]["host"] == "hooks.acme.example"
    assert (found["addresses"], found["aliases"]) == (["8.8.8.8"], ["edge.acme.example"])
    assert (found["revision"], found["source"]) == (1, "198.51.100.7")


async def test_d1_a_host_that_is_not_listed_is_not_even_resolved(api: Caller):
    for url in ("https://other.example/", "https://u@hooks.acme.example/", "https://127.0.0.1/"):
        assert (await explain(api, url))["verdict"] == "block"
    assert planes.looked_up == []


async def test_answers_that_are_given_are_judged_instead(api: Caller):
    found = await explain(api, URL, answers={"Hooks.acme.example.": ["8.8.4.4", "10.0.0.1"]})
    assert (found["code"], found["rule"]) == ("address_forbidden", "A1")
    assert planes.looked_up == []


async def test_one_connector_can_be_asked_alone(api: Caller):
    assert (await explain(api, URL, connector="acme"))["verdict"] == "allow"
    refused = await api.refused("POST", "/v1/explanations", {"url": URL, "connector": "nobody"})
    assert refused == (404, "connector_unknown")


async def test_p6_a_submitter_is_told_the_same_of_every_refused_destination(api: Caller):
    urls = (
        "https://other.example/",
        "https://inside.acme.example/",
        "https://nowhere.acme.example/",
        "https://10.0.0.1/",
        "https://db.internal/",
        "http://hooks.acme.example/in",
    )
    told = [await explain(api, url, by=SUBMITTER) for url in urls]
    for found in told:
        found.pop("url")
    assert all(found == told[0] for found in told)
    assert told[0]["code"] == "destination_refused"
    # Whoever may know is told them apart, and the record holds what the submitter was not told.
    codes = [(await explain(api, url))["code"] for url in urls]
    assert len(set(codes)) == 4
    entries = await _record(api)
    assert sorted(each["detail"]["code"] for each in entries) == sorted(codes)


async def _record(api: Caller) -> list[Any]:
    found = await api.ask("GET", "/v1/audit", query={"limit": 1000})
    return [each for each in found["items"] if each["kind"] == "destination.explained"]


async def test_p6_what_is_allowed_is_no_secret(api: Caller):
    assert (await explain(api, URL, by=SUBMITTER))["verdict"] == "allow"
    assert await _record(api) == []


async def test_p6_a_submitter_reads_one_code_for_all_that_happened_to_deliveries(
    api: Caller, database: Database
):
    road = Road(database)
    await road.publish(revision=9)
    await road.enqueue(3)
    await road.file()
    codes = ("address_forbidden", "dns_failed", "connect_refused")
    for code in codes:
        await change(
            database,
            "UPDATE {deliveries} SET code = :code WHERE id = (SELECT min(id) FROM {deliveries}"
            " WHERE code IS NULL)",
            code=code,
        )
    seen = await api.ask("GET", "/v1/deliveries", by=SUBMITTER)
    assert [each["code"] for each in seen["items"]] == [
        "destination_refused", "destination_refused", "connect_refused"
    ]  # fmt: skip
    seen = await api.ask("GET", "/v1/deliveries", by=person("sue", Role.SRE))
    assert [each["code"] for each in seen["items"]] == list(codes)


async def test_an_endpoint_that_is_not_proven_is_said_to_be_until_it_is(
    api: Caller, database: Database
):
    body = {"registry": registry_document(LARGE), "reason": "ask for proofs again"}
    assert (await api.ask("POST", "/v1/change-sets", body))["active"]
    found = await explain(api, URL)
    # The destination is allowed; that its lanes are closed for another reason is said beside it.
    assert found["verdict"] == "allow"
    assert "prove" in found["notes"][0]
    proofs = ProofStore(database, audit_of(database))
    claim = await proofs.claim(proof_key("acme", parse_endpoint(URL)), LeaseToken("t"), MINUTE_US)
    await proofs.record(claim, ProofMethod.ECHO, WorkerId("w1"))
    assert (await explain(api, URL))["notes"] == []


async def test_p6_the_record_tells_a_submitter_no_more_than_explain_did(api: Caller):
    for url in ("https://other.example/", "https://inside.acme.example/"):
        await explain(api, url, by=SUBMITTER)
    told = await api.ask("GET", "/v1/audit", query={"kind": "destination."}, by=SUBMITTER)
    assert [each["detail"] for each in told["items"]] == [{}, {}]
    assert [each["detail"]["code"] for each in await _record(api)] == [
        "address_forbidden",
        "destination_unlisted",
    ]


async def test_a_name_that_is_only_reported_is_not_looked_up_for_a_submitter(api: Caller):
    held = replace(
        LARGE,
        connectors=(replace(LARGE.connectors[0], report_only_until=FAR),),
        policy=Policy(ownership_proof=OwnershipProof.WAIVED),
    )
    await activate(api, held)
    found = await explain(api, "https://secret.other.example/", by=SUBMITTER)
    assert found["code"] == "unresolved"
    assert planes.looked_up == []


async def test_answers_that_are_no_addresses_are_refused_before_they_are_kept(api: Caller):
    body = {"url": URL, "answers": {"hooks.acme.example": ["1" * 2_000]}}
    assert (await api.refused("POST", "/v1/explanations", body))[0] == 400


async def test_p6_a_proof_that_failed_tells_a_submitter_no_more_than_explain_does(
    api: Caller, database: Database
):
    body = {"registry": registry_document(LARGE), "reason": "ask for proofs again"}
    await api.ask("POST", "/v1/change-sets", body)
    proofs = ProofStore(database, audit_of(database))
    told = []
    for found in (
        Unproven("address_forbidden", "txt_unasked"),
        Unproven("address_none", "txt_unasked"),
        Unproven("dns_failed", "txt_missing"),
    ):
        key = proof_key("acme", parse_endpoint(URL))
        claim = await proofs.claim(key, LeaseToken("t"), MINUTE_US)
        assert await proofs.fail(claim, found, 0)
        path = "/v1/subscriptions/acme-orders/proof"
        seen = await api.ask("GET", path, by=SUBMITTER)
        told.append((seen["echo"], seen["dns"]))
        seen = await api.ask("GET", path, by=person("sue", Role.SRE))
        assert (seen["echo"], seen["dns"]) == (found.echo, found.dns)
    assert told == [("destination_refused", "")] * 3
