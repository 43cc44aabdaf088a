"""Old keys end early where the endpoint proves the new one, and only there.

A real worker, a real database, real sockets on loopback, and partners that verify with the
reference library. Only the waits between trials are shorter.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from dispatcher.model.keys import KeyKind, KeyState
from dispatcher.model.registry import OwnershipProof
from dispatcher.model.switch import Target
from dispatcher.stages.sealing.standard_webhooks import fingerprint, format_secret
from dispatcher.store.key_trials import KeyTrialStore, Standing
from dispatcher.worker import key_trials
from tests.support import waiting
from tests.support.hostile import Receiver, Request, receiver
from tests.support.letters import change, rows
from tests.support.proving import CHALLENGE, SECRET, Lab, a_lab, echo, told

OLD = format_secret(SECRET)
OLD_FINGERPRINT = fingerprint(KeyKind.HMAC, SECRET)


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of each engine in turn."""
    found: str = request.getfixturevalue(request.param)
    return found


async def until(is_so: Callable[[], object]) -> None:
    """Wait for something: for long, where the machine is busy."""
    await waiting.until(is_so, seconds=40.0)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_trials, "APART_SECONDS", 0.05)
    monkeypatch.setattr(key_trials, "WAITS_SECONDS", (0.1,))


def headers_of(request: Request) -> dict[str, str]:
    lines = request.head.decode().splitlines()[1:-1]
    return {name.lower(): said for name, said in (each.split(": ", 1) for each in lines)}


def verifies(request: Request, secret: str) -> bool:
    try:
        Webhook(secret).verify(request.body, headers_of(request))
    except WebhookVerificationError:
        return False
    return True


class Verifier:
    """A partner that takes what one of its secrets verifies, and answers 401 to the rest."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = list(secrets)
        self.refused = 0

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if any(verifies(request, secret) for secret in self.secrets):
            await echo(request, writer)
            return
        self.refused += 1
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


async def rotate(lab: Lab, **more: Any) -> Any:
    body = {"subscription": "acme-orders", "reason": "yearly", "overlap_seconds": 604_800}
    return await lab.ask("POST", "/v1/keys/rotations", body | more)


def finds(lab: Lab, made: Any, proofs: int, fault: str = "") -> Callable[[], Awaitable[bool]]:
    """Say whether so much is known of the new key by now."""

    async def is_so() -> bool:
        found = await KeyTrialStore(lab.house.registry_database).standings()
        return found.get(("acme-orders", made["fingerprint"])) == Standing(proofs, fault)

    return is_so


def is_old(lab: Lab, state: KeyState) -> Callable[[], Awaitable[bool]]:
    async def is_so() -> bool:
        (old,) = (e for e in await lab.house.registry.keys() if e.fingerprint == OLD_FINGERPRINT)
        return old.times.state(lab.house.clock.wall_us()) is state

    return is_so


async def with_secrets(lab: Lab) -> list[str]:
    """Name the keys whose secret is still there."""
    return [e.fingerprint for e in await lab.house.registry.keys() if e.sealed is not None]


async def is_destroyed(lab: Lab) -> bool:
    return OLD_FINGERPRINT not in await with_secrets(lab)


def is_challenge(request: Request) -> bool:
    return bool(json.loads(request.body)["type"] == CHALLENGE)


def challenges(partner: Receiver) -> list[Request]:
    return [each for each in partner.requests if is_challenge(each)]


async def is_quiet(partner: Receiver) -> bool:
    """Wait for half a second, in which a trial that goes on would have come."""
    before = len(challenges(partner))
    await asyncio.sleep(0.5)
    return len(challenges(partner)) == before


async def test_ch4_the_old_key_ends_once_the_endpoint_has_proven_the_new_one(
    tmp_path: Path, database_url: str
) -> None:
    verifier = Verifier(OLD)
    async with receiver(verifier) as partner, a_lab(tmp_path, database_url, partner) as lab:
        await lab.apply(partner.url(), ownership_proof=OwnershipProof.WAIVED)
        async with lab.worker() as worker:
            made = await rotate(lab)
            # The partner has not changed over yet: the old key stays, and letters are taken.
            await until(finds(lab, made, 0, "http_401"))
            await until(lambda: verifier.refused > 3)
            await lab.enqueue()
            await until(lambda: len(told(partner, "order.paid")) == 1)
            assert await is_old(lab, KeyState.RETIRING)()
            verifier.secrets.append(made["secret"])
            await until(is_old(lab, KeyState.RETIRED))
            proven = (await KeyTrialStore(lab.house.registry_database).standings())[
                "acme-orders", made["fingerprint"]
            ]
            assert proven.proofs >= 3
            epoch = (await lab.house.registry.active()).epoch
            await until(lambda: worker.policy.snapshot.epoch == epoch)
            verifier.secrets.remove(OLD)
            await lab.enqueue(3)
            await until(lambda: len(told(partner, "order.paid")) == 4)
            await until(lambda: is_quiet(partner))  # nothing is left to try
        last = next(each for each in reversed(partner.requests) if not is_challenge(each))
        assert [verifies(last, each) for each in (OLD, made["secret"])] == [False, True]
        # Behind one connection stands one machine: every challenge may meet another.
        assert len({each.connection for each in challenges(partner)}) == len(challenges(partner))
        for each in challenges(partner):
            assert not verifies(each, OLD)
            assert len(headers_of(each)["webhook-signature"].split()) == 1
        log = await rows(lab.house.registry_database, "SELECT entry FROM {audit_log}")
        entries = [json.loads(each["entry"]) for each in log]
        (entry,) = (each for each in entries if each["kind"] == "key.retired")
        assert (entry["actor"], entry["about"]) == ("dispatcher", "subscription acme-orders")
        assert entry["detail"]["keys"] == [f"acme-orders/{OLD_FINGERPRINT}"]
        assert entry["detail"]["proven"] == made["name"]
        sql = "SELECT 1 FROM {deliveries} WHERE failures > 0"
        assert await rows(lab.house.outbox_database, sql) == []
        # An hour later a worker destroys the secret.
        registry = lab.house.registry_database
        sql = "UPDATE {signing_keys} SET until_us = until_us - :hour"
        await change(registry, sql, hour=3_600_000_000)
        assert len(await with_secrets(lab)) == 2
        async with lab.worker():
            await until(lambda: is_destroyed(lab))


async def test_an_endpoint_that_answers_everybody_proves_no_key(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with receiver(echo) as partner, a_lab(tmp_path, sqlite_url, partner) as lab:
        await lab.apply(partner.url(), ownership_proof=OwnershipProof.WAIVED)
        async with lab.worker():
            made = await rotate(lab)
            await until(finds(lab, made, 0, key_trials.UNCHECKED))
            await until(lambda: len(challenges(partner)) >= 8)
            assert await is_old(lab, KeyState.RETIRING)()
        signed = [verifies(each, made["secret"]) for each in challenges(partner)]
        assert signed[:4] == [True, False, True, False]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("", "connection_lost"),
        ("429 Too Many Requests", "http_429"),
        ("503 Service Unavailable", "http_503"),
    ],
)
async def test_an_endpoint_that_does_not_look_at_a_forgery_proves_no_key(
    tmp_path: Path, sqlite_url: str, said: str, fault: str
) -> None:
    verifier = Verifier(OLD)

    async def script(request: Request, writer: asyncio.StreamWriter) -> None:
        if any(verifies(request, secret) for secret in verifier.secrets):
            await echo(request, writer)
        elif said:
            writer.write(f"HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            writer.close()  # it may be down just now, and a machine beside it may take anything

    async with receiver(script) as partner, a_lab(tmp_path, sqlite_url, partner) as lab:
        await lab.apply(partner.url(), ownership_proof=OwnershipProof.WAIVED)
        async with lab.worker():
            made = await rotate(lab)
            verifier.secrets.append(made["secret"])
            await until(lambda: len(challenges(partner)) >= 8)
            assert await finds(lab, made, 0, fault)()
            assert await is_old(lab, KeyState.RETIRING)()


async def test_what_an_endpoint_proved_ends_nothing_once_letters_go_to_another(
    tmp_path: Path, database_url: str
) -> None:
    before, after = Verifier(), Verifier(OLD)

    async def moving(request: Request, writer: asyncio.StreamWriter) -> None:
        if before.refused == 2 and not verifies(request, before.secrets[0]):
            # The last answer that is wanted is on its way when the partner moves house.
            await lab.apply(new.url(), ownership_proof=OwnershipProof.WAIVED)
        await before(request, writer)

    async with (
        receiver(moving) as partner,
        receiver(after) as new,
        a_lab(tmp_path, database_url, partner, new) as lab,
    ):
        await lab.apply(partner.url(), ownership_proof=OwnershipProof.WAIVED)
        made = await rotate(lab)
        before.secrets.append(made["secret"])
        async with lab.worker():
            await until(finds(lab, made, 0, "http_401"))
            await lab.enqueue()
            await until(lambda: len(told(new, "order.paid")) == 1)
        assert before.refused == 3
        assert await is_old(lab, KeyState.RETIRING)()


async def test_where_the_overlap_is_kept_nobody_asks(tmp_path: Path, sqlite_url: str) -> None:
    verifier = Verifier(OLD)
    async with receiver(verifier) as partner, a_lab(tmp_path, sqlite_url, partner) as lab:
        await lab.apply(partner.url(), ownership_proof=OwnershipProof.WAIVED)
        async with lab.worker():
            made = await rotate(lab, keep_overlap=True)
            verifier.secrets.append(made["secret"])
            await lab.enqueue()
            await until(lambda: len(told(partner, "order.paid")) == 1)
            await asyncio.sleep(0.5)
            assert challenges(partner) == []
            assert await is_old(lab, KeyState.RETIRING)()


async def test_a_held_partner_is_not_asked_and_is_when_released(
    tmp_path: Path, sqlite_url: str
) -> None:
    verifier = Verifier(OLD)
    async with receiver(verifier) as partner, a_lab(tmp_path, sqlite_url, partner) as lab:
        await lab.apply(partner.url(), ownership_proof=OwnershipProof.WAIVED)
        target = Target.parse("connector:acme")
        await lab.house.registry.trip(target, reason="INC-7", actor="sam")
        async with lab.worker():
            made = await rotate(lab)
            verifier.secrets.append(made["secret"])
            await asyncio.sleep(0.5)
            assert partner.requests == []
            assert await KeyTrialStore(lab.house.registry_database).standings() == {}
            await lab.house.registry.release(target, reason="over", actor="sam")
            await until(is_old(lab, KeyState.RETIRED))
