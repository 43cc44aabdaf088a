"""Pseudonyms, siv and vault tokens from the grant to the partner and back, on every engine."""

import asyncio
import json
import threading
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest

from dispatcher.control.auditing import verify
from dispatcher.model.days import day_of
from dispatcher.model.disclosure import Direction
from dispatcher.model.errors import StoreUnavailable
from dispatcher.model.letter import Shaped
from dispatcher.model.paper import ConnectorState
from dispatcher.model.people import Role
from dispatcher.model.registry import Registry
from dispatcher.model.retention import LegalHold, Retention
from dispatcher.model.verdict import Reason, hold, refuse
from dispatcher.store.database import Database
from dispatcher.store.tables import OUTBOX_TABLES, REGISTRY_TABLES
from dispatcher.worker.tokens import LetterTokens
from dispatcher.worker.upkeep import Upkeep
from tests.support.databases import wall_us
from tests.support.letters import change, rows
from tests.support.planes import READS_PER_HOUR, person
from tests.support.tokens import PRIVACY, Office, asked, held, partner

ANN = {"ref": "o-1", "person": "ann-1", "number": 7, "email": "Ann@x.example"}


@pytest.fixture
async def office(database: Database) -> Office:
    made = Office(database)
    await made.apply(held())
    return made


async def test_two_partners_cannot_join_their_copies_and_one_can(office: Office):
    mine, again = await office.send(ANN, "ann-1"), await office.send(ANN, "ann-1")
    theirs = await office.send(ANN, "ann-1", to="bolt")
    elsewhere = await office.send(ANN, "ann-1", tenant="south")
    assert mine == again
    copies = [set(body["data"].values()) | {body["subject"]} for body in (mine, theirs, elsewhere)]
    assert all(len(copy) == 4 for copy in copies)
    assert len(set.union(*copies)) == 12
    assert not any("ann" in str(body).lower() or "o-1" in str(body) for body in (mine, theirs))


async def test_a_subject_joins_with_a_pseudonym_of_the_same_id(office: Office):
    body = await office.send(ANN, "ann-1")
    assert body["subject"] == body["data"]["person"]
    assert body["data"]["person"].startswith("tok_1_")
    assert body["data"]["number"] != (await office.send(ANN | {"person": "7"}))["data"]["person"]


async def test_spellings_of_one_value_are_one_token(office: Office):
    one = await office.send(ANN)
    two = await office.send(ANN | {"email": " ANN@X.example", "person": "ann-1 "})
    assert one["data"] == two["data"]
    assert await office.send(ANN | {"person": ""}) != await office.send(ANN | {"person": None})
    assert (await office.send(ANN | {"person": ""}))["data"]["person"].startswith("tok_1_")


async def test_what_a_vault_token_stands_for_is_durable_before_the_letter_bears_it(
    office: Office, database: Database
):
    token = (await office.send(ANN, "ann-1"))["data"]["email"]
    assert token.startswith("vlt_1_")
    (row,) = await rows(database, "SELECT * FROM {vault_tokens}")
    assert (row["token"], row["tenant"], row["domain"]) == (token, "north", "email")
    (link,) = await rows(database, "SELECT * FROM {vault_subjects}")
    assert link == {"token": token, "subject": office.kit.vault.pseudonym("north", "ann-1")}


async def test_a_known_value_costs_no_look_at_the_vault(office: Office):
    await office.send(ANN, "ann-1")
    for _ in range(10):
        await office.send(ANN, "ann-1")
    assert office.vault.asked == 1
    # Another worker knows nothing yet, and is given the same.
    other = Office(office.vault._database, "w2")
    await other.policy.start()
    assert await other.send(ANN, "ann-1") == await office.send(ANN, "ann-1")


async def test_somebody_else_with_the_same_value_is_linked_to_its_token(
    office: Office, database: Database
):
    one, two = await office.send(ANN, "ann-1"), await office.send(ANN, "bob-2", "ann-1")
    assert one["data"]["email"] == two["data"]["email"]
    names = {office.kit.vault.pseudonym("north", name) for name in ("ann-1", "bob-2")}
    found = await rows(database, "SELECT subject FROM {vault_subjects}")
    assert {row["subject"] for row in found} == names


async def test_many_letters_at_once_share_a_token_and_a_transaction(office: Office):
    bodies = await asyncio.gather(*(office.send(ANN, "ann-1") for _ in range(50)))
    assert len({body["data"]["email"] for body in bodies}) == 1
    assert office.vault.asked <= 3


async def test_a_letter_waits_while_the_vault_is_away_and_says_nothing_of_its_value(office: Office):
    office.vault.broken = StoreUnavailable("gone", fix="bring it back")
    shaped, _ = await office.shape(ANN, "ann-1")
    assert shaped == hold(Reason.TOKENS_UNAVAILABLE)
    assert any("tokens_unavailable" in line for line in office.log.lines)
    assert "ann" not in str(office.log.lines).lower()
    office.vault.broken = None
    assert (await office.send(ANN, "ann-1"))["data"]["email"].startswith("vlt_1_")


async def test_a_letter_to_a_partner_without_a_key_is_parked(office: Office, database: Database):
    await change(database, "UPDATE {token_keys} SET sealed = NULL WHERE connector = 'acme'")
    await change(database, "UPDATE {policy} SET epoch = epoch + 1")
    await office.policy.start()
    shaped, _ = await office.shape(ANN, "ann-1")
    assert shaped == refuse(Reason.TOKENS_UNAVAILABLE)
    assert (await office.send(ANN, "ann-1", to="bolt"))["subject"].startswith("tok_1_")


async def test_a_key_that_was_moved_to_another_partner_opens_nothing(
    office: Office, database: Database
):
    moved = """UPDATE {token_keys} SET sealed =
        (SELECT b.sealed FROM {token_keys} b WHERE b.connector = 'bolt')"""
    await change(database, moved)
    await change(database, "UPDATE {policy} SET epoch = epoch + 1")
    await office.policy.start()
    shaped, _ = await office.shape(ANN, "ann-1")
    assert shaped == refuse(Reason.TOKENS_UNAVAILABLE)


async def test_a_token_is_turned_back_for_a_reason_that_is_recorded(
    office: Office, database: Database
):
    data = (await office.send(ANN, "ann-1"))["data"]
    found = await office.ask(data["email"], ticket="T-1")
    assert found == {
        "value": "ann@x.example",
        "kind": "vlt",
        "tenant": "north",
        "connector": "acme",
        "domain": "email",
        "version": 1,
    }
    assert (await office.ask(data["ref"]))["value"] == "o-1"
    audit = office.api.means.audit
    entries = await audit.newest(before=99, limit=2, actor=None, kind="detok", about=None)
    (last, first) = (entry.document for entry in entries)
    assert (first["kind"], first["actor"]) == ("detokenisation.answered", "priya")
    assert (first["reason"], first["detail"]["ticket"]) == ("a complaint", "T-1")
    assert (first["detail"]["token_kind"], last["detail"]["token_kind"]) == ("vault", "siv")
    assert (first["detail"]["domain"], last["detail"]["domain"]) == ("email", "order")
    log = str(await rows(database, "SELECT entry FROM {audit_log}"))
    assert not any(secret in log for secret in ("ann@x", "o-1", data["email"], data["ref"]))
    assert (await verify(audit, (await audit.head()).note)).is_good


async def test_the_answer_is_kept_by_nobody(office: Office, database: Database):
    token = (await office.send(ANN, "ann-1"))["data"]["email"]
    head = {"content-type": "application/json", "idempotency-key": "k1"}
    reply = await office.api.call(
        "POST", "/v1/detokenisations", asked(token), headers=head, by=PRIVACY
    )
    assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
    assert await rows(database, "SELECT * FROM {replies}") == []


async def test_nothing_is_answered_that_is_not_on_the_record(office: Office, database: Database):
    token = (await office.send(ANN, "ann-1"))["data"]["email"]
    await change(database, "DELETE FROM {audit_head}")
    reply = await office.api.call("POST", "/v1/detokenisations", asked(token), by=PRIVACY)
    assert reply.status >= 500
    assert b"ann@x" not in reply.body


async def test_each_way_a_token_does_not_open_has_its_code(office: Office, database: Database):
    body = await office.send(ANN, "ann-1")
    vault, siv = body["data"]["email"], body["data"]["ref"]
    assert await office.refused(body["subject"]) == (422, "token_irreversible")
    assert await office.refused("ann@x.example") == (422, "partner_token_malformed")
    assert await office.refused(vault, connector="carl") == (404, "connector_unknown")
    assert await office.refused(vault, tenant="south") == (404, "partner_token_other_tenant")
    for unknown in (vault[:-1] + ("a" if vault[-1] != "a" else "b"), vault.replace("_1_", "_2_")):
        assert await office.refused(unknown) == (404, "partner_token_unknown")
    assert await office.refused(siv, domain="other") == (404, "partner_token_unknown")
    assert (
        await office.api.call("POST", "/v1/detokenisations", asked(vault, reason=" "), by=PRIVACY)
    ).status == 400
    tried = await rows(database, "SELECT entry FROM {audit_log} WHERE entry LIKE '%nisation.ref%'")
    assert len(tried) == 6


async def test_a_token_of_one_partner_never_opens_as_anothers(office: Office):
    for kind in ("email", "ref"):
        mine = (await office.send(ANN, "ann-1"))["data"][kind]
        theirs = (await office.send(ANN, "ann-1", to="bolt"))["data"][kind]
        assert await office.refused(mine, connector="bolt") == (404, "partner_token_unknown")
        assert await office.refused(theirs) == (404, "partner_token_unknown")


async def test_a_row_moved_to_another_token_does_not_open(office: Office, database: Database):
    one = (await office.send(ANN, "ann-1"))["data"]["email"]
    two = (await office.send(ANN | {"email": "bob@x.example"}, "bob-2"))["data"]["email"]
    moved = """UPDATE {vault_tokens} SET sealed =
        (SELECT o.sealed FROM {vault_tokens} o WHERE o.token = :two) WHERE token = :one"""
    await change(database, moved, one=one, two=two)
    reply = await office.api.call("POST", "/v1/detokenisations", asked(one), by=PRIVACY)
    assert reply.status == 500
    assert b"bob" not in reply.body


async def test_somebody_of_one_tenant_sees_that_tenants_tokens_alone(office: Office):
    southern = person("sue", Role.PRIVACY, tenant="south")
    for kind, code in (("email", "partner_token_other_tenant"), ("ref", "partner_token_unknown")):
        north = (await office.send(ANN, "ann-1"))["data"][kind]
        south = (await office.send(ANN, "ann-1", tenant="south"))["data"][kind]
        assert (await office.ask(south, by=southern))["tenant"] == "south"
        assert await office.refused(north, by=southern) == (404, code)
        assert await office.refused(north, by=southern, tenant="north") == (403, "tenant_scoped")
    body = {"tenant": "north", "subject": "ann-1", "reason": "r"}
    refused = await office.api.refused("POST", "/v1/erasures", body, by=southern)
    assert refused == (403, "tenant_scoped")


async def test_whoever_asks_too_often_is_told_to_wait_and_others_are_not(office: Office):
    token = (await office.send(ANN, "ann-1"))["data"]["email"]
    for _ in range(READS_PER_HOUR):
        await office.ask(token)
    assert await office.refused(token) == (429, "too_often")
    await office.ask(token, by=person("otto", Role.PRIVACY))
    audit = office.api.means.audit
    (_, entry) = await audit.newest(before=99, limit=2, actor=None, kind="detok", about=None)
    assert entry.document["detail"]["code"] == "too_often"


async def test_an_hour_later_the_count_begins_anew(office: Office, database: Database):
    token = (await office.send(ANN, "ann-1"))["data"]["email"]
    for _ in range(READS_PER_HOUR + 1):
        await office.api.call("POST", "/v1/detokenisations", asked(token), by=PRIVACY)
    await change(database, "UPDATE {token_reads} SET window_us = window_us - 3600000000")
    assert (await office.ask(token))["value"] == "ann@x.example"


async def test_an_erased_person_is_in_no_token_any_more(office: Office, database: Database):
    before = (await office.send(ANN, "ann-1"))["data"]
    other = (await office.send(ANN | {"email": "bob@x.example"}, "bob-2"))["data"]["email"]
    async with office.obeying():
        done = await office.erase("ann-1")
        assert (done["tokens"], done["shared"], done["workers"]) == (1, 0, 1)
        assert await office.refused(before["email"]) == (404, "partner_token_erased")
        after = (await office.send(ANN, "ann-1"))["data"]
        assert after["email"] != before["email"]
        assert (await office.ask(after["email"]))["value"] == "ann@x.example"
        assert (await office.ask(other))["value"] == "bob@x.example"
        # What nobody can turn back stays as it was, so that the partner's rows go on joining.
        assert after["person"] == before["person"]
        assert (await office.erase("ann-1"))["tokens"] == 1
        assert (await office.erase("ann-1"))["tokens"] == 0
    log = [
        json.loads(row["entry"]) for row in await rows(database, "SELECT entry FROM {audit_log}")
    ]
    kinds = [entry["kind"] for entry in log if entry["about"].startswith("subject sub_")]
    assert kinds == ["subject.erasing", "subject.erased"] * 3
    assert "ann-1" not in str(log)
    (first, *_) = [entry for entry in log if entry["kind"] == "subject.erased"]
    assert {"tokens": 1, "shared": 0, "links": 1}.items() <= first["detail"].items()


async def test_a_letter_shaped_before_an_erasure_does_not_begin_after_it(office: Office):
    shaped, tokens = await office.shape(ANN, "ann-1")
    plain, without = await office.shape({"ref": "o-1"}, "ann-1")
    assert isinstance(shaped, Shaped)
    assert isinstance(plain, Shaped)
    async with office.obeying():
        await office.erase("ann-1")
    assert not office.desk.is_current(tokens)
    assert office.desk.is_current(without)


async def test_a_token_found_while_its_person_was_being_erased_is_not_remembered(office: Office):
    """The vault answered before the erasure, and the worker heard of both the other way round."""
    first = (await office.send(ANN, "ann-1"))["data"]["email"]
    other = Office(office.vault._database, "w2")
    await other.policy.start()
    admitted = other.admit(ANN, "ann-1")
    tokens = other.desk.of(admitted.cleared)
    real = other.vault.mint

    async def slow(wanted: Any) -> list[str]:
        minted = await real(wanted)
        async with office.obeying(), other.obeying():
            await office.erase("ann-1")
        return minted

    other.desk._mints._flush = slow
    shaped = await other.desk.shape(admitted, tokens)
    assert isinstance(shaped, Shaped)
    assert first in shaped.plaintext.decode()
    assert not other.desk.is_current(tokens)
    other.desk._mints._flush = real
    assert (await other.send(ANN, "ann-1"))["data"]["email"] != first


async def test_an_erasure_that_a_worker_does_not_confirm_says_so_and_has_happened(office: Office):
    token = (await office.send(ANN, "ann-1"))["data"]["email"]
    body = {"tenant": "north", "subject": "ann-1", "reason": "r", "wait_seconds": 0.0}
    refused = await office.api.refused("POST", "/v1/erasures", body, by=PRIVACY)
    assert refused == (504, "erasure_unconfirmed")
    assert await office.refused(token) == (404, "partner_token_erased")


@pytest.mark.parametrize(
    ("of", "is_held"),
    [
        ({"tenant": "north"}, True),
        ({"event_type": "order.paid"}, True),
        ({"tenant": "south"}, False),
    ],
)
async def test_nobody_is_erased_whom_a_legal_hold_covers(
    office: Office, of: dict[str, str], is_held: bool
):
    token = (await office.send(ANN, "ann-1"))["data"]["email"]
    first = day_of(wall_us())
    hold = LegalHold(name="case-7", owner="lea", reason="a drill", since=first, until=first, **of)
    registry = held()
    policy = replace(registry.policy, retention=Retention(holds=(hold,)))
    await office.apply(replace(registry, policy=policy))
    body = {"tenant": "north", "subject": "ann-1", "reason": "r"}
    if is_held:
        refused = await office.api.refused("POST", "/v1/erasures", body, by=PRIVACY)
        assert refused == (409, "legal_hold")
        assert (await office.ask(token))["value"] == "ann@x.example"
    else:
        async with office.obeying():
            assert (await office.erase("ann-1"))["tokens"] >= 1


async def test_a_retired_partners_tokens_mean_nothing_to_anybody(
    office: Office, database: Database
):
    data = (await office.send(ANN, "ann-1"))["data"]
    kept = (await office.send(ANN, "ann-1", to="bolt"))["data"]
    outcome = await office.apply(retired("acme"))
    assert outcome.diff.direction is Direction.NARROWS
    assert "token keys are destroyed" in str(outcome.diff)
    keys = await rows(database, "SELECT connector, sealed FROM {token_keys} ORDER BY connector")
    assert [(row["connector"], row["sealed"] is None) for row in keys] == [
        ("acme", True),
        ("bolt", False),
    ]
    for kind in ("email", "ref"):
        assert await office.refused(data[kind]) == (409, "connector_retired")
        assert (await office.ask(kept[kind], connector="bolt"))["kind"] in ("vlt", "siv")
    upkeep = Upkeep(office.kit, office.policy, MagicMock())
    await upkeep._empty_vault()
    left = await rows(database, "SELECT connector FROM {vault_tokens}")
    assert left == [{"connector": "bolt"}]
    assert len(await rows(database, "SELECT token FROM {vault_subjects}")) == 1
    assert await office.refused(data["email"]) == (409, "connector_retired")
    (entry,) = await office.api.means.audit.newest(
        before=99, limit=1, actor=None, kind="revision", about=None
    )
    assert entry.document["detail"]["token_keys_destroyed"] == ["acme"]


def retired(name: str) -> Registry:
    return held_with(name, state=ConnectorState.RETIRED)


def held_with(name: str, **changed: Any) -> Registry:
    listed = {each: partner(each) for each in ("acme", "bolt")}
    return held(*(listed | {name: replace(listed[name], **changed)}).values())


async def test_another_version_gives_other_tokens_and_the_old_ones_still_open(office: Office):
    before = (await office.send(ANN, "ann-1"))["data"]
    outcome = await office.apply(held_with("acme", token_version=2))
    assert outcome.diff.direction is Direction.WIDENS
    assert "token_version 2, was 1" in str(outcome.diff)
    after = (await office.send(ANN, "ann-1"))["data"]
    assert {token.split("_")[1] for token in after.values()} == {"2"}
    assert not set(after.values()) & set(before.values())
    for kind in ("email", "ref"):
        opened = [await office.ask(data[kind]) for data in (before, after)]
        assert [found.pop("version") for found in opened] == [1, 2]
        assert opened[0] == opened[1]
    await office.apply(held())
    assert (await office.send(ANN, "ann-1"))["data"] == before


async def test_a_partner_that_leaves_the_list_and_comes_back_has_its_key(office: Office):
    before = await office.send(ANN, "ann-1")
    await office.apply(held(partner("bolt")))
    await office.apply(held())
    assert await office.send(ANN, "ann-1") == before


async def test_no_value_and_no_key_lies_in_the_database(office: Office, database: Database):
    planted = {"ref": "CANARY-ref", "person": "CANARY-p", "number": 7, "email": "CANARY@x.example"}
    body = await office.send(planted, "CANARY-subject")
    await office.ask(body["data"]["email"])
    await office.ask(body["data"]["ref"])
    async with office.obeying():
        await office.erase("CANARY-subject")
    await office.send(planted, "CANARY-subject")
    dump = ""
    for table in (*REGISTRY_TABLES, *OUTBOX_TABLES):
        dump += str(await rows(database, f"SELECT * FROM {{{table}}}"))
    assert len(dump) > 1000
    assert "canary" not in dump.lower()
    assert b"CANARY".hex() not in dump.lower()
    assert "canary" not in str(office.log.lines).lower()


async def test_a_large_event_is_shaped_beside_the_loop_so_that_policy_is_read_meanwhile(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    where: set[bool] = set()
    make = LetterTokens.pseudonym

    def note(self: LetterTokens, domain: str, text: str) -> str:
        where.add(threading.current_thread() is threading.main_thread())
        return make(self, domain, text)

    monkeypatch.setattr(LetterTokens, "pseudonym", note)
    small = await office.send(ANN)
    assert where == {True}
    where.clear()
    assert (await office.send(ANN | {"more": "x" * 70_000}))["data"] == small["data"]
    assert where == {False}
