"""The real worker meets a partner over TLS whose certificate or network changes under it."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from dispatcher.model.registry import Policy
from dispatcher.model.tls import Tls
from tests.support.certificates import pem_of, pin_of, serving
from tests.support.hostile import Receiver, answers, receiver
from tests.support.waiting import until
from tests.support.world_tls import HOST, registry_to, working
from tests.unit.stages import builders

OTHERS = tuple(f"sha256/{letter * 43}=" for letter in "AE")


@pytest.fixture
def own() -> trustme.CA:
    return trustme.CA(organization_name="One")


async def close_all(partner: Receiver) -> None:
    for writer in partner.writers:
        writer.transport.abort()
    await asyncio.sleep(0.05)


async def test_t9_every_attempt_says_in_the_ledger_who_was_met(
    own: trustme.CA, tmp_path: Path
) -> None:
    certificate = own.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        terms = Tls(ca=pem_of(own), pins=(pin_of(certificate), OTHERS[0]), pins_until=builders.FAR)
        async with working(tmp_path, partner, registry_to(partner, terms)) as world:
            await world.deliver()
            await world.deliver()
            met = await world.rows(
                "SELECT p.* FROM {disclosures} x JOIN {peers} p ON p.id = x.peer"
            )
            assert len(met) == 2
            assert {(row["host"], row["address"], row["spki"]) for row in met} == {
                (HOST, "127.0.0.1", pin_of(certificate))
            }
            assert "One" in met[0]["issuer"]


async def test_another_issuer_is_drift_within_one_attempt(
    own: trustme.CA, tmp_path: Path, said: io.StringIO
) -> None:
    other = trustme.CA(organization_name="Two")
    tls = serving(own.issue_cert(HOST))
    async with receiver(answers(200), tls=tls) as partner:
        terms = Tls(ca=pem_of(own) + pem_of(other))
        async with working(tmp_path, partner, registry_to(partner, terms)) as world:
            await world.deliver()
            own.issue_cert(HOST).configure_cert(tls)  # renewed with another key: no drift
            await close_all(partner)
            await world.deliver()
            assert world.drifts("issuer") is None
            other.issue_cert(HOST).configure_cert(tls)
            await close_all(partner)
            await world.deliver()
            assert (world.drifts("issuer"), world.drifts("network")) == (1, None)
            await world.deliver()
            assert world.drifts("issuer") == 1
            assert await world.switches() == []
    lines = [json.loads(line) for line in said.getvalue().splitlines() if "drift" in line]
    (line,) = lines
    assert (line["event"], line["kind"], line["connector"], line["host"]) == (
        "destination_drifted",
        "issuer",
        "acme",
        HOST,
    )


async def test_another_network_is_drift_and_a_policy_may_hold_what_leads_there(
    own: trustme.CA, tmp_path: Path
) -> None:
    tls = serving(own.issue_cert(HOST))
    async with receiver(answers(200), "127.0.0.1", "::1", tls=tls) as partner:
        held = registry_to(partner, Tls(ca=pem_of(own)), Policy(on_drift="hold"))
        async with working(tmp_path, partner, held) as world:
            await world.deliver()
            world.addresses[HOST] = ("::1",)
            await world.deliver()
            assert world.drifts("network") == 1
            assert await world.switches() == [("subscription:acme-orders", "destination_drifted")]
            await world.deliver("waiting")
            await asyncio.sleep(0.3)
            assert len(partner.requests) == 2


async def test_t6_a_wrong_pin_parks_the_delivery_and_a_corrected_registry_lets_it_go(
    own: trustme.CA, tmp_path: Path
) -> None:
    certificate = own.issue_cert(HOST)
    async with receiver(answers(200), tls=serving(certificate)) as partner:
        wrong = Tls(ca=pem_of(own), pins=OTHERS, pins_until=builders.FAR)
        right = replace(wrong, pins=(pin_of(certificate), *OTHERS))
        async with working(tmp_path, partner, registry_to(partner, wrong)) as world:
            await world.deliver("parked")
            assert partner.bytes_received == 0
            (row,) = await world.rows("SELECT code, failures FROM {deliveries}")
            assert (row["code"], row["failures"]) == ("pin_mismatch", 0)
            (row,) = await world.rows("SELECT outcome FROM {disclosures}")
            assert row["outcome"] == "not_begun"
            await world.apply(registry_to(partner, right))
            await until(lambda: world.is_last("delivered"))


async def test_c4_after_a_new_revision_no_connection_of_the_one_before_is_used(
    own: trustme.CA, tmp_path: Path
) -> None:
    async with receiver(answers(200), tls=serving(own.issue_cert(HOST))) as partner:
        held = registry_to(partner, Tls(ca=pem_of(own)))
        async with working(tmp_path, partner, held) as world:
            await world.deliver()
            await world.deliver()
            await world.apply(registry_to(partner, Tls(ca=pem_of(own)), Policy(warn_days=(7,))))

            async def is_obeyed() -> bool:
                found = world.metrics.registry.get_sample_value("dispatcher_registry_revision")
                return found == 2

            await until(is_obeyed)
            await world.deliver()
            assert [request.connection for request in partner.requests] == [1, 1, 2]
