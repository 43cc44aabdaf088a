"""Name servers asked directly: a real one on loopback, well behaved or not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dnslib import QTYPE, DNSRecord

from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network import name_servers
from dispatcher.network.lookups import ADDRESSES_MAX, ALIASES_MAX, FAILED, LATE, OVERSIZED
from dispatcher.network.name_servers import TEXT_BYTES_MAX, TEXTS_MAX, NameServers
from dispatcher.network.resolver import Resolver, StaticResolver
from dispatcher.network.settings import ResolverSettings
from tests.support.names import NameServer, fails, name_server, record, replies, says_nothing

V4, V6 = "192.0.2.1", "2001:db8::1"


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with name_server() as found:
        found.zone["a.test"] = [("A", V4), ("AAAA", V6)]
        yield found


@pytest.fixture(autouse=True)
def asked_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Nobody may turn to the machine's resolver on the way."""
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> list[object]:
        asked.append(arguments[0])
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield asked
    assert asked == []


def asking(*servers: NameServer, dns_seconds: float = 3.0) -> NameServers:
    return NameServers(tuple(each.address for each in servers), dns_seconds=dns_seconds)


def resolver(clock: list[float] | None = None, **settings: object) -> Resolver:
    given = ResolverSettings(**({"is_system": False, "dns_seconds": 3.0} | settings))  # type: ignore[arg-type]
    return Resolver(given, clock=lambda: clock[0] if clock else 0.0)


async def test_d1_both_families_are_asked_for_and_the_whole_answer_comes_back(
    server: NameServer,
) -> None:
    server.zone["a.test"].append(("A", "10.0.0.7"))
    assert await asking(server).addresses("a.test") == Resolved((V4, "10.0.0.7", V6))
    assert sorted(server.asked) == [("a.test", "A", "udp"), ("a.test", "AAAA", "udp")]


@pytest.mark.parametrize("kind", ["A", "AAAA"])
async def test_one_family_is_enough(server: NameServer, kind: str) -> None:
    address = {"A": V4, "AAAA": V6}[kind]
    server.zone["b.test"] = [(kind, address)]
    assert await asking(server).addresses("b.test") == Resolved((address,))


@pytest.mark.parametrize("unheard", ["A", "AAAA"])
@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED", "silence"])
async def test_d1_half_an_answer_is_none(server: NameServer, unheard: str, how: str) -> None:
    whole = replies(("b.test", "A", V4), ("b.test", "AAAA", V6))

    def half(request: DNSRecord, way: str) -> DNSRecord | bytes | None:
        if QTYPE[request.q.qtype] != unheard:
            return whole(request, way)
        return None if how == "silence" else fails(how)(request, way)

    server.special["b.test"] = half
    found = await asking(server, dns_seconds=0.5).addresses("b.test")
    assert found == (LATE if how == "silence" else FAILED)


async def test_d2_nothing_below_remembers_an_answer(server: NameServer) -> None:
    servers = asking(server)
    await servers.addresses("a.test")
    server.zone["a.test"] = [("A", "192.0.2.2")]
    assert await servers.addresses("a.test") == Resolved(("192.0.2.2",))


async def test_d2_another_revision_asks_again_and_time_does_too(server: NameServer) -> None:
    clock = [0.0]
    names = resolver(clock, name_servers=(server.address,), cache_seconds=30)
    await names.resolve("a.test")
    await names.resolve("a.test")
    assert server.names() == ["a.test"] * 2
    names.forget()
    await names.resolve("a.test")
    assert server.names() == ["a.test"] * 4
    clock[0] = 30.0
    await names.resolve("a.test")
    assert server.names() == ["a.test"] * 6
    names.close()


async def test_lookups_of_one_host_are_shared(server: NameServer) -> None:
    names = resolver(name_servers=(server.address,))
    await asyncio.gather(*(names.resolve("a.test") for _ in range(50)))
    assert server.names() == ["a.test"] * 2
    names.close()


@pytest.mark.parametrize("content", [b"\x7f\x00\x01", b""], ids=["three octets", "none"])
async def test_d3_an_answer_that_is_no_address_is_none(server: NameServer, content: bytes) -> None:
    server.special["b.test"] = replies(("b.test", "A", V4), ("b.test", "A", content))
    assert await asking(server).addresses("b.test") == FAILED


async def test_d3_a_name_where_an_address_should_be_is_only_ever_read_as_octets(
    server: NameServer,
) -> None:
    server.special["b.test"] = replies(("b.test", "A", b"localhost"))
    assert await asking(server).addresses("b.test") == Resolved(("108.111.99.97",))


async def test_d3_an_alias_is_never_given_for_an_address(server: NameServer) -> None:
    server.special["b.test"] = replies(("b.test", "CNAME", "localhost"))
    assert await asking(server).addresses("b.test") == FAILED


@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR", "SERVFAIL", "REFUSED", "NOTIMP"])
async def test_d4_without_a_usable_answer_there_is_trouble(server: NameServer, rcode: str) -> None:
    server.special["b.test"] = fails(rcode)
    assert await asking(server).addresses("b.test") == FAILED


async def test_d4_addresses_of_somebody_else_are_no_answer(server: NameServer) -> None:
    server.special["b.test"] = replies(("c.test", "A", V4))
    assert await asking(server).addresses("b.test") == FAILED
    server.special["b.test"] = replies(("c.test", "A", V4), ("b.test", "A", "192.0.2.3"))
    assert await asking(server).addresses("b.test") == Resolved(("192.0.2.3",))


async def test_d5_a_silent_server_is_given_up_at_the_deadline(server: NameServer) -> None:
    server.special["b.test"] = says_nothing
    began = asyncio.get_running_loop().time()
    assert await asking(server, dns_seconds=0.3).addresses("b.test") == LATE
    assert asyncio.get_running_loop().time() - began < 1.5


async def test_d5_waiting_for_a_free_place_counts(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_servers, "LOOKUPS_MAX", 1)
    server.special |= {"b.test": says_nothing, "c.test": says_nothing}
    servers = asking(server, dns_seconds=0.5)
    began = asyncio.get_running_loop().time()
    both = await asyncio.gather(servers.addresses("b.test"), servers.addresses("c.test"))
    assert both == [LATE, LATE]
    assert asyncio.get_running_loop().time() - began < 0.95


async def test_d6_the_configured_way_of_asking_is_the_one_taken(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def look_up(host: str) -> Resolved:
        asked.append(host)
        return Resolved(("192.0.2.99",))

    monkeypatch.setattr("dispatcher.network.machine_names.look_up", look_up)
    for is_system, found in ((True, Resolved(("192.0.2.99",))), (False, Resolved((V4, V6)))):
        names = resolver(is_system=is_system, name_servers=(server.address,))
        assert await names.resolve("a.test") == found
        names.close()
    assert asked == ["a.test"]


async def test_d6_the_environment_has_no_say(
    server: NameServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    aliases = tmp_path / "aliases"
    aliases.write_text("a.test evil.test\nb evil.test\n")
    server.zone |= {"evil.test": [("A", "192.0.2.66")], "b.evil.test": [("A", "192.0.2.66")]}
    monkeypatch.setenv("HOSTALIASES", str(aliases))
    monkeypatch.setenv("LOCALDOMAIN", "evil.test")
    monkeypatch.setenv("RES_OPTIONS", "ndots:9 retrans:1 retry:9")
    monkeypatch.setenv("CARES_HOSTS", str(aliases))
    assert await asking(server).addresses("a.test") == Resolved((V4, V6))
    assert await asking(server).addresses("b") == FAILED
    assert set(server.names()) == {"a.test", "b"}


async def test_d6_neither_the_hosts_file_nor_a_search_list_is_used(server: NameServer) -> None:
    assert await asking(server).addresses("localhost") == FAILED
    assert set(server.names()) == {"localhost"}


async def test_d7_the_whole_chain_of_aliases_is_told(server: NameServer) -> None:
    server.zone |= {
        "b.test": [("CNAME", "Edge.test")],
        "Edge.test": [("CNAME", "pop.cdn.test")],
        "pop.cdn.test": [("A", V4), ("AAAA", V6)],
    }
    found = await asking(server).addresses("b.test")
    assert found == Resolved((V4, V6), ("edge.test", "pop.cdn.test"))


async def test_d7_each_family_may_come_by_its_own_way(server: NameServer) -> None:
    four = replies(("b.test", "CNAME", "four.test"), ("four.test", "A", V4))
    six = replies(("b.test", "CNAME", "six.test"), ("six.test", "AAAA", V6))
    server.special["b.test"] = lambda request, way: (
        four if QTYPE[request.q.qtype] == "A" else six
    )(request, way)
    assert await asking(server).addresses("b.test") == Resolved((V4, V6), ("four.test", "six.test"))


@pytest.mark.parametrize(
    "chain",
    [
        [("b.test", "b.test")],
        [("b.test", "c.test"), ("c.test", "b.test")],
        [("b.test", "c.test"), ("c.test", "d.test"), ("d.test", "c.test")],
        [("b.test", "c.test"), ("b.test", "d.test")],
        [("b.test", "x\\.good.test")],
    ],
    ids=["itself", "back", "circle", "fork", "escape"],
)
async def test_d7_a_chain_that_leads_astray_is_trouble(
    server: NameServer, chain: list[tuple[str, str]]
) -> None:
    lines = [(name, "CNAME", target) for name, target in chain]
    server.special["b.test"] = replies(
        *lines, *((name, "A", V4) for name in ("b.test", "c.test", "d.test", "x\\.good.test"))
    )
    assert await asking(server).addresses("b.test") == FAILED


@pytest.mark.parametrize(("steps", "is_found"), [(ALIASES_MAX, True), (ALIASES_MAX + 1, False)])
async def test_d7_a_chain_is_bounded(server: NameServer, steps: int, is_found: bool) -> None:
    for number in range(steps):
        server.zone[f"n{number}.test"] = [("CNAME", f"n{number + 1}.test")]
    server.zone[f"n{steps}.test"] = [("A", V4)]
    found = await asking(server).addresses("n0.test")
    assert found == OVERSIZED if not is_found else isinstance(found, Resolved)


async def test_d9_where_one_server_fails_only_the_next_of_the_list_is_asked(
    server: NameServer,
) -> None:
    async with name_server() as next_one:
        server.special["b.test"] = fails("SERVFAIL")
        next_one.zone["b.test"] = [("A", V4)]
        assert await asking(server, next_one).addresses("b.test") == Resolved((V4,))
        server.special["b.test"] = fails("NXDOMAIN")
        next_one.asked.clear()
        assert await asking(server, next_one).addresses("b.test") == FAILED
        assert next_one.asked == []


async def test_d9_nobody_is_asked_where_no_server_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(name_servers, "DNSResolver")
    for text in (None, "", "search test\n", "nameserver\n", "nameserver ns.test\n"):
        conf = tmp_path / "resolv.conf"
        conf.unlink(missing_ok=True)
        if text is not None:
            conf.write_text(text)
        servers = NameServers((), dns_seconds=3.0, resolv_conf=conf)
        assert await servers.addresses("a.test") == FAILED
    conf.write_text("# ours\nsearch evil.test\nnameserver 127.0.0.1 # first\noptions rotate\n")
    assert name_servers.read_name_servers(conf) == ("127.0.0.1:53",)


async def test_d9_a_server_that_is_down_is_trouble_and_an_old_answer_no_way_out(
    server: NameServer,
) -> None:
    clock = [0.0]
    names = resolver(clock, name_servers=(server.address,), dns_seconds=0.5, cache_seconds=30)
    assert await names.resolve("a.test") == Resolved((V4, V6))
    server.special["a.test"] = says_nothing
    clock[0] = 30.0
    assert await names.resolve("a.test") == LATE
    names.close()


@pytest.mark.parametrize("is_system", [True, False])
async def test_d10_hosts_that_may_be_private_are_asked_of_servers_of_their_own(
    server: NameServer, is_system: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.network.machine_names.look_up", lambda _: Resolved((V4,)))
    async with name_server() as private:
        private.zone["a.test"] = [("A", "10.1.2.3")]
        names = resolver(
            is_system=is_system,
            name_servers=(server.address,),
            private_name_servers=(private.address,),
        )
        inside = await names.resolve("a.test", is_private=True)
        outside = await names.resolve("a.test")
        assert inside == Resolved(("10.1.2.3",))
        assert isinstance(outside, Resolved)
        assert outside.addresses[0] == V4
        assert await names.resolve("a.test", is_private=True) == inside
        private.special["b.test"] = fails("SERVFAIL")
        server.zone["b.test"] = [("A", V4)]
        assert await names.resolve("b.test", is_private=True) == FAILED
        names.close()


async def test_d10_without_servers_of_their_own_the_ordinary_ones_are_asked(
    server: NameServer,
) -> None:
    names = resolver(name_servers=(server.address,))
    assert await names.resolve("a.test", is_private=True) == Resolved((V4, V6))
    names.close()


async def test_an_answer_cut_short_is_asked_for_again_over_tcp(server: NameServer) -> None:
    many = [f"192.0.2.{number}" for number in range(1, ADDRESSES_MAX + 1)]
    full = replies(*(("b.test", "A", address) for address in many))

    def cut(request: DNSRecord, way: str) -> DNSRecord | bytes | None:
        reply = full(request, way)
        assert isinstance(reply, DNSRecord)
        if way == "udp" and reply.rr:
            reply.rr = reply.rr[:3]
            reply.header.tc = 1
        return reply

    server.special["b.test"] = cut
    assert await asking(server).addresses("b.test") == Resolved(tuple(many))
    assert ("b.test", "A", "tcp") in server.asked


async def test_the_beginning_of_an_answer_is_never_taken_for_the_whole(server: NameServer) -> None:
    def cut(request: DNSRecord, way: str) -> DNSRecord | None:
        reply = request.reply()
        reply.add_answer(record("b.test", "A", V4))
        reply.header.tc = 1
        return reply if way == "udp" else None

    server.special["b.test"] = cut
    assert await asking(server, dns_seconds=0.5).addresses("b.test") == LATE


async def test_an_absurd_number_of_addresses_is_refused(server: NameServer) -> None:
    server.zone["b.test"] = [("A", f"192.0.2.{number}") for number in range(ADDRESSES_MAX)]
    assert isinstance(await asking(server).addresses("b.test"), Resolved)
    server.zone["b.test"].append(("AAAA", V6))
    assert await asking(server).addresses("b.test") == OVERSIZED


@pytest.mark.parametrize("host", ["a\x00.test", "a\\.test", "ä.test", "a" * 64 + ".test", "A.test"])
async def test_a_host_that_is_no_plain_name_is_not_asked_for(server: NameServer, host: str) -> None:
    assert await asking(server).addresses(host) == FAILED
    assert server.asked == []


async def test_texts_are_whole_plain_and_bounded(server: NameServer) -> None:
    server.special["_proof.a.test"] = replies(
        ("_proof.a.test", "TXT", "dispatcher=1"),
        ("_proof.a.test", "TXT", "x" * 600),
        ("_proof.a.test", "TXT", b"\xff\x00"),
        ("_proof.a.test", "TXT", "two\nlines"),
        ("_proof.a.test", "TXT", "x" * (TEXT_BYTES_MAX + 1)),
        ("elsewhere.test", "TXT", "dispatcher=2"),
    )
    names = resolver(is_system=True, name_servers=(server.address,))
    assert await names.texts("_proof.a.test") == ("dispatcher=1", "x" * 600)
    names.close()


async def test_texts_follow_an_alias(server: NameServer) -> None:
    server.zone |= {
        "_proof.a.test": [("CNAME", "proofs.test")],
        "proofs.test": [("TXT", "yes")],
    }
    assert await asking(server).texts("_proof.a.test") == ("yes",)


async def test_too_many_texts_are_trouble(server: NameServer) -> None:
    lines = [("b.test", "TXT", f"t{number}") for number in range(TEXTS_MAX + 1)]
    server.special["b.test"] = replies(*lines[1:])
    found = await asking(server).texts("b.test")
    assert isinstance(found, tuple)
    assert len(found) == TEXTS_MAX
    server.special["b.test"] = replies(*lines)
    assert await asking(server).texts("b.test") == OVERSIZED


async def test_no_text_is_told_from_nobody_to_ask(server: NameServer) -> None:
    server.special |= {"b.test": fails("NXDOMAIN"), "c.test": fails("SERVFAIL")}
    assert await asking(server).texts("a.test") == ()
    assert await asking(server).texts("b.test") == ()
    assert await asking(server).texts("c.test") == FAILED


async def test_the_static_resolver_knows_what_it_was_told() -> None:
    static = StaticResolver({"a.test": (V4,)}, {"a.test": ("yes",)})
    assert await static.resolve(V6) == Resolved((V6,))
    assert await static.resolve("a.test", is_private=True) == Resolved((V4,))
    assert await static.resolve("b.test") == FAILED
    assert await static.texts("a.test") == ("yes",)
    assert await static.texts("b.test") == ()
    static.forget()


async def test_trouble_of_a_lookup_says_that_nothing_was_sent(server: NameServer) -> None:
    found = await asking(server).addresses("none.test")
    assert isinstance(found, Trouble)
    assert not found.is_begun
