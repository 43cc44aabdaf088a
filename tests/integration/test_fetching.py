"""What a thin letter names is fetched by its partner, and by nobody else.

Real TLS, real client certificates, requests signed by a signer of their own.
"""

import asyncio
import json
import re
from asyncio.sslproto import _SSLProtocolTransport  # type: ignore[attr-defined]
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from standardwebhooks import Webhook

from dispatcher.model.caller import Caller, CallerKind
from dispatcher.model.errors import StoreUnavailable
from dispatcher.model.registry import Destination, Encryption, Style
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Reason
from dispatcher.receiver.opening import Receiver
from dispatcher.stages.sealing.standard_webhooks import format_secret
from dispatcher.store.history import HistoryStore
from dispatcher.worker.kit import Step
from tests.support.fetching import (
    BASE_URL,
    BROOK_KEY,
    BROOKS,
    CALLERS,
    CLIENT,
    KEY,
    THEIRS,
    fetching,
    registry_of,
)
from tests.support.letters import change, rows
from tests.support.opening import PAIRS, partner_key
from tests.support.signing import pem_of_key
from tests.support.waiting import until

WIRE = Path(__file__).parents[2] / "docs" / "wire.md"
DATA = {"id": "o1", "total": 7}


async def test_a_thin_letter_names_what_is_fetched_with_its_ticket(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        assert letter.keys() == {"id", "type", "timestamp", "ref", "ticket"}
        assert letter["ref"] == f"/v1/refs/{letter['id']}"
        assert re.fullmatch(r"tkt_[A-Za-z0-9_-]{32}", letter["ticket"])
        got = await world.fetch(letter)
        assert got.status == 200
        assert got.json == {name: letter[name] for name in ("id", "type", "timestamp")} | {
            "data": DATA
        }
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["content-type"] == "application/json"
        signed = {name: value for name, value in got.headers.items() if name[:8] == "webhook-"}
        assert signed["webhook-id"] == letter["id"]
        Webhook(format_secret(await world.secret())).verify(got.body, signed)


async def test_what_is_fetched_is_to_the_byte_what_a_full_letter_would_bear(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, status=500, retry_seconds=(600.0,)) as world:
        letter = await world.letter()
        got = await world.fetch(letter)
        await world.apply(registry_of(world.inbox, style=Style.FULL, retry_seconds=(600.0,)))
        full = await world.fetch(letter)
        assert (got.status, full.body) == (200, got.body)


async def test_what_is_fetched_is_encrypted_where_letters_are(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        held = registry_of(world.inbox, encryption=Encryption.JWE)
        acme, *others = held.connectors
        acme = replace(acme, keys=(partner_key(PAIRS["EC"]),))
        await world.apply(replace(held, connectors=(acme, *others)))
        got = await world.fetch(letter)
        assert (got.status, got.headers["content-type"]) == (200, "application/jose")
        partner = Receiver(
            secrets=[format_secret(await world.secret())],
            private_keys={"k1": PAIRS["EC"].as_dict(private=True)},
            subscriber="acme-orders",
        )
        assert DATA == partner.open(got.headers, got.body, status=200).data
        (read,) = await world.reads(letter["id"])
        assert "jwe:" in read["key_ids"]


async def test_a_pinned_client_certificate_is_as_good_as_a_signature(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        assert (await world.fetch_certified(letter)).json["data"] == DATA
        (read,) = await world.reads(letter["id"])
        assert read["caller"] == f"acme-mtls {CALLERS[1].pin}"


async def test_a_p256_key_signs_as_well(tmp_path: Path, sqlite_url: str):
    key = generate_private_key(SECP256R1())
    caller = Caller(kid="acme-ec", kind=CallerKind.SIGNATURE, key=pem_of_key(key))
    async with fetching(tmp_path, sqlite_url, callers=(caller,)) as world:
        letter = await world.letter()
        assert (await world.fetch(letter, key=key, kid="acme-ec")).json["data"] == DATA


async def test_whoever_is_not_the_rightful_partner_gets_one_answer_whatever_is_there(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, ticket_uses=1) as world:
        letter, held, used, gone = [await world.letter() for _ in range(4)]
        ref, bearer = letter["ref"], {"authorization": f"Bearer {letter['ticket']}"}
        unknown = letter | {"ref": "/v1/refs/msg_unheard_of"}
        assert (await world.fetch(used)).status == 200
        await change(
            world.house.outbox_database,
            "UPDATE {tickets} SET expires_us = 1 WHERE webhook_id = :id",
            id=gone["id"],
        )
        shown = world.signed(letter)
        stale = world.signed(letter, created=1_700_000_000)
        other = {"key": BROOK_KEY, "kid": "brook-key"}
        found = [
            await world.get("/v1/refs/msg_unheard_of", bearer),
            await world.fetch(unknown),
            await world.get(ref, bearer),
            await world.get(ref, shown | {"authorization": "Bearer tkt_other"}),
            await world.fetch(letter | {"ticket": "tkt_other"}),
            await world.fetch(letter | {"ticket": used["ticket"]}),
            *[await world.fetch(each, **other) for each in (letter, held, used, gone, unknown)],
            *[await world.fetch_certified(e, BROOKS) for e in (letter, used, gone, unknown)],
            await world.fetch_certified(letter, THEIRS.issue_cert("client.acme.example")),
            await world.fetch_certified(letter, None),
            await world.get(ref, stale),
            await world.get(f"{ref}?ticket={letter['ticket']}", bearer, client=CLIENT),
            await world.get(f"{ref}/", bearer, client=CLIENT),
            await world.get(ref, {"signature-input": "x", **bearer}, client=CLIENT),
            await world.get(ref, client=CLIENT),
            await world.get(ref, bearer, client=CLIENT, method="POST"),
            await world.get("/v1/events", bearer, client=CLIENT),
            await world.get("/healthz"),
            await world.get("/"),
        ]
        await world.hold("connector:acme")
        found += [await world.fetch(held, **other), await world.get(held["ref"], bearer)]
        await world.release("connector:acme")
        faces = [each.face for each in found]
        assert [each for each in faces if each != faces[0]] == []
        assert (found[0].status, found[0].code) == (404, "ref_unknown")
        assert found[0].headers["server"] == "dispatcher"
        assert letter["id"] not in found[0].body.decode()
        # None of it used the ticket up, and its partner still may.
        assert (await world.fetch(letter)).status == 200


async def test_a_signature_is_good_once_to_whichever_process_it_is_shown(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        headers = world.signed(letter)
        assert (await world.get(letter["ref"], headers)).status == 200
        again = await world.get(letter["ref"], headers)
        assert (again.status, again.code) == (404, "ref_unknown")
        assert len(await world.reads(letter["id"])) == 1


async def test_after_its_time_a_ticket_is_expired_and_its_partner_is_told(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, ticket_seconds=1) as world:
        letter = await world.letter()
        await asyncio.sleep(1.1)
        got = await world.fetch(letter)
        assert (got.status, got.code) == (410, "ticket_expired")
        assert await world.reads(letter["id"]) == []


async def test_another_attempt_renews_the_ticket_that_the_first_one_bore(
    tmp_path: Path, sqlite_url: str
):
    terms: dict[str, Any] = {"status": 500, "retry_seconds": (600.0,), "ticket_seconds": 900}
    async with fetching(tmp_path, sqlite_url, **terms) as world:
        letter = await world.letter()
        await change(world.house.outbox_database, "UPDATE {tickets} SET expires_us = 1")
        assert (await world.fetch(letter)).code == "ticket_expired"
        await change(
            world.house.outbox_database,
            "UPDATE {deliveries} SET due_us = 1 WHERE webhook_id = :id",
            id=letter["id"],
        )
        await until(lambda: len(world.inbox.requests) == 2)
        again = json.loads(world.inbox.requests[-1].body)
        assert again == letter
        assert (await world.fetch(letter)).status == 200


async def test_a_ticket_is_used_up_after_its_reads(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url, ticket_uses=2) as world:
        letter = await world.letter()
        got = [await world.fetch(letter) for _ in range(3)]
        assert [each.status for each in got] == [200, 200, 410]
        assert got[2].code == "ticket_used_up"
        assert len(await world.reads(letter["id"])) == 2


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_of_many_who_race_for_the_last_reads_as_many_get_one(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
):
    url = request.getfixturevalue(f"{engine}_url")
    async with fetching(tmp_path, url, ticket_uses=3) as world:
        letter = await world.letter()
        got = await asyncio.gather(*(world.fetch(letter) for _ in range(10)))
        assert sorted(each.status for each in got) == [200] * 3 + [410] * 7
        reads = await world.reads(letter["id"])
        assert [row["attempt"] for row in reads] == [-1, -2, -3]
        assert {row["outcome"] for row in reads} == {"delivered"}


@pytest.mark.parametrize("target", ["everything", "connector:acme", "tenant:north"])
async def test_a_hold_revokes_what_is_out_until_it_is_released(
    tmp_path: Path, sqlite_url: str, target: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        await world.hold(target)
        got = await world.fetch(letter)
        assert (got.status, got.code) == (503, "held")
        assert target not in got.body.decode()
        await world.release(target)
        assert (await world.fetch(letter)).status == 200
        assert len(await world.reads(letter["id"])) == 1


async def test_fields_that_were_taken_away_since_are_not_fetched_nor_those_granted_since(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, grants=("$.id", "$.total")) as world:
        letter = await world.letter()
        await world.apply(registry_of(world.inbox, grants=("$.total", "$.customer.name")))
        got = await world.fetch(letter)
        assert got.json["data"] == {"total": 7}


async def test_a_credential_that_was_taken_away_since_fetches_nothing(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        assert (await world.fetch_certified(letter)).status == 200
        await world.apply(registry_of(world.inbox, callers=()))
        for got in (await world.fetch(letter), await world.fetch_certified(letter)):
            assert (got.status, got.code) == (404, "ref_unknown")


async def test_where_letters_lack_a_client_certificate_reads_go_on(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        asking = registry_of(world.inbox, url="https://hooks.acme.example/in")
        entry = Destination(
            host="hooks.acme.example", reason="a test", tls=Tls(identity="acme-mtls")
        )
        acme, *others = asking.connectors
        acme = replace(acme, destinations=(entry,))
        await world.apply(replace(asking, connectors=(acme, *others)))
        (closed,) = world.worker.policy.snapshot.closed.values()
        assert closed.reasons == (Reason.CLIENT_IDENTITY_MISSING,)
        assert (await world.fetch(letter)).status == 200


async def test_what_somebody_dropped_is_not_fetched(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url, status=500, retry_seconds=(600.0,)) as world:
        letter = await world.letter()
        await change(
            world.house.outbox_database,
            "UPDATE {deliveries} SET state = 'dropped' WHERE webhook_id = :id",
            id=letter["id"],
        )
        assert (await world.fetch(letter)).code == "held"
        assert await world.reads(letter["id"]) == []


async def test_a_signature_that_comes_without_its_ticket_is_not_kept(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        await world.fetch(letter | {"ticket": "tkt_other"})
        await world.fetch(letter | {"ref": "/v1/refs/msg_unheard_of"})
        found = await rows(world.house.outbox_database, "SELECT id FROM {shown_signatures}")
        assert found == []


async def test_what_is_not_kept_any_more_is_gone(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        await change(world.house.outbox_database, "UPDATE {events} SET payload = NULL")
        got = await world.fetch(letter)
        assert (got.status, got.code) == (410, "payload_gone")


async def test_without_a_ticket_by_its_terms_a_letter_has_a_reference_alone(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, ticket_seconds=0) as world:
        letter = await world.letter()
        assert letter.keys() == {"id", "type", "timestamp", "ref"}
        got = await world.fetch(letter | {"ticket": "tkt_1"})
        assert (got.status, got.code) == (404, "ref_unknown")


async def test_the_ledger_says_what_was_read_by_whom_and_under_which_policy(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        got = await world.fetch(letter)
        history = HistoryStore(world.house.outbox_database)
        (sent,) = [row for row in await world.ledger(letter["id"]) if row["attempt"] == 1]
        attempt, read = await history.attempts(sent["event_seq"])
        assert (attempt["kind"], read["kind"]) == ("letter", "read")
        assert json.loads(attempt["fields"]) == []
        assert [line.split()[0] for line in json.loads(read["fields"])] == ["$.id", "$.total"]
        assert (read["caller"], read["caller_address"]) == ("acme-key", "127.0.0.1")
        assert (read["outcome"], read["status"]) == ("delivered", 200)
        assert read["body_bytes"] == len(got.body)
        assert json.loads(read["subjects"])[0].startswith("sub_")
        assert (read["key_ids"], read["epoch"]) == (attempt["key_ids"], attempt["epoch"])
        assert letter["ticket"] not in json.dumps([attempt, read])


async def test_the_record_is_there_before_the_first_byte_and_the_ticket_is_not(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        seen: list[Any] = []
        arrived, go = asyncio.Event(), asyncio.Event()
        take = world.kit.tickets.take

        async def pause(read: Any) -> int | None:
            number = await take(read)
            arrived.set()
            await go.wait()
            return number

        object.__setattr__(world.kit, "tickets", _With(world.kit.tickets, take=pause))
        asking = asyncio.create_task(world.fetch(letter))
        await arrived.wait()
        seen = await world.reads(letter["id"])
        assert [(row["outcome"], row["ended_us"]) for row in seen] == [(None, None)]
        # Policy moves while the answer waits: nothing leaves, and the record says so.
        await world.hold("connector:acme")
        go.set()
        got = await asking
        assert (got.status, got.code) == (503, "held")
        (read,) = await world.reads(letter["id"])
        assert (read["outcome"], read["code"]) == ("not_begun", "switch_on")


async def test_nothing_is_answered_once_the_policy_lease_has_run_out(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, lease=2.0) as world:
        letter = await world.letter()

        async def away(*_: Any, **__: Any) -> None:
            raise StoreUnavailable("the registry is away")

        object.__setattr__(world.worker.policy._kit, "workers", _With(world.kit.workers, beat=away))
        policy, clock = world.worker.policy, world.kit.clock
        await until(lambda: policy.lease_ends < clock.boot())
        bearer = {"authorization": f"Bearer {letter['ticket']}"}
        for got in (
            await world.fetch(letter),
            await world.fetch_certified(letter),
            await world.get("/v1/refs/msg_unheard_of", bearer),
        ):
            assert (got.status, got.code) == (503, "unavailable")
            assert got.headers["retry-after"] == "30"
        assert await world.reads(letter["id"]) == []


async def test_a_lease_that_ends_between_record_and_answer_keeps_the_answer_back(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()

        def expire(here: Step) -> None:
            if here is Step.POST:
                world.worker.policy.lease_ends = 0.0

        world.steps.append(expire)
        got = await world.fetch(letter)
        assert (got.status, got.code) == (503, "unavailable")
        (read,) = await world.reads(letter["id"])
        assert (read["outcome"], read["code"]) == ("not_begun", "policy_lease_expired")


async def test_between_the_last_check_and_the_first_byte_nothing_else_has_a_turn(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
):
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        turns: list[str] = []
        for name in ("write", "writelines"):
            written = getattr(_SSLProtocolTransport, name)

            def write(self: Any, data: Any, written: Any = written) -> Any:
                if b"webhook-signature" in bytes(
                    data if isinstance(data, bytes) else b"".join(data)
                ):
                    turns.append("written")
                return written(self, data)

            monkeypatch.setattr(_SSLProtocolTransport, name, write)

        def note(here: Step) -> None:
            if here is Step.POST:
                turns.append("checked")
                asyncio.get_running_loop().call_soon(turns.append, "somebody else")

        world.steps.append(note)
        assert (await world.fetch(letter)).status == 200
        assert turns[:3] == ["checked", "written", "somebody else"]


async def test_who_gets_nothing_too_often_is_told_to_wait_and_the_partner_is_not(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, config="failed_per_minute = 2") as world:
        letter = await world.letter()
        got = [await world.get("/v1/refs/msg_unheard_of") for _ in range(3)]
        assert [each.status for each in got] == [404, 404, 429]
        assert got[2].headers["retry-after"]
        assert (await world.fetch(letter)).status == 200


async def test_without_tls_there_is_no_answer_at_all(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"GET /v1/refs/msg_1 HTTP/1.1\r\nHost: events.north.example\r\n\r\n")
        said = await reader.read(1000)
        writer.close()
        assert b"HTTP" not in said


async def test_a_certificate_is_trusted_as_soon_as_it_is_registered(
    tmp_path: Path, sqlite_url: str
):
    async with fetching(tmp_path, sqlite_url, callers=CALLERS[:1]) as world:
        letter = await world.letter()
        assert (await world.fetch(letter)).status == 200
        await world.apply(registry_of(world.inbox, callers=CALLERS))
        assert (await world.fetch_certified(letter)).status == 200


async def test_the_signer_that_is_printed_for_partners_works_as_it_is(
    tmp_path: Path, sqlite_url: str
):
    (printed,) = re.findall(r"```python\n(import base64.*?)```", WIRE.read_text(), re.DOTALL)
    given: dict[str, Any] = {}
    exec(compile(printed, "wire.md", "exec"), given)
    async with fetching(tmp_path, sqlite_url) as world:
        letter = await world.letter()
        headers = given["sign"](BASE_URL + letter["ref"], letter["ticket"], "acme-key", KEY)
        assert (await world.get(letter["ref"], headers)).json["data"] == DATA


class _With:
    """A thing with some of it replaced."""

    def __init__(self, of: Any, **changed: Any) -> None:
        self._of = of
        self.__dict__ |= changed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)
