"""Gates, life cycle, delays, addresses and URLs under generated input."""

from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

from hypothesis import assume, given
from hypothesis import strategies as st
from yarl import URL

from dispatcher.model.delivery import LIFE_CYCLE, Move, State
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.letter import Answer, Stopped, Trouble
from dispatcher.model.verdict import Reason, hold, refuse
from dispatcher.stages.gates.addresses import AddressRules, judge_address
from dispatcher.stages.settling.backoff import RETRY_AFTER_SECONDS_MAX
from dispatcher.stages.settling.settle import settle
from tests.unit.stages import builders

TARGETS = st.sampled_from(
    [
        "everything",
        "tenant:north",
        "connector:acme",
        "connector:other",
        "host:hooks.acme.example",
        "subscription:acme-orders",
        "subscription:second",
        "event-type:order.paid",
        "event-type:order.sent",
    ]
)
HELD = builders.registry(
    event_types=(builders.event_type(), builders.event_type("order.sent")),
    subscriptions=(
        builders.subscription(scope={"order.paid": ("$.id",), "order.sent": ()}),
        builders.subscription("second"),
    ),
)
RESULTS = (
    st.builds(Answer, st.integers(100, 599), st.none() | st.text(max_size=40))
    | st.builds(Answer, st.integers(100, 599), st.integers(-5, 10**12).map(str))
    | st.builds(Trouble, st.just("timeout"), st.booleans())
    | st.builds(Stopped, st.sampled_from(Reason))
    | st.sampled_from([hold(Reason.SWITCH_ON), refuse(Reason.PAYLOAD_GONE)])
)


@given(st.lists(TARGETS, max_size=4), TARGETS)
def test_one_more_switch_never_opens_a_lane(stops, more):
    before = {lane for lane, _ in builders.snapshot(HELD, *stops).open_lanes}
    after = {lane for lane, _ in builders.snapshot(HELD, *stops, more).open_lanes}
    assert after <= before


@given(RESULTS, st.integers(0, 12), st.floats(0, 1, exclude_max=True))
def test_every_turn_is_a_move_of_the_life_cycle_and_ends_or_waits(result, failures, chance):
    schedule = (5.0,) * 9
    done = settle(builders.leased(failures=failures), None, result, schedule, chance, 10**15)
    reached = LIFE_CYCLE[State.LEASED, done.move]
    assert reached.is_final or reached in (State.WAITING, State.PARKED)
    spends = done.move in (Move.AGAIN, Move.GIVE_UP)
    assert done.failures == failures + spends


@given(st.lists(RESULTS, min_size=60, max_size=60), st.integers(0, 9))
def test_no_delivery_fails_for_ever(results, waits):
    failures, schedule = 0, (1.0,) * waits
    for result in results:
        done = settle(builders.leased(failures=failures), None, result, schedule, 0.5, 0)
        failures = done.failures
        if LIFE_CYCLE[State.LEASED, done.move] is not State.WAITING:
            break
    assert failures <= waits + 1


@given(
    RESULTS,
    st.lists(st.floats(0.001, 604_800), min_size=1, max_size=9),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 2 * 10**15),
)
def test_a_delay_is_within_its_step_or_a_day(result, schedule, chance, moment_us):
    done = settle(builders.leased(), None, result, tuple(schedule), chance, moment_us)
    drawn_us = int(chance * schedule[0] * 1_000_000)
    assert 0 <= done.delay_us <= max(drawn_us, RETRY_AFTER_SECONDS_MAX * 1_000_000)
    if done.move is Move.AGAIN:
        assert done.delay_us >= drawn_us


def is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    return judge_address(str(address), 443, AddressRules()) is not None


@given(st.ip_addresses(v=4), st.sampled_from([0x5EFE, 0x0200_5EFE]))
def test_an_embedded_address_bears_the_verdict_of_the_inner_one(inner, marker):
    mapped = IPv6Address(0xFFFF << 32 | int(inner))
    isatap = IPv6Address(int(IPv6Address("2a00:1450::")) | marker << 32 | int(inner))
    assert is_forbidden(inner) == is_forbidden(mapped) == is_forbidden(isatap)


@given(st.ip_addresses(v=4))
def test_every_other_embedding_is_refused(inner):
    number = int(inner)
    for prefix, shift in (("64:ff9b::", 0), ("64:ff9b:1::", 0), ("::", 0), ("2002::", 80)):
        assert is_forbidden(IPv6Address(int(IPv6Address(prefix)) | number << shift))


@given(st.ip_addresses())
def test_what_the_library_calls_local_is_never_allowed(address):
    assume(address.is_private or address.is_loopback or address.is_link_local)
    if not (isinstance(address, IPv6Address) and address.ipv4_mapped):
        assert is_forbidden(address)


HOSTISH = st.text(alphabet="abz019.-_xX[]:%@/\\?# \t\n", max_size=24) | st.sampled_from(
    ["a.example", "8.8.8.8", "[::1]", "127.1", "0x7f.1", "[fe80::1%1]", "A.Example."]
)
URLS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTPS://", "https:/", "https:///"]),
    HOSTISH,
    st.sampled_from(["", ":443", ":8443", ":0", ":080", ":+80", ":99999"]),
    st.text(alphabet="/ab.%2e?=&#@\\;", max_size=12),
)


@given(URLS)
def test_an_accepted_url_means_the_same_to_the_url_libraries(url):
    try:
        endpoint = parse_endpoint(url)
    except ValueError:
        return
    plain = urlsplit(url)
    assert (plain.hostname or "").removesuffix(".") in (endpoint.host, endpoint.host.lower()) or (
        IPv6Address(plain.hostname) == IPv6Address(endpoint.host)
    )
    for text in (url, str(endpoint)):
        read = URL(text, encoded=True)
        # Names are compared without case: `encoded=True` keeps the spelling as typed.
        host = (read.raw_host or "").removesuffix(".").lower()
        assert host == endpoint.host or ":" in endpoint.host
        assert endpoint.port == read.port
        assert endpoint.port == (urlsplit(text).port or {"http": 80, "https": 443}[plain.scheme])
        assert read.user is None
