"""A partner that demands a client certificate: as it turns, and once it is revoked."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from dispatcher.api.calls import make_call
from dispatcher.app.calling import call_here
from dispatcher.model.registry import OwnershipProof, Registry
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Reason
from dispatcher.worker import identities
from dispatcher.worker.loop import Worker
from tests.support.certificates import pem_of, serving, write_identity
from tests.support.hostile import Receiver, answers, receiver
from tests.support.proving import Lab, a_lab, registry_at
from tests.support.waiting import until

SERVERS, CLIENTS = trustme.CA(), trustme.CA()
NOW = dt.datetime.now(dt.UTC)


def issue(name: str, days_ago: int) -> trustme.LeafCert:
    return CLIENTS.issue_cert(f"{name}.client", not_before=NOW - dt.timedelta(days=days_ago))


def registry_for(partner: Receiver) -> Registry:
    held = registry_at(partner.url(), ownership_proof=OwnershipProof.WAIVED)
    (connector,) = held.connectors
    (entry,) = connector.destinations
    terms = Tls(ca=pem_of(SERVERS), identity="acme")
    listed = replace(connector, destinations=(replace(entry, tls=terms),))
    return replace(held, connectors=(listed,))


def who(partner: Receiver) -> list[str]:
    """Give whom each connection said it is from."""
    shown = [writer.get_extra_info("peercert") for writer in partner.writers]
    return [dict(each["subjectAltName"])["DNS"].partition(".")[0] for each in shown]


async def delivered(lab: Lab, partner: Receiver, count: int) -> None:
    await lab.enqueue()
    await until(lambda: len(partner.requests) == count)


async def revoke(lab: Lab, reason: str) -> Any:
    (active,) = (each for each in await certificates(lab) if each["state"] == "active")
    body = {"identity": active["fingerprint"], "reason": reason}
    return await lab.ask("POST", "/v1/keys/revocations", body)


async def certificates(lab: Lab) -> list[dict[str, Any]]:
    call = make_call("GET", "/v1/keys", query={"ended": "true"})
    found = await call_here(lab.config, call, with_token=False)
    return [each for each in found["items"] if each["kind"] == "certificate"]


def closed(worker: Worker) -> set[Reason]:
    return {r for refusal in worker.policy.snapshot.closed.values() for r in refusal.reasons}


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "AGAIN_SECONDS", 0.05)


@pytest.mark.usefixtures("look_often")
async def test_a_partner_sees_the_new_certificate_once_it_turns_and_none_once_it_is_revoked(
    tmp_path: Path, postgres_url: str
) -> None:
    files = write_identity(tmp_path, issue("old", 9))
    terms = f'[network.identities.acme]\ncertificate = "{files.certificate}"\nkey = "{files.key}"'
    tls = serving(SERVERS.issue_cert("127.0.0.1"), clients=CLIENTS)
    async with (
        receiver(answers(200), tls=tls) as partner,
        a_lab(tmp_path, postgres_url, partner, network=terms) as lab,
        lab.worker() as worker,
    ):
        await lab.activate(registry_for(partner))
        await delivered(lab, partner, 1)
        await delivered(lab, partner, 2)
        assert who(partner) == ["old"], "both over one connection that is kept alive"

        write_identity(tmp_path, issue("new", 5))
        await until(partner.gone.is_set)  # the idle connection of the old one
        await delivered(lab, partner, 3)
        assert who(partner) == ["old", "new"]

        partner.gone.clear()
        done = await revoke(lab, "stolen")
        assert done["workers_confirmed"] == 1
        assert closed(worker) == {Reason.CLIENT_IDENTITY_MISSING}
        await until(partner.gone.is_set)
        await lab.enqueue()
        (listed,) = await certificates(lab)
        assert (listed["state"], listed["destinations"]) == ("revoked", ["acme: 127.0.0.1"])
        assert (len(partner.requests), partner.connections) == (3, 2)

        write_identity(tmp_path, issue("third", 2))
        await until(lambda: len(partner.requests) == 4)
        assert who(partner) == ["old", "new", "third"]
