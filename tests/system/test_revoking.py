"""After a leak: one command ends all that a partner has, and nothing of what others have."""

import asyncio
import json
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatcher.api.calls import make_call
from dispatcher.app.calling import call_here
from dispatcher.model.keys import SigningProfile
from dispatcher.model.registry import Connector, Registry
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Reason
from dispatcher.partner.published import PATH
from tests.support.certificates import pem_of, serving, write_identity
from tests.support.fetching import (
    CALLERS,
    CLIENT,
    KEY,
    OURS,
    World,
    fetching,
    registry_of,
)
from tests.support.hostile import Receiver, answers, receiver
from tests.support.signing import pem_of_key
from tests.support.waiting import until
from tests.support.world_nursery import Nursery
from tests.unit.stages import builders

SERVERS, CLIENTS = trustme.CA(), trustme.CA()
THE_ONE = ("revoke", "--connector", "acme", "--reason", "INC-7")
IDENTITY = """
[network.identities.{name}]
certificate = "{files.certificate}"
key = "{files.key}"
"""


def identities(folder: Path) -> str:
    """Write the pairs of two identities, and say where they are; of a third there is none here."""
    return "".join(
        IDENTITY.format(
            name=name, files=write_identity(folder, CLIENTS.issue_cert(f"{name}.client"), name)
        )
        for name in ("acme", "shared")
    )


def asking(connector: Connector, at: Receiver, identity: str, *more: str) -> Connector:
    """Have a partner reached at this receiver, as this identity, and list places for others."""
    (entry, *_) = connector.destinations
    terms = replace(entry, scheme="https", port=at.port)
    listed = [
        replace(terms, host=host, tls=Tls(ca=pem_of(SERVERS), identity=name))
        for host, name in (("127.0.0.1", identity), *((f"{n}.acme.example", n) for n in more))
    ]
    return replace(connector, destinations=(*connector.destinations, *listed))


def registry_at(inbox: Receiver, acmes: Receiver, brooks: Receiver, **more: Any) -> Registry:
    """Acme gets thin letters at the inbox and whole ones over mutual TLS, and so does Brook."""
    held = registry_of(inbox, **more)
    acme, brook = held.connectors
    brook = replace(brook, destinations=acme.destinations)
    scope = {"order.paid": ("$.id",)}
    whole = [
        builders.subscription(
            name, connector=whose, url=at.url(), scope=scope, signing=SigningProfile.V1A
        )
        for name, whose, at in (("acme-whole", "acme", acmes), ("brook-whole", "brook", brooks))
    ]
    return replace(
        held,
        connectors=(
            asking(acme, acmes, "acme", "shared", "far"),
            asking(brook, brooks, "shared"),
        ),
        subscriptions=(*held.subscriptions, *whole),
    )


def certified(made: list[object]) -> aiohttp.ClientSession:
    """Have the partner fetch by its certificate, on connections that stay open and are noted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    OURS.configure_trust(context)
    CLIENT.configure_cert(context)

    async def note(*connection: object) -> None:
        made.append(connection)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(note)
    connector = aiohttp.TCPConnector(ssl=context)
    return aiohttp.ClientSession(connector=connector, trace_configs=[trace])


async def keys(world: World, nursery: Nursery, *words: str) -> str:
    """Type a command, and give what it prints."""
    assert world.config.source is not None
    typed = ("dispatcher", "keys", *words, "--config", str(world.config.source))
    child = nursery.start(*typed, folder=world.config.base)
    assert await asyncio.to_thread(child.wait) == 0, child.said()
    return child.out.read_text()


async def ask(world: World, path: str, **body: Any) -> None:
    call = make_call("POST", path, body=json.dumps({"reason": "it is over", **body}).encode())
    await call_here(world.config, call, with_token=False)


async def published(world: World) -> set[str]:
    return {each["kid"] for each in (await world.get(PATH)).json["keys"]}


def shown_at(partner: Receiver) -> list[str]:
    """Give whose certificate each connection showed."""
    found = [writer.get_extra_info("peercert") for writer in partner.writers]
    return [dict(each["subjectAltName"])["DNS"].partition(".")[0] for each in found]


def closed(world: World) -> dict[str, set[Reason]]:
    refused = world.worker.policy.snapshot.closed.items()
    return {lane.partition("/")[0]: set(refusal.reasons) for lane, refusal in refused}


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_all_that_a_partner_has_ends_by_one_command_and_nothing_that_others_have(
    tmp_path: Path, engine: str, nursery: Nursery, request: pytest.FixtureRequest
):
    url = request.getfixturevalue(f"{engine}_url")
    connections: list[object] = []
    tls = serving(SERVERS.issue_cert("127.0.0.1"), clients=CLIENTS)
    async with (
        receiver(answers(200), tls=tls) as acmes,
        receiver(answers(200), tls=tls) as brooks,
        fetching(tmp_path, url, others=(acmes, brooks), config=identities(tmp_path)) as world,
        certified(connections) as kept,
    ):
        await world.apply(registry_at(world.inbox, acmes, brooks))
        letter = await world.letter()
        await until(lambda: len(acmes.requests) == len(brooks.requests) == 1)
        bearer = {"authorization": f"Bearer {letter['ticket']}"}
        place = f"https://127.0.0.1:{world.port}{letter['ref']}"
        assert (await world.fetch(letter)).status == 200
        assert (await kept.get(place, headers=bearer)).status == 200
        before = await published(world)

        said = await keys(world, nursery, *THE_ONE)
        assert said.startswith("5 revoked at ")
        for what in ("key acme-orders/", "key acme-whole/", "client certificate acme/"):
            assert f"\n  {what}" in said
        for what in ("caller acme/acme-key/", "caller acme/acme-mtls/"):
            assert f"\n  {what}" in said
        assert "connector:acme is held; tickets ended: 1\nnobody fetches by these callers" in said
        assert "NOT revoked: client certificate far, no certificate of it can be read here" in said
        now = await published(world)
        assert (len(before), len(now), now < before) == (2, 1, True)
        # Whoever had been let in, on the connection that was open, is nobody now.
        assert (await kept.get(place, headers=bearer)).status == 404
        assert len(connections) == 1
        assert (await world.fetch(letter)).code == "ref_unknown"

        listed = (await keys(world, nursery, "list", "--ended")).splitlines()
        (mine,) = (line for line in listed if "acme/acme-key/" in line)
        (others,) = (line for line in listed if "brook/brook-key/" in line)
        assert (mine.split()[1:4], others.split()[1:4]) == (
            ["acme", "caller", "revoked"],
            ["brook", "caller", "active"],
        )
        again = json.loads(await keys(world, nursery, *THE_ONE, "--json"))
        assert (again["keys"], again["certificates"], again["callers"]) == ([], [], [])
        far, shared = again["left"]
        assert (far["identity"], far["fingerprint"]) == ("far", None)
        assert (shared["identity"], shared["connectors"]) == ("shared", ["brook"])
        assert f"keys revoke --identity {shared['fingerprint']} " in shared["fix"]
        name = f"shared/{shared['fingerprint']}"
        assert f"certificate {name}, asked for by brook, too\n  {shared['fix']}\n" in said

        for name in ("acme-orders", "acme-whole"):
            await ask(world, "/v1/keys/rotations", subscription=name, ahead_seconds=0)
        await ask(world, "/v1/switches/release", target="connector:acme")
        await world.obeyed()
        fresh = await world.letter()
        await until(lambda: len(brooks.requests) == 2)
        for got in (await world.fetch(fresh), await world.fetch_certified(fresh)):
            assert (got.status, got.code) == (404, "ref_unknown")
        assert closed(world) == {"acme-whole": {Reason.CLIENT_IDENTITY_MISSING}}
        assert (len(acmes.requests), shown_at(acmes)) == (1, ["acme"])
        assert set(shown_at(brooks)) == {"shared"}

        write_identity(tmp_path, CLIENTS.issue_cert("new.client"), "acme")
        other = Ed25519PrivateKey.generate()
        again = (replace(CALLERS[0], kid="acme-2", key=pem_of_key(other)),)
        await world.apply(registry_at(world.inbox, acmes, brooks, callers=again))
        await until(lambda: len(acmes.requests) == 2)
        assert shown_at(acmes) == ["acme", "new"]
        assert (await world.fetch(fresh, key=other, kid="acme-2")).status == 200
        assert (await world.fetch(fresh, key=KEY, kid="acme-2")).status == 404
