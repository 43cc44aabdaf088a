"""Nothing real is sent to an endpoint before it has shown that it is its partner's own.

A real worker, a real database, real sockets on loopback; what is replaced is the names.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from standardwebhooks import Webhook

from dispatcher.control.auditing import verify
from dispatcher.model.errors import NotFound
from dispatcher.model.proof import ProofMethod
from dispatcher.model.switch import Target
from dispatcher.network.resolver import StaticResolver
from dispatcher.stages.sealing.standard_webhooks import format_secret
from tests.support.hostile import Receiver, Script, answers, receiver
from tests.support.letters import change, rows
from tests.support.proving import CHALLENGE, SECRET, Lab, a_lab, echo, told
from tests.support.waiting import until

HOST = "inbox.test"
TXT = f"_dispatcher-challenge.{HOST}"
LONG = 40.0
"""Whoever waits is told as soon as there is an answer, also on a busy machine."""


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of each engine in turn."""
    found: str = request.getfixturevalue(request.param)
    return found


@asynccontextmanager
async def a_partner(
    folder: Path, url: str, script: Script = echo
) -> AsyncIterator[tuple[Lab, Receiver]]:
    async with receiver(script) as partner, a_lab(folder, url, partner) as lab:
        yield lab, partner


def challenges(partner: Receiver) -> int:
    return len(told(partner, CHALLENGE))


def events(partner: Receiver) -> int:
    return len(told(partner, "order.paid"))


async def is_proven(lab: Lab) -> bool:
    return (await lab.control.read("acme-orders")).state == "proven"


async def test_al4_an_endpoint_that_does_not_echo_is_sent_no_event(
    tmp_path: Path, database_url: str
) -> None:
    async with a_partner(tmp_path, database_url, answers(200)) as (lab, partner):
        await lab.apply(partner.url())
        await lab.enqueue(3)
        async with lab.worker():
            await until(lambda: challenges(partner))
            await until(lambda: is_waiting(lab, 3))
            await asyncio.sleep(0.5)
        assert {json.loads(each.body)["type"] for each in partner.requests} == {CHALLENGE}
        assert events(partner) == 0
        assert await rows(lab.house.outbox_database, "SELECT 1 FROM {disclosures}") == []
        standing = await lab.control.read("acme-orders")
        assert (standing.state, standing.asking.found.echo, standing.asking.found.dns) == (
            "unproven",
            "no_echo",
            "txt_impossible",
        )


async def is_waiting(lab: Lab, count: int) -> bool:
    sql = "SELECT failures FROM {deliveries} WHERE state = 'waiting' AND subscription IS NOT NULL"
    found = await rows(lab.house.outbox_database, sql)
    return [each["failures"] for each in found] == [0] * count


async def test_al4_an_endpoint_that_echoes_receives_what_waited(
    tmp_path: Path, database_url: str
) -> None:
    async with a_partner(tmp_path, database_url) as (lab, partner):
        await lab.apply(partner.url("127.0.0.1", "/in?key=s3"))
        await lab.enqueue(3)
        async with lab.worker() as worker:
            await until(lambda: events(partner) == 3)
            asked = partner.requests[0]
            assert challenges(partner) == 1
            assert json.loads(asked.body)["type"] == CHALLENGE
            known = json.loads(asked.body)
            lines = asked.head.decode().splitlines()[1:-1]
            headers = {name.lower(): said for name, said in (each.split(": ") for each in lines)}
            Webhook(format_secret(SECRET)).verify(asked.body, headers)
            assert headers["webhook-id"] == known["id"]
            assert set(known) == {"id", "type", "timestamp", "data"}
            assert set(known["data"]) == {"challenge"}
            await until(lambda: worker.policy.in_flight == 0)
        (proof,) = await rows(lab.house.registry_database, "SELECT * FROM {proofs}")
        assert (proof["connector"], proof["endpoint"]) == ("acme", partner.url())
        assert (proof["method"], proof["revision"]) == ("echo", 1)


async def test_what_was_proven_is_on_a_record_that_verifies(
    tmp_path: Path, database_url: str
) -> None:
    async with a_partner(tmp_path, database_url) as (lab, partner):
        await lab.apply(partner.url("127.0.0.1", "/in/s3cret"))
        async with lab.worker():
            await until(lambda: is_proven(lab))
        listed = await lab.house.audit.newest(
            before=10**9, limit=10, actor="dispatcher", kind="endpoint.proven", about=None
        )
        (entry,) = [each.document for each in listed]
        assert entry["about"] == f"endpoint of acme at http://127.0.0.1:{partner.port}/..."
        assert entry["detail"]["method"] == "echo"
        assert "s3cret" not in str(entry)
        kept = (tmp_path / "dispatcher-data" / "audit-checkpoints").read_text()
        assert (await verify(lab.house.audit, kept)).is_good


async def test_another_url_is_unproven_again(tmp_path: Path, database_url: str) -> None:
    async def by_path(request, writer) -> None:  # type: ignore[no-untyped-def]
        await (echo if b"POST /in " in request.head else answers(200))(request, writer)

    async with a_partner(tmp_path, database_url, by_path) as (lab, partner):
        await lab.apply(partner.url())
        async with lab.worker() as worker:
            await until(lambda: is_proven(lab))
            revision = await lab.apply(partner.url("127.0.0.1", "/other"))
            await until(lambda: worker.policy.snapshot.revision == revision)
            await lab.enqueue()
            await until(lambda: challenges(partner) == 2)
            await asyncio.sleep(0.3)
            assert events(partner) == 0
            assert not await is_proven(lab)
            await lab.apply(partner.url())
            await until(lambda: events(partner) == 1)
            assert challenges(partner) == 2, "the old proof still counts"


async def test_a_proof_whose_days_are_over_closes_the_lanes(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with a_partner(tmp_path, sqlite_url) as (lab, partner):
        await lab.apply(partner.url(), proof_days=30)
        async with lab.worker():
            await until(lambda: is_proven(lab))
        await let_pass(lab, 31)
        assert not await is_proven(lab)
        partner.script = answers(200)
        await lab.enqueue()
        async with lab.worker():
            await until(lambda: challenges(partner) == 2)
            await asyncio.sleep(0.3)
        assert events(partner) == 0


async def test_a_proof_near_its_end_is_renewed_while_events_flow(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with a_partner(tmp_path, sqlite_url) as (lab, partner):
        await lab.apply(partner.url(), proof_days=30)
        async with lab.worker():
            await until(lambda: is_proven(lab))
        await let_pass(lab, 20)
        await lab.enqueue()
        async with lab.worker():
            await until(lambda: events(partner) == 1)
            await until(lambda: challenges(partner) == 2)
            await until(lambda: is_renewed(lab))


async def let_pass(lab: Lab, days: int) -> None:
    """Make everything that was written about the endpoint so many days older."""
    for table, column in (("proofs", "proven_us"), ("challenges", "due_us")):
        sql = f"UPDATE {{{table}}} SET {column} = {column} - CAST(:days AS bigint) * 86400000000"
        await change(lab.house.registry_database, sql, days=days)


async def is_renewed(lab: Lab) -> bool:
    standing = await lab.control.read("acme-orders")
    age_us = lab.house.clock.wall_us() - (standing.proof.proven_us if standing.proof else 0)
    return age_us < 60_000_000


@pytest.mark.parametrize("target", ["everything", "connector:acme", "host:127.0.0.1"])
async def test_no_challenge_leaves_while_a_matching_switch_is_on(
    tmp_path: Path, sqlite_url: str, target: str
) -> None:
    async with a_partner(tmp_path, sqlite_url) as (lab, partner):
        await lab.apply(partner.url())
        stop = Target.parse(target)
        await lab.house.registry.trip(stop, reason="drill", actor="sre")
        async with lab.worker():
            standing = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
            assert standing.forbidden_by == ("switch_on",)
            await asyncio.sleep(0.5)
            assert partner.connections == 0
            await lab.house.registry.release(stop, actor="sre", reason="")
            await until(lambda: is_proven(lab))


async def test_a_switch_stops_a_challenge_that_has_its_connection_already(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with a_partner(tmp_path, sqlite_url) as (lab, partner):
        await lab.apply(partner.url())

        class Slow:
            """Holds every letter back in its last instant, until the switch is obeyed."""

            def __init__(self, real) -> None:  # type: ignore[no-untyped-def]
                self.real = real

            async def post(self, sealed, depart, check, keep_bytes=0):  # type: ignore[no-untyped-def]
                epoch = worker.policy.snapshot.epoch
                await lab.house.registry.trip(
                    Target.parse("connector:acme"), reason="drill", actor="sre"
                )
                await until(lambda: worker.policy.snapshot.epoch > epoch)
                return await self.real.post(sealed, depart, check, keep_bytes)

        slowed = lambda kit: replace(kit, transport=Slow(kit.transport))  # noqa: E731
        async with lab.worker(slowed) as worker:
            await until(lambda: partner.connections == 1)
            await asyncio.sleep(0.3)
            assert partner.requests == []
            assert not await is_proven(lab)


async def test_no_challenge_begins_while_the_policy_cannot_be_read(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with a_partner(tmp_path, sqlite_url, answers(200)) as (lab, partner):
        await lab.apply(partner.url())
        async with lab.worker() as worker:
            await until(lambda: challenges(partner) == 1)
            await until(lambda: is_tried(lab))
            partner.script = echo
            async with a_second_writer(lab):
                await until(lambda: worker.policy.lease_ends < lab.house.clock.boot())
                await asyncio.sleep(2.0)  # the next try would be due by now
                assert challenges(partner) == 1
            await until(lambda: is_proven(lab))


async def is_tried(lab: Lab) -> bool:
    return (await lab.control.read("acme-orders")).asking.ended_us > 0


@asynccontextmanager
async def a_second_writer(lab: Lab) -> AsyncIterator[None]:
    """Be the only writer there may be: no heartbeat and no claim gets through."""
    async with lab.house.registry_database.begin():
        yield


async def test_two_workers_ask_once_and_both_obey_the_proof(
    tmp_path: Path, postgres_url: str
) -> None:
    async with a_partner(tmp_path, postgres_url) as (lab, partner):
        await lab.apply(partner.url())
        async with lab.worker() as one, lab.worker() as two:
            for each in (one, two):
                await until(lambda each=each: each.policy.snapshot.open_lanes)
            await lab.enqueue(20)
            await until(lambda: events(partner) == 20)
        assert challenges(partner) == 1


async def test_a_failed_try_is_not_repeated_by_anybody_before_its_time(
    tmp_path: Path, postgres_url: str
) -> None:
    async with a_partner(tmp_path, postgres_url, answers(404)) as (lab, partner):
        await lab.apply(partner.url())
        async with lab.worker(), lab.worker():
            await until(lambda: challenges(partner) == 1)
            await lab.house.registry.trip(Target.parse("tenant:south"), reason="x", actor="sre")
            await asyncio.sleep(1.0)
            assert challenges(partner) == 1
            await until(lambda: challenges(partner) == 2)
        assert (await lab.control.read("acme-orders")).asking.found.echo == "http_404"


async def test_a_wish_has_the_endpoint_asked_at_once(tmp_path: Path, database_url: str) -> None:
    async with a_partner(tmp_path, database_url, answers(404)) as (lab, partner):
        await lab.apply(partner.url())
        async with lab.worker():
            await until(lambda: is_tried(lab))
            refused = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
            assert (refused.state, refused.asking.found.echo) == ("unproven", "http_404")
            assert challenges(partner) == 2
            partner.script = echo
            proven = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
            assert (proven.state, challenges(partner)) == ("proven", 3)
            again = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
            assert (again.state, challenges(partner)) == ("proven", 3)
        asked = await lab.house.audit.newest(
            before=10**9, limit=10, actor="pat", kind="endpoint.proof_asked", about=None
        )
        assert len(asked) == 2


async def test_a_wish_that_nobody_can_fulfil_says_so_at_once(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with a_partner(tmp_path, sqlite_url) as (lab, partner):
        await lab.apply(partner.url())
        standing = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
        assert (standing.state, standing.has_workers) == ("unproven", False)
        with pytest.raises(NotFound):
            await lab.control.prove("nobody", actor="pat", wait_seconds=1.0)


async def test_in_development_nobody_is_asked_by_default(tmp_path: Path, sqlite_url: str) -> None:
    async with a_partner(tmp_path, sqlite_url, answers(200)) as (lab, partner):
        await lab.apply(partner.url(), ownership_proof="outside_dev")
        await lab.enqueue()
        async with lab.worker():
            await until(lambda: events(partner) == 1)
            await asyncio.sleep(0.3)
        assert challenges(partner) == 0
        assert (await lab.control.read("acme-orders")).state == "not_asked"


async def test_a_forbidden_address_is_never_dialled_and_nothing_more_is_asked_about_its_host(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with a_tls_partner(tmp_path, sqlite_url, answers(200)) as (lab, partner):
        lab.resolver = StaticResolver({HOST: ("10.0.0.1",)})
        await lab.apply(partner.url(HOST))
        async with lab.worker():
            found = await lab.ask("POST", "/v1/subscriptions/acme-orders/proof", {})
        told_of_it = (found["state"], found["echo"], found["dns"])
        assert told_of_it == ("unproven", "address_forbidden", "txt_unasked")
        assert "10.0.0.1" not in str(found)
        assert partner.connections == 0


# The record in the DNS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


_authority = trustme.CA()


@asynccontextmanager
async def a_tls_partner(
    folder: Path, url: str, script: Script
) -> AsyncIterator[tuple[Lab, Receiver]]:
    """A partner with a name, which a certificate vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _authority.issue_cert(HOST).configure_cert(context)
    _authority.cert_pem.write_to_path(str(folder / "roots.pem"))
    async with receiver(script, tls=context) as partner:
        more = 'ca_file = "roots.pem"'
        async with a_lab(folder, url, partner, network=more) as lab:
            lab.resolver = StaticResolver({HOST: ("127.0.0.1",)})
            yield lab, partner


async def test_al4_a_record_with_the_token_proves_a_host_that_does_not_echo(
    tmp_path: Path, database_url: str
) -> None:
    async with a_tls_partner(tmp_path, database_url, answers(200)) as (lab, partner):
        await lab.apply(partner.url(HOST))
        await lab.enqueue()
        async with lab.worker():
            asked = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
        assert (asked.state, asked.asking.found.dns, asked.txt_name) == (
            "unproven",
            "txt_missing",
            TXT,
        )
        lab.resolver = StaticResolver(
            {HOST: ("127.0.0.1",)}, text_names={TXT: ("v=x", str(asked.txt_value))}
        )
        async with lab.worker():
            proven = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
            assert proven.proof is not None
            assert proven.proof.method is ProofMethod.DNS
            await until(lambda: events(partner) == 1)


async def test_a_token_of_another_connector_or_host_proves_nothing(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with a_tls_partner(tmp_path, sqlite_url, answers(200)) as (lab, partner):
        await lab.apply(partner.url(HOST))
        vault = lab.house.vault
        others = (vault.ownership_token("brook", HOST), vault.ownership_token("acme", "a.test"))
        texts = tuple(f"dispatcher-proof={each}" for each in others)
        lab.resolver = StaticResolver({HOST: ("127.0.0.1",)}, text_names={TXT: texts})
        async with lab.worker():
            asked = await lab.control.prove("acme-orders", actor="pat", wait_seconds=LONG)
        assert (asked.state, asked.asking.found.dns) == ("unproven", "txt_missing")


# What the challenge may cost.


async def test_an_answer_larger_than_an_echo_is_none(tmp_path: Path, sqlite_url: str) -> None:
    async def pad(request, writer) -> None:  # type: ignore[no-untyped-def]
        word = json.loads(request.body)["data"]["challenge"]
        body = json.dumps({"challenge": word, "pad": "x" * 5000})
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    async with a_partner(tmp_path, sqlite_url, pad) as (lab, partner):
        await lab.apply(partner.url())
        async with lab.worker():
            await until(lambda: is_tried(lab))
        assert (await lab.control.read("acme-orders")).asking.found.echo == "no_echo"


async def test_a_hanging_endpoint_is_asked_without_delaying_another(
    tmp_path: Path, sqlite_url: str
) -> None:
    async def hang(request, writer) -> None:  # type: ignore[no-untyped-def]
        await asyncio.sleep(3600)

    async with a_partner(tmp_path, sqlite_url, hang) as (lab, partner):
        await lab.apply(partner.url())
        async with lab.worker() as worker:
            await until(lambda: challenges(partner) == 1)
            assert worker.policy.in_flight == 1, "a hold counts it"
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1.5, "a drain does not wait for it"
        (held,) = await rows(lab.house.registry_database, "SELECT holder FROM {challenges}")
        assert held["holder"] == "", "the next worker may ask at once"
