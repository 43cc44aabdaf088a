"""What leaves a machine, by its own interfaces: a real worker in an empty network, overheard.

Every packet is counted, loopback and name lookups included. Whatever may not be reached causes
none; a listed public destination causes a lookup and a connection, which shows that the counting
can fail. Needs the right to make network namespaces; run with `-m netns`.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from dispatcher.app.config import load_config
from dispatcher.app.house import House, open_house
from dispatcher.app.migration import migrate_house
from dispatcher.control.signing_keys import new_keys
from dispatcher.model.classification import Category
from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.paper import Agreement, Purpose
from dispatcher.model.producers import list_producers
from dispatcher.model.registry import (
    Connector,
    Destination,
    EventType,
    OwnershipProof,
    Policy,
    Registry,
    Subscription,
)
from dispatcher.producer import enqueue
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.revisions import NewRevision
from dispatcher.vault.keyring import create_keyring
from dispatcher.vault.places import REGISTRY
from tests.support.letters import rows
from tests.support.world_netns import OWN, EmptyNet, empty_net

pytestmark = pytest.mark.netns

PUBLIC, PUBLIC_6 = "1.2.3.4", "2600::1234"
CONFIG = """\
[registry]
url = "sqlite:///dispatcher.db"
[outbox]
url = "sqlite:///dispatcher.db"
[vault]
keyring = "keyring.json"
[worker]
poll_idle_seconds = 0.05
[network]
resolver = "system"
dns_seconds = 2.0
connect_seconds = 0.5
[api]
port = 0
"""
SCHEMA = '{"type": "object", "additionalProperties": false}'
FORBIDDEN = {
    "private": "10.0.0.1",
    "private-172": "172.16.0.1",
    "private-192": "192.168.0.1",
    "carrier": "100.64.0.1",
    "metadata": "169.254.169.254",
    "metadata-b": "100.100.100.200",
    "metadata-c": "168.63.129.16",
    "loopback": "127.0.0.1",
    "unspecified": "0.0.0.0",
    "multicast": "224.0.0.1",
    "broadcast": "255.255.255.255",
    "benchmark": "198.18.0.1",
    "own": OWN[0],
    "own-6": OWN[1],
    "loopback-6": "::1",
    "unspecified-6": "::",
    "local-6": "fd00::1",
    "metadata-6": "fd00:ec2::254",
    "link-6": "fe80::1",
    "mapped": "::ffff:127.0.0.1",
    "compatible": "::10.0.0.1",
    "nat64": "64:ff9b::a00:1",
    "6to4": "2002:7f00:1::1",
    "teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
}
SPELLINGS = (
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "https://\uff11\uff10\u3002\uff10\u3002\uff10\u3002\uff11/",
    "https://[::1%251]/",
    "https://[v1.fe80::a]/",
    "https://listed.example@127.0.0.1/",
    "https://127.0.0.1\\@listed.example/",
    "https://listed.example%2f@127.0.0.1/",
    "https://localhost/",
)
WAIVED = Policy(ownership_proof=OwnershipProof.WAIVED)
"""Letters go without a proof of ownership, as those that are meant to be refused."""
BOTH_WAYS = pytest.mark.parametrize("house", ["system", "name_servers"], indirect=True)
"""Of asking for names: the machine's, and directly."""


@dataclass
class Place:
    """A company with its databases in one folder, and the network its worker runs in."""

    net: EmptyNet
    house: House

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run a worker, as an operator would, inside the network."""
        config = str(self.house.config.source)
        with self.net.running(sys.executable, "-m", "dispatcher", "worker", "--config", config):
            yield

    async def until_judged(self, *codes: str, count: int) -> None:
        """Wait until this many deliveries are parked, or wait for another try, with these codes."""
        deadline = time.monotonic() + 30
        found: list[str] = []
        while time.monotonic() < deadline:
            found = await self.codes()
            if len([code for code in found if code in codes]) >= count:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{sorted(found)}, wanted {count} of {codes}\n{self.net.said()}")

    async def codes(self) -> list[str]:
        found = await rows(self.house.outbox_database, "SELECT code FROM {deliveries}")
        return [str(row["code"] or "") for row in found]


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    create_keyring(tmp_path / "keyring.json")
    way = getattr(request, "param", "system")
    (tmp_path / "dispatcher.toml").write_text(CONFIG.replace('"system"', f'"{way}"'))
    async with open_house(load_config(tmp_path / "dispatcher.toml")) as opened:
        await migrate_house(opened)
        yield opened


async def furnish(
    house: House,
    urls: Sequence[tuple[str, str]],
    *,
    private_range: str = "",
    policy: Policy = WAIVED,
) -> None:
    """Activate a revision, past every judge of changes, of one subscription for each URL.

    Each is to a URL, with an entry of the allowlist for a host; an empty host lists nothing.
    """
    kinds = tuple(EventType(name=f"thing{n}.done", schema=SCHEMA) for n in range(len(urls)))
    registry = Registry(
        event_types=kinds,
        connectors=tuple(_connector(n, host, private_range) for n, (_, host) in enumerate(urls)),
        subscriptions=tuple(
            Subscription(
                name=f"partner{n}-all",
                connector=f"partner{n}",
                purpose="fulfilment",
                url=url,
                scope={kinds[n].name: ()},
                retry_seconds=(3600,),
                attempt_seconds=1.0,
            )
            for n, (url, _) in enumerate(urls)
        ),
        policy=policy,
    )
    base = await house.registry.active()
    new = NewRevision(
        base=base,
        registry=registry,
        diff=DisclosureDiff(()),
        author="ann",
        approver="bob",
        reason="a hostile registry",
    )
    # Without a key to sign with, lanes are closed before a host is looked at.
    await house.vault.ready(REGISTRY)
    _, keys = new_keys(registry, [], house.vault, lambda: secrets.token_bytes(32))
    revision, _ = await house.registry.activate(new, keys)
    await CatalogueStore(house.outbox_database).publish(kinds, list_producers(()), revision)
    async with house.outbox_database.begin() as connection:
        for kind in kinds:
            await enqueue(connection, kind.name, {}, tenant="shop", subjects=[])


def _connector(number: int, host: str, private_range: str) -> Connector:
    entry = Destination(host=host, reason="orders", private_range=private_range)
    listed = (entry,) if host else ()
    return Connector(
        name=f"partner{number}",
        owner="ada",
        contact="ada@partner.example",
        tenants=("shop",),
        purposes=(Purpose(name="fulfilment", categories=(Category.OTHER,)),),
        destinations=listed,
        owner_confirmed_until=date(2099, 12, 31),
        agreement=Agreement(reference="A-1", until=date(2099, 12, 31)),
    )


def literal(address: str) -> tuple[str, str]:
    host = f"[{address}]" if ":" in address else address
    return f"https://{host}/", address


async def test_c11_what_may_not_be_reached_causes_no_packet_and_no_lookup(
    house: House, tmp_path: Path
) -> None:
    hosts = {f"{name}.example": (address,) for name, address in FORBIDDEN.items()}
    hosts["mixed.example"] = (PUBLIC, "10.0.0.1")
    urls = [(f"https://{host}/", host) for host in hosts]
    urls += [literal(address) for address in FORBIDDEN.values()]
    unlisted = [
        ("https://unlisted.example/", ""),
        (f"https://{PUBLIC}/", ""),
        (f"https://[{PUBLIC_6}]/", ""),
        ("https://listed.example:8443/", "listed.example"),
        ("https://sub.listed.example/", "listed.example"),
        ("http://listed.example:443/", "listed.example"),
        *((spelling, "127.0.0.1") for spelling in SPELLINGS),
    ]
    names = {"unlisted.example": [PUBLIC], "listed.example": [PUBLIC], "localhost": [PUBLIC]}
    with empty_net(tmp_path / "net", hosts=hosts, names=names) as net:
        place = Place(net, house)
        await furnish(house, urls + unlisted)
        with place.working():
            await place.until_judged("address_forbidden", count=len(hosts))
            await asyncio.sleep(1.5)  # for whatever else would have been tried meanwhile
            assert net.packets == []
        found = await place.codes()
        assert "delivered" not in found
        written = await rows(house.outbox_database, "SELECT count(*) AS n FROM {disclosures}")
        assert written[0]["n"] == 0


async def test_al6_a_challenge_to_what_may_not_be_reached_causes_no_packet_and_no_lookup(
    house: House, tmp_path: Path
) -> None:
    hosts = {f"{name}.example": (address,) for name, address in FORBIDDEN.items()}
    urls = [(f"https://{host}/", host) for host in hosts]
    urls.append(("https://unlisted.example/", ""))
    with empty_net(tmp_path / "net", hosts=hosts, names={"unlisted.example": [PUBLIC]}) as net:
        place = Place(net, house)
        await furnish(house, urls, policy=Policy())
        with place.working():
            for _ in range(600):
                sql = "SELECT echo FROM {challenges} WHERE ended_us > 0"
                tried = [row["echo"] for row in await rows(house.registry_database, sql)]
                if len(tried) == len(hosts):
                    break
                await asyncio.sleep(0.05)
            assert tried == ["address_forbidden"] * len(hosts)
            assert net.packets == []


@BOTH_WAYS
async def test_c11_a_listed_name_that_leads_inside_is_asked_for_and_not_dialled(
    house: House, tmp_path: Path
) -> None:
    names: Mapping[str, list[str]] = {
        "inside.example": ["10.1.2.3"],
        "metadata.example": ["169.254.169.254"],
        "mixed.example": [PUBLIC, "192.168.1.1"],
        "six.example": ["fd00:ec2::254"],
        "two.example": [PUBLIC, "fe80::1"],
    }
    with empty_net(tmp_path / "net", names=names) as net:
        place = Place(net, house)
        await furnish(house, [(f"https://{name}/", name) for name in names])
        with place.working():
            await place.until_judged("address_forbidden", count=len(names))
            await asyncio.sleep(0.5)
            packets = net.packets
        assert {one.name for one in packets if one.kind == "question"} == set(names)
        assert {one.kind for one in packets} == {"question", "answer"}
        assert {one.interface for one in packets} == {"lo"}


@BOTH_WAYS
async def test_c11_a_listed_public_destination_is_asked_for_and_dialled(
    house: House, tmp_path: Path
) -> None:
    names = {"listed.example": [PUBLIC], "six.example": [PUBLIC_6]}
    urls = [(f"https://{name}/", name) for name in names]
    with empty_net(tmp_path / "net", names=names) as net:
        place = Place(net, house)
        await furnish(house, urls)
        with place.working():
            await place.until_judged("connect_timeout", count=len(urls))
            packets = net.packets
        assert {one.name for one in packets if one.kind == "question"} == set(names)
        dialled = {(one.interface, one.target, one.port) for one in packets if one.kind == "syn"}
        assert dialled == {("out", PUBLIC, 443), ("out", PUBLIC_6, 443)}
        assert {one.kind for one in packets} == {"question", "answer", "syn"}


async def test_a1_own_addresses_and_forbidden_ones_are_refused_within_a_granted_range(
    house: House, tmp_path: Path
) -> None:
    hosts = {
        "own.example": ("10.7.0.2",),
        "listed.example": ("10.7.0.9",),
        "between.example": ("10.7.1.77",),
        "mapped.example": ("::ffff:10.7.0.2",),
        "peer.example": ("10.7.0.3",),
    }
    forbid = 'forbidden = ["10.7.0.9", "10.7.1.64/27"]\n'
    config = tmp_path / "dispatcher.toml"
    config.write_text(CONFIG.replace("[network]\n", f"[network]\n{forbid}"))
    with empty_net(tmp_path / "net", hosts=hosts) as net:
        done = net.run("ip", "address", "add", "10.7.0.2/32", "dev", "out")
        assert done.returncode == 0, done
        urls = [(f"https://{host}/", host) for host in hosts]
        await furnish(house, urls, private_range="10.7.0.0/16")
        place = Place(net, house)
        with place.working():
            await place.until_judged("address_forbidden", count=4)
            await place.until_judged("connect_timeout", count=1)
            packets = net.packets
    assert {(one.kind, one.target) for one in packets} == {("syn", "10.7.0.3")}


def test_the_network_overhears_a_connection_a_lookup_and_a_neighbour(tmp_path: Path) -> None:
    tries = """
import socket
def attempt(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as one:
        one.settimeout(0.2)
        one.connect_ex((address, 9))
for address in ("10.0.0.1", "127.0.0.1", "::1", "fd00::1", "192.0.2.77", "2001:db8::77"):
    attempt(address)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.sendto(b"hello", ("169.254.169.254", 80))
try:
    socket.getaddrinfo("unlisted.example.", 80)
except OSError:
    pass
"""
    with empty_net(tmp_path / "net") as net:
        done = net.run(sys.executable, "-c", tries)
        assert done.returncode == 0, done
        time.sleep(0.3)
        packets = net.packets
    heard = {(one.kind, one.target) for one in packets}
    assert {("syn", a) for a in ("10.0.0.1", "127.0.0.1", "::1", "fd00::1")} <= heard
    assert ("udp", "169.254.169.254") in heard
    assert {"ether/0806", "icmp6/135"} <= {one.kind for one in packets}, "looks for neighbours"
    assert "unlisted.example" in {one.name for one in packets}
