"""What a partner publishes, as people are shown it: by the API, and by `keys partner`."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.asking import Where
from dispatcher.cli.keys import partner
from dispatcher.model.ids import LeaseToken
from dispatcher.model.key_set import FoundKey, FoundKeys, KeySet, KeySetMode
from dispatcher.model.people import Role
from dispatcher.model.registry import Registry
from dispatcher.store.database import Database
from dispatcher.store.partner_keys import PartnerKeyStore
from tests.conformance.test_api import activate, registry_document
from tests.support.letters import MINUTE_US, change
from tests.support.planes import Caller, means_of, person
from tests.support.records import audit_of
from tests.unit.stages import builders

URL = "https://hooks.acme.example/jwks.json"
PATH = "/v1/connectors/acme/keys"
HOUR_US = 3_600_000_000
SRE, SUBMITTER = person("sue", Role.SRE), person("pat", Role.PLATFORM)
PRINT = "A" * 43
A = FoundKey("k1", PRINT, '{"kty":"EC","crv":"P-256","x":"1","y":"2"}', True)
B = FoundKey("k2", "print-2", '{"kty":"RSA","n":"1","e":"2"}', True)
UNMARKED = FoundKey("k3", "print-3", '{"kty":"OKP","crv":"X25519","x":"1"}', False)


def held(**more: Any) -> Registry:
    return builders.registry(connectors=(builders.connector(**more),))


async def fetch(database: Database, *keys: FoundKey, **more: Any) -> None:
    """Have a worker find these keys; where `fault` is given, nothing but that."""
    store = PartnerKeyStore(database, audit_of(database))
    fault = more.pop("fault", None)
    mine = await store.claim("acme", URL, LeaseToken("t"), MINUTE_US, is_short=False)
    assert mine.is_ours
    if fault is not None:
        await store.fail(mine, fault, 0)
    else:
        await store.record(mine, FoundKeys(keys, **more), 0)


@pytest.fixture
async def api(database: Database) -> Caller:
    api = Caller(means_of(database), by=SRE)
    followed = KeySet(url=URL, mode=KeySetMode.FOLLOW, hold_hours=6)
    await activate(api, held(key_set=followed))
    return api


async def narrow(api: Caller, less: Registry) -> None:
    body = {"registry": registry_document(less), "reason": "a test"}
    assert (await api.ask("POST", "/v1/change-sets", body, by=SUBMITTER))["active"]


def typed(monkeypatch: pytest.MonkeyPatch, answer: Any) -> str:
    """Give what the command prints of this answer."""
    monkeypatch.setattr(Where, "ask", lambda *_: answer)
    done = CliRunner().invoke(partner, ["acme"])
    assert done.exit_code == 0, done.exception
    return done.output


async def test_each_key_of_a_set_says_whether_it_may_be_used_and_from_when(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
):
    found = await api.ask("GET", PATH)
    assert (found["state"], found["found_us"], found["tried_us"]) == ("unfound", 0, 0)
    assert "not found yet" in typed(monkeypatch, found)

    await fetch(database, B, A, UNMARKED)
    await change(database, "UPDATE {partner_keys} SET first_seen_us = 1 WHERE kid = 'k2'")
    found = await api.ask("GET", PATH)
    assert (found["url"], found["mode"], found["state"]) == (URL, "follow", "good")
    assert found["stale_us"] == found["found_us"] + 72 * HOUR_US
    assert [(e["kid"], e["kty"], e["crv"], e["use"]) for e in found["keys"]] == [
        ("k2", "RSA", None, "usable"),
        ("k1", "EC", "P-256", "held"),
        ("k3", "OKP", "X25519", "unmarked"),
    ]
    rsa, ec, okp = found["keys"]
    assert (rsa["thumbprint"], rsa["usable_us"]) == ("print-2", 1 + 6 * HOUR_US)
    assert ec["usable_us"] == ec["first_seen_us"] + 6 * HOUR_US
    assert okp["usable_us"] is None
    told = typed(monkeypatch, found)
    for text in (URL, "follow, in use", "it counts until", PRINT, "EC P-256", "held", "unmarked"):
        assert text in told

    await activate(api, held(key_set=KeySet(url=URL, thumbprints=(PRINT,))))
    uses = {each["kid"]: each["use"] for each in (await api.ask("GET", PATH))["keys"]}
    assert uses == {"k2": "unpinned", "k1": "usable", "k3": "unpinned"}


async def test_it_is_told_how_the_last_fetch_went_and_why_none_is_made(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
):
    await fetch(database, A)
    await fetch(database, fault="address_forbidden")
    stop = {"target": "connector:acme", "reason": "INC-1", "wait_seconds": 0}
    await api.ask("POST", "/v1/switches", stop)
    found = await api.ask("GET", PATH)
    assert found["tried_us"] >= found["found_us"] > 0
    assert (found["fault"], found["failures"]) == ("address_forbidden", 1)
    assert found["forbidden_by"] == ["switch_on"]
    told = typed(monkeypatch, found)
    assert "address_forbidden, 1 time; again by" in told
    assert "not asked now: switch_on" in told
    assert (await api.ask("GET", PATH, by=SUBMITTER))["fault"] == "destination_refused"


async def test_a_key_whose_private_half_was_published_is_told_of_for_good(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
):
    await fetch(database, A, B)
    await fetch(database, exposed=(A,), is_exposed=True)
    found = await api.ask("GET", PATH)
    assert (found["fault"], found["keys"]) == ("private_key_published", [])
    await fetch(database, B)
    found = await api.ask("GET", PATH)
    assert [each["kid"] for each in found["keys"]] == ["k2"]
    (exposed,) = found["exposed"]
    assert (exposed["thumbprint"], exposed["kid"]) == (PRINT, "k1")
    assert exposed["exposed_us"] >= exposed["first_seen_us"] > 0
    assert f"exposed, never used again: {PRINT} k1 " in typed(monkeypatch, found)


@pytest.mark.parametrize(
    ("state", "sql"),
    [
        ("stale", "UPDATE {partner_key_sets} SET good_us = 1"),
        ("elsewhere", "UPDATE {partner_key_sets} SET url = 'https://hooks.acme.example/old'"),
    ],
)
async def test_a_set_that_does_not_count_says_so(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch, state: str, sql: str
):
    await fetch(database, A)
    await change(database, sql)
    found = await api.ask("GET", PATH)
    assert found["state"] == state
    told = typed(monkeypatch, found)
    assert "so it does not count" in told
    assert "it counts until" not in told


async def test_who_publishes_nothing_or_is_nobody_has_no_set(api: Caller):
    assert await api.refused("GET", "/v1/connectors/bolt/keys") == (404, "connector_unknown")
    await narrow(api, held())
    assert await api.refused("GET", PATH) == (404, "key_set_unknown")
    tenant = person("tim", Role.READER, tenant="north")
    assert await api.refused("GET", PATH, by=tenant) == (403, "tenant_scoped")


async def test_the_command_prints_the_answer_as_it_is(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
):
    await fetch(database, A)
    found = await api.ask("GET", PATH)
    monkeypatch.setattr(Where, "ask", lambda *_: found)
    assert json.loads(CliRunner().invoke(partner, ["acme", "--json"]).output) == found
