"""Secret headers: entered once, agreed to by another, bound to where they go, and never shown."""

from dataclasses import replace
from typing import Any

import pytest

from dispatcher.model.keys import CompatSignature, CompatStyle
from dispatcher.model.people import PrincipalKind, Role
from dispatcher.model.registry import Destination, Registry
from dispatcher.store.database import Database
from dispatcher.vault.places import credential_place
from tests.conformance.test_api import activate, registry_document
from tests.support.letters import rows
from tests.support.planes import Caller, means_of, person
from tests.support.vaults import standing_vault
from tests.unit.stages import builders

NAME, VALUE = "acme-orders", "Bearer CANARY-4711"
PLACE = "https://hooks.acme.example:443/in"
PAT, BEA = person("pat", Role.PLATFORM), person("bea", Role.APPROVER)
HELD = builders.registry(
    connectors=(
        builders.connector(
            destinations=(
                Destination(host="hooks.acme.example", reason="orders"),
                Destination(host="evil.example", reason="orders"),
            )
        ),
    )
)


@pytest.fixture
async def api(database: Database) -> Caller:
    found = Caller(means_of(database))
    await activate(found, HELD)
    return found


async def enter(api: Caller, value: str = VALUE, **more: Any) -> Any:
    body = {"subscription": NAME, "header": "Authorization", "value": value, "reason": "r"} | more
    return await api.ask("POST", "/v1/credentials", body, by=PAT)


async def approve(api: Caller, credential: str) -> Any:
    body = {"id": credential, "reason": "they asked for it"}
    return await api.ask("POST", "/v1/credentials/approvals", body, by=BEA)


async def states(api: Caller) -> list[tuple[str, str]]:
    return [(each["id"], each["state"]) for each in await api.ask("GET", "/v1/credentials")]


async def move(api: Caller, url: str, held: Registry = HELD) -> None:
    (wanted,) = held.subscriptions
    await activate(api, replace(held, subscriptions=(replace(wanted, url=url),)))


async def refusals(api: Caller) -> str:
    """Say what keeps letters of the subscription here, as a preview has it."""
    body = {"subscription": NAME, "tenant": "north", "type": "order.paid", "payload": {"id": "o1"}}
    found = await api.ask("POST", "/v1/previews", body)
    return str(found["recipients"][0]["refusals"])


async def test_a_header_is_sent_once_somebody_else_agreed_and_its_value_is_nowhere(
    api: Caller, database: Database
):
    made = await enter(api)
    assert (made["header"], made["destination"]) == ("authorization", PLACE)
    assert (made["entered_by"], made["approved_by"]) == ("pat", None)
    assert await states(api) == [(made["id"], "pending")]
    body = {"id": made["id"], "reason": "r"}
    pat = person("pat", Role.PLATFORM, Role.APPROVER)
    path = "/v1/credentials/approvals"
    assert await api.refused("POST", path, body, by=pat) == (403, "self_approval")
    assert (await approve(api, made["id"]))["approved_by"] == "bea"
    assert await states(api) == [(made["id"], "sent")]
    assert await api.refused("POST", path, body, by=BEA) == (409, "credential_decided")
    (row,) = await rows(database, "SELECT sealed FROM {credentials}")
    place = credential_place("acme", PLACE, made["id"])
    assert standing_vault().open(bytes(row["sealed"]), place) == VALUE.encode()
    kinds = [each["kind"] for each in (await api.ask("GET", "/v1/audit"))["items"]]
    assert {"credential.approved", "credential.entered"} <= set(kinds)
    everything = str([await api.ask("GET", path) for path in ("/v1/credentials", "/v1/audit")])
    everything += str(await rows(database, "SELECT * FROM {credentials}"))
    assert "CANARY" not in everything


@pytest.mark.parametrize("url", ["https://evil.example/in", "https://hooks.acme.example/other"])
async def test_where_the_endpoint_is_another_it_is_void_until_entered_again_and_approved(
    api: Caller, url: str
):
    made = await enter(api)
    await approve(api, made["id"])
    await move(api, url)
    assert await states(api) == [(made["id"], "unbound")]
    assert "credentials_unbound" in await refusals(api)
    again = await enter(api)
    assert "credentials_unbound" in await refusals(api), "not before somebody agreed"
    await approve(api, again["id"])
    assert await states(api) == [(again["id"], "sent")]
    assert "credentials_unbound" not in await refusals(api)


async def test_a_new_value_takes_the_place_of_the_old_one_as_it_is_approved(api: Caller):
    first = await enter(api)
    await approve(api, first["id"])
    await enter(api, "Bearer two")
    third = await enter(api, "Bearer three")
    assert await states(api) == [(third["id"], "pending"), (first["id"], "sent")]
    await approve(api, third["id"])
    assert await states(api) == [(third["id"], "sent")]
    body = {"subscription": NAME, "header": "AUTHORIZATION", "reason": "r"}
    await api.ask("POST", "/v1/credentials/removals", body, by=PAT)
    assert await states(api) == []
    path = "/v1/credentials/removals"
    assert await api.refused("POST", path, body, by=PAT) == (404, "credential_unknown")


async def test_the_revocation_of_a_partner_destroys_its_headers_and_nothing_goes_without_them(
    api: Caller, database: Database
):
    made = await enter(api)
    await approve(api, made["id"])
    leak = {"connector": "acme", "reason": "r"}
    done = await api.ask("POST", "/v1/keys/revocations", leak)
    assert done["headers"] == [f"{NAME}/authorization"]
    (_, entry) = (await api.ask("GET", "/v1/audit"))["items"][:2]
    assert (entry["kind"], entry["detail"]["headers"]) == ("key.revoked", done["headers"])
    assert (await api.ask("POST", "/v1/keys/revocations", leak))["headers"] == []
    assert await states(api) == [(made["id"], "destroyed")]
    assert await rows(database, "SELECT sealed FROM {credentials}") == [{"sealed": None}]
    assert "credentials_unbound" in await refusals(api)


async def test_what_no_header_may_be_is_refused_without_being_repeated(api: Caller):
    path = "/v1/credentials"
    for header, value in (
        ("Content-Length", "7"),
        ("webhook-id", "x"),
        ("X Y", "x"),
        ("X-Key", "CANARY\r\nX-More: 1"),
        ("X-Key", "CANARY\u00e9"),
    ):
        body = {"subscription": NAME, "header": header, "value": value, "reason": "r"}
        reply = await api.call("POST", path, body, by=PAT)
        assert (reply.status, b"header_invalid" in reply.body) == (422, True)
        assert b"CANARY" not in reply.body
    here = person("local:ann", Role.PLATFORM, kind=PrincipalKind.LOCAL)
    body = {"subscription": NAME, "header": "X-Key", "value": "v", "reason": "r"}
    assert await api.refused("POST", path, body, by=here) == (403, "approval_required")
    assert await api.refused("POST", path, body | {"subscription": "x"}, by=PAT) == (
        404,
        "subscription_unknown",
    )
    (wanted,) = HELD.subscriptions
    style = CompatSignature(header="X-Key", style=CompatStyle.T_V1)
    for more in ({"headers": {"x_key": "plain"}}, {"compat_signature": style}):
        plain = replace(HELD, subscriptions=(replace(wanted, **more),))
        await activate(api, plain)
        assert await api.refused("POST", path, body, by=PAT) == (422, "header_invalid")
        assert registry_document(plain)


async def test_a_preview_names_the_header_and_not_its_value(api: Caller):
    made = await enter(api)
    await approve(api, made["id"])
    body = {"subscription": NAME, "tenant": "north", "type": "order.paid", "payload": {"id": "o1"}}
    found = await api.ask("POST", "/v1/previews", body)
    headers = {each["name"]: each["value"] for each in found["recipients"][0]["letter"]["headers"]}
    assert headers["authorization"].startswith("(stored")
