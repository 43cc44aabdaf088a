"""What is believed of a partner's published keys, and which of them may be used now."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey, Key, OctKey

from dispatcher.model.classification import Sensitivity
from dispatcher.model.key_set import (
    EXPOSED_MAX,
    FoundKey,
    FoundKeys,
    KeySet,
    KeySetMode,
    KeySetNow,
    SeenKey,
)
from dispatcher.model.letter import Stopped
from dispatcher.model.paper import Assessment
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.registry import Destination, Encryption, Policy, Style
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.key_fetch import cache_seconds, may_fetch, read_key_set
from dispatcher.stages.gates.partner_keys import (
    STALE_US,
    PartnerKeys,
    choose_key,
    is_short,
    keys_of,
    list_partner_keys,
    next_change_us,
)
from dispatcher.stages.revising.compiling import compile_snapshot
from tests.support.opening import OTHER, PAIRS, decoded, public_jwk
from tests.unit.stages import builders

URL = "https://hooks.acme.example/jwks.json"
HOUR_US = 3_600_000_000
FOUND_US = 1_000 * HOUR_US


def jwks(*keys: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"keys": list(keys), **more}).encode()


def found(*keys: dict[str, Any], **more: Any) -> FoundKeys:
    read = read_key_set(jwks(*keys, **more))
    assert isinstance(read, FoundKeys)
    return read


GOOD = public_jwk(PAIRS["EC"])
PAIRS_OF_CHANCE = (ECKey.generate_key("P-256") for _ in range(100_000))
SHORT = next(pair for pair in PAIRS_OF_CHANCE if not decoded(public_jwk(pair)["x"])[0])
PRIVATE = {**PAIRS["EC"].as_dict(private=True), "kid": "k1", "use": "enc"}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_key_of_each_good_kind_is_found_and_named_by_its_thumbprint(kind):
    pair = PAIRS[kind]
    (key,) = found(public_jwk(pair)).keys
    assert ("k1", pair.thumbprint(), True) == (key.kid, key.thumbprint, key.is_for_encryption)
    assert pair.as_dict(private=False)["kty"] == json.loads(key.jwk)["kty"]


def test_keys_keep_the_partners_order_and_what_else_is_said_of_them_is_left_out():
    first = public_jwk(OTHER, "b", x5c=["MIIB"], exp=1)
    read = found(first, public_jwk(PAIRS["EC"], "a"))
    assert ["b", "a"] == [each.kid for each in read.keys]
    assert "x5c" not in read.keys[0].jwk
    assert () == read.refused


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


REFUSED = {
    "no kid": without("kid"),
    "a kid that is no text": {**GOOD, "kid": 7},
    "a kid with a line break": {**GOOD, "kid": "k\n1"},
    "a kid too long": {**GOOD, "kid": "k" * 129},
    "secp256k1": public_jwk(ECKey.generate_key("secp256k1")),
    "P-521": public_jwk(ECKey.generate_key("P-521")),
    "P-384": public_jwk(ECKey.generate_key("P-384")),
    "another algorithm": {**GOOD, "alg": "RSA-OAEP-256"},
    "an old algorithm": public_jwk(PAIRS["RSA"], alg="RSA-OAEP"),
    "for signatures": {**GOOD, "use": "sig"},
    "for signatures, by its operations": {**GOOD, "key_ops": ["verify"]},
    "an exponent that takes long": public_jwk(PAIRS["RSA"], e="AQAAAAAAAAAB"),
    "16384 bits": public_jwk(PAIRS["RSA"], n=f"{'_' * 2730}w"),
    "1024 bits": public_jwk(PAIRS["RSA"], n=PAIRS["RSA"].as_dict()["n"][:171]),
    "off its curve": {**GOOD, "x": GOOD["y"], "y": GOOD["x"]},
    "of small order": {"kty": "OKP", "crv": "X25519", "x": "A" * 43, "kid": "k1", "use": "enc"},
    "no number": {**GOOD, "x": 5},
    "of no kind": {**GOOD, "kty": "AKP"},
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_key_that_is_not_plainly_good_is_left_out_and_told_of(why):
    good = public_jwk(OTHER, "good")
    read = found(REFUSED[why], good)
    assert ["good"] == [each.kid for each in read.keys]
    assert 1 == len(read.refused)
    assert read.refused[0].startswith("key 1: ")


def test_two_keys_of_one_kid_are_both_left_out():
    read = found(GOOD, public_jwk(OTHER, "k1"), public_jwk(PAIRS["OKP"], "k2"))
    assert (["k2"], 2) == ([each.kid for each in read.keys], len(read.refused))


def test_a_key_listed_under_two_kids_is_one_key():
    read = found(GOOD, {**GOOD, "kid": "k2"})
    assert ["k1"] == [each.kid for each in read.keys]


EXPOSED = {
    "the private half": [PRIVATE],
    "beside good ones": [public_jwk(OTHER, "k2"), PRIVATE],
    "a factor alone": [public_jwk(PAIRS["RSA"], p="AQAB")],
    "a shared secret": [OctKey.generate_key(256).as_dict(private=True)],
    "of a key for signatures": [{**PRIVATE, "use": "sig", "alg": "ES256"}],
    "among too many": [public_jwk(OTHER, f"k{number}") for number in range(30)] + [PRIVATE],
}


@pytest.mark.parametrize("how", EXPOSED)
def test_a_set_with_a_private_key_is_refused_whole(how):
    read = found(*EXPOSED[how])
    assert (True, ()) == (read.is_exposed, read.keys)
    assert PRIVATE["d"] not in repr(read)


@pytest.mark.parametrize("how", ["the private half", "of a key for signatures"])
def test_the_key_whose_private_half_was_published_is_named(how):
    (key,) = found(*EXPOSED[how]).exposed
    assert PAIRS["EC"].thumbprint() == key.thumbprint


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_one_member_that_only_the_owner_may_know_is_enough(member):
    read = found(public_jwk(OTHER, "k2"), {**GOOD, member: "AQAB"})
    assert (True, ()) == (read.is_exposed, read.keys)


@pytest.mark.parametrize(
    "more",
    [
        {"private_keys": [PRIVATE]},
        {"private": PRIVATE},
        {"old": {"sets": [{"keys": [GOOD, PRIVATE]}]}},
        {"keys": [{**public_jwk(OTHER, "k2"), "pair": PRIVATE}]},
    ],
)
def test_a_private_key_anywhere_else_in_the_document_counts_too(more):
    read = found(public_jwk(OTHER, "k2"), **more)
    assert (True, ()) == (read.is_exposed, read.keys)
    assert [PAIRS["EC"].thumbprint()] == [each.thumbprint for each in read.exposed]


def rewritten(name: str, write: Callable[[bytes], bytes], pair: Key) -> dict[str, Any]:
    jwk = public_jwk(pair)
    text = base64.urlsafe_b64encode(write(decoded(jwk[name])))
    return {**jwk, name: text.rstrip(b"=").decode()}


OTHERWISE = {
    "EC": rewritten("x", lambda x: bytes(3) + x, PAIRS["EC"]),
    "EC of few digits": rewritten("x", lambda x: x[1:], SHORT),
    "RSA": rewritten("n", lambda n: bytes(1) + n, PAIRS["RSA"]),
    "RSA, its exponent": rewritten("e", lambda e: bytes(2) + e, PAIRS["RSA"]),
    "padded": {**GOOD, "y": GOOD["y"] + "="},
}


@pytest.mark.parametrize("how", OTHERWISE)
def test_a_key_written_in_another_way_has_the_same_thumbprint(how):
    pair = SHORT if "few" in how else PAIRS[how[:3].strip() if how != "padded" else "EC"]
    (key,) = found(OTHERWISE[how]).keys
    assert (pair.thumbprint(), public_jwk(pair)) == (
        key.thumbprint,
        json.loads(key.jwk) | {"kid": "k1"},
    )
    exposed = found({**OTHERWISE[how], "d": "AQAB"}).exposed
    assert [pair.thumbprint()] == [each.thumbprint for each in exposed]


P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
P25519 = 2**255 - 19
BEYOND = {
    "EC": rewritten(
        "x", lambda x: (int.from_bytes(x, "big") + P256).to_bytes(33, "big"), PAIRS["EC"]
    ),
    "OKP": rewritten("x", lambda x: x[:31] + bytes([x[31] | 0x80]), PAIRS["OKP"]),
    "OKP, cut short": rewritten("x", lambda x: x[:31], PAIRS["OKP"]),
    "OKP, too long": rewritten("x", lambda x: x + bytes(1), PAIRS["OKP"]),
    "RSA, even": rewritten("n", lambda n: n[:-1] + bytes([n[-1] & 0xFE]), PAIRS["RSA"]),
}


@pytest.mark.parametrize("how", BEYOND)
def test_a_key_that_has_a_second_reading_or_none_is_left_out(how):
    read = found(BEYOND[how])
    assert ((), 1) == (read.keys, len(read.refused))


SMALL_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P25519 - 1,
    P25519,
    P25519 + 1,
]


@pytest.mark.parametrize("u", [u | high for u in SMALL_ORDER for high in (0, 1 << 255)])
def test_no_point_of_small_order_is_taken_in_any_writing(u):
    read = found(rewritten("x", lambda _: u.to_bytes(32, "little"), PAIRS["OKP"]))
    assert ((), 1) == (read.keys, len(read.refused))


MALFORMED = {
    "nothing": b"",
    "no JSON": b"<html>",
    "a list": b"[]",
    "no keys": b"{}",
    "keys that are none": b'{"keys":{}}',
    "a key that is none": b'{"keys":[1]}',
    "a member twice": b'{"keys":[],"keys":[]}',
    "too deep": b'{"keys":[' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"]}",
    "not UTF-8": b'{"keys":[],"a":"\xff"}',
}


@pytest.mark.parametrize("how", MALFORMED)
def test_what_is_no_set_is_none(how):
    assert "key_set_malformed" == read_key_set(MALFORMED[how])


def test_a_set_has_at_most_twenty_keys():
    keys = [public_jwk(OTHER, f"k{number}") for number in range(21)]
    assert "key_set_too_many" == read_key_set(jwks(*keys))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", 900),
        ("max-age=1", 900),
        ("no-store", 900),
        ("public, max-age=3600", 3600),
        ('Max-Age="7200"', 7200),
        ("s-maxage=7200", 900),
        ("max-age=999999999", 86400),
        ("max-age=-5", 900),
    ],
)
def test_an_answer_is_relied_on_as_long_as_it_says_within_our_bounds(said, seconds):
    assert seconds == cache_seconds(said)


def seen(pair: Any, kid: str, first_us: int = 0, *, is_for_encryption: bool = True) -> SeenKey:
    jwk = json.dumps(pair.as_dict(private=False))
    return SeenKey(FoundKey(kid, pair.thumbprint(), jwk, is_for_encryption), first_us)


def known(*keys: SeenKey, url: str = URL) -> KeySetNow:
    return KeySetNow("acme", url, FOUND_US, keys)


def usable(key_set: KeySet, *keys: SeenKey, now_us: int = FOUND_US, **more: Any) -> list[str]:
    terms = {"clearance": Sensitivity.INTERNAL, **more}
    connector = builders.connector(key_set=key_set, **terms)
    listed = list_partner_keys((connector,), {"acme": known(*keys)}, now_us)
    return [each.kid for each in keys_of(connector, listed)]


PINNED = KeySet(url=URL, thumbprints=(OTHER.thumbprint(), PAIRS["EC"].thumbprint()))
FOLLOWED = KeySet(url=URL, mode=KeySetMode.FOLLOW)


def test_of_a_pinned_set_only_reviewed_keys_count_in_the_order_of_the_review():
    keys = [seen(PAIRS["EC"], "ec"), seen(PAIRS["OKP"], "okp"), seen(OTHER, "other")]
    assert ["other", "ec"] == usable(PINNED, *keys)
    assert ["ec"] == usable(PINNED, *keys[:2])
    assert [] == usable(PINNED, keys[1])


def test_of_a_followed_set_those_count_that_are_said_to_be_for_encryption():
    keys = [seen(PAIRS["EC"], "ec"), seen(OTHER, "other", is_for_encryption=False)]
    assert ["ec"] == usable(FOLLOWED, *keys)


@pytest.mark.parametrize(
    ("hours", "clearance", "waited"),
    [
        (None, Sensitivity.CONFIDENTIAL, 0),
        (None, Sensitivity.RESTRICTED, 24),
        (0, Sensitivity.RESTRICTED, 0),
        (6, Sensitivity.INTERNAL, 6),
    ],
)
def test_a_new_key_of_a_followed_set_waits(hours, clearance, waited):
    key_set = KeySet(url=URL, mode=KeySetMode.FOLLOW, hold_hours=hours)
    key, ripe_us = seen(OTHER, "new", FOUND_US), FOUND_US + waited * HOUR_US
    if waited:
        assert [] == usable(key_set, key, now_us=ripe_us - 1, clearance=clearance)
    assert ["new"] == usable(key_set, key, now_us=ripe_us, clearance=clearance)


def test_a_set_counts_for_a_while_though_it_cannot_be_fetched_and_no_longer():
    for key_set in (PINNED, FOLLOWED):
        assert ["k"] == usable(key_set, seen(OTHER, "k"), now_us=FOUND_US + STALE_US - 1)
        assert [] == usable(key_set, seen(OTHER, "k"), now_us=FOUND_US + STALE_US)


def test_a_set_that_was_found_elsewhere_does_not_count():
    connector = builders.connector(key_set=PINNED)
    elsewhere = {"acme": known(seen(OTHER, "k"), url="https://hooks.acme.example/old")}
    assert () == list_partner_keys((connector,), elsewhere, FOUND_US).letters["acme"]


def test_a_key_that_was_handed_over_does_not_count_once_its_private_half_was_published():
    pairs = {"k1": PAIRS["EC"], "k2": OTHER}
    keys = tuple(
        PartnerKey(kid=kid, jwk=json.dumps(pair.as_dict(private=False)))
        for kid, pair in pairs.items()
    )
    connector = builders.connector(keys=keys)
    assert keys == keys_of(connector, list_partner_keys((connector,), {}, FOUND_US))
    exposed = frozenset({PAIRS["EC"].thumbprint()})
    held = {"acme": replace(known(), exposed=exposed)}
    assert keys[1:] == keys_of(connector, list_partner_keys((connector,), held, FOUND_US))


def test_no_key_counts_of_a_partner_that_published_more_private_ones_than_are_remembered():
    lost = frozenset(f"print-{number}" for number in range(EXPOSED_MAX))
    handed = PartnerKey(kid="k1", jwk=json.dumps(OTHER.as_dict(private=False)))
    key_set = KeySet(url=URL, thumbprints=(OTHER.thumbprint(),))
    for connector in (builders.connector(keys=(handed,)), builders.connector(key_set=key_set)):
        held = {"acme": replace(known(seen(OTHER, "k")), exposed=lost - {"print-0"})}
        assert keys_of(connector, list_partner_keys((connector,), held, FOUND_US))
        held = {"acme": replace(known(seen(OTHER, "k")), exposed=lost)}
        assert () == keys_of(connector, list_partner_keys((connector,), held, FOUND_US))


def test_time_changes_what_counts_when_a_wait_ends_and_when_a_set_grows_old():
    key_set = KeySet(url=URL, mode=KeySetMode.FOLLOW, hold_hours=1)
    connector = builders.connector(key_set=key_set)
    held = {"acme": known(seen(OTHER, "k", FOUND_US))}
    ripe_us, stale_us = FOUND_US + HOUR_US, FOUND_US + STALE_US
    assert ripe_us == next_change_us((connector,), held, FOUND_US)
    assert stale_us == next_change_us((connector,), held, ripe_us)
    assert next_change_us((connector,), held, stale_us) is None


def test_a_named_key_is_that_one_or_none():
    keys = (PartnerKey(kid="a", jwk=""), PartnerKey(kid="b", jwk=""))
    assert keys[0] is choose_key(keys, "")
    assert keys[1] is choose_key(keys, "b")
    assert choose_key(keys, "c") is None
    assert choose_key((), "") is None


def test_a_set_that_lacks_what_is_wanted_is_looked_at_again_soon():
    assert is_short(FOLLOWED, frozenset(), None)
    assert is_short(FOLLOWED, frozenset(), known())
    assert not is_short(FOLLOWED, frozenset(), known(seen(OTHER, "k")))
    assert is_short(FOLLOWED, frozenset({"x"}), known(seen(OTHER, "k")))
    assert is_short(PINNED, frozenset(), known(seen(PAIRS["OKP"], "k")))
    assert not is_short(PINNED, frozenset(), known(seen(OTHER, "k")))


def compiled(*stops: str, partner_keys: Any = None, **more: Any) -> Snapshot:
    entry = Destination(host="hooks.acme.example", reason="orders")
    terms = {"destinations": (entry,), "key_set": PINNED, **more}
    held = builders.registry(
        connectors=(builders.connector(**terms),),
        subscriptions=(builders.subscription(encryption=Encryption.JWE),),
    )
    return compile_snapshot(
        held,
        revision=builders.snapshot().revision,
        epoch=builders.snapshot().epoch,
        switches=tuple(builders.switch(each) for each in stops),
        proofs=builders.proofs_of(held),
        today=builders.TODAY,
        loopback=builders.NO_LOOPBACK,
        partner_keys=partner_keys,
    )


def test_a_lane_without_a_key_to_encrypt_to_is_closed_and_opens_with_it():
    closed = compiled(partner_keys=PartnerKeys({"acme": ()}))
    (refusal,) = closed.closed.values()
    assert ((Reason.ENCRYPTION_KEY_MISSING,), True) == (refusal.reasons, refusal.is_hold)
    key = PartnerKey(kid="k", jwk=json.dumps(OTHER.as_dict(private=False)))
    opened = compiled(partner_keys=PartnerKeys({"acme": (key,)}))
    assert {} == opened.closed
    assert key == opened.routes["acme-orders"].letter_key


def test_a_lane_with_a_field_that_leaves_encrypted_alone_is_closed_and_opens_with_encryption():
    schema = builders.record(id=builders.leaf(), iban=builders.leaf(level="restricted"))
    scope = {"order.paid": ("$.id", "$.iban")}
    papers = {
        "clearance": Sensitivity.RESTRICTED,
        "assessment": Assessment(reference="PIA-1", until=builders.FAR, covers=("*",)),
        "keys": (PartnerKey(kid="k", jwk=json.dumps(OTHER.as_dict(private=False))),),
    }

    def closed(policy: Policy | None = None, **more: Any) -> list[tuple[Reason, ...]]:
        held = builders.registry(
            event_types=(builders.event_type(schema=schema),),
            connectors=(builders.connector(**papers),),
            subscriptions=(builders.subscription(**{"scope": scope} | more),),
            policy=policy or Policy(),
        )
        return [each.reasons for each in builders.snapshot(held).closed.values()]

    assert [(Reason.ENCRYPTION_REQUIRED,)] == closed()
    assert [(Reason.ENCRYPTION_REQUIRED,)] == closed(style=Style.THIN)
    assert [] == closed(encryption=Encryption.JWE)
    assert [] == closed(Policy(encrypt_from="never"))
    assert [] == closed(scope={"order.paid": ("$.id", "$.iban mask(last=4)")})
    assert [] == closed(scope={"order.paid": ("$.id", "$.iban encrypt(k)")})


@pytest.mark.parametrize("key_set", [None, PINNED])
def test_a_lane_whose_fields_are_encrypted_to_a_key_that_was_exposed_is_closed_as_for_letters(
    key_set: KeySet | None,
):
    pairs = {"k1": PAIRS["EC"], "k2": OTHER}
    keys = tuple(
        PartnerKey(kid=kid, jwk=json.dumps(pair.as_dict(private=False)))
        for kid, pair in pairs.items()
    )
    entry = Destination(host="hooks.acme.example", reason="orders")
    connector = builders.connector(destinations=(entry,), keys=keys, key_set=key_set)
    known_now = replace(known(seen(OTHER, "k2")), exposed=frozenset({PAIRS["EC"].thumbprint()}))

    def judged(scope: str, held: dict[str, KeySetNow]) -> tuple[list[Any], Snapshot]:
        subscription = builders.subscription(scope={"order.paid": (scope,)})
        registry = builders.registry(connectors=(connector,), subscriptions=(subscription,))
        snapshot = compile_snapshot(
            registry,
            revision=builders.snapshot().revision,
            epoch=builders.snapshot().epoch,
            switches=(),
            proofs=builders.proofs_of(registry),
            today=builders.TODAY,
            loopback=builders.NO_LOOPBACK,
            partner_keys=list_partner_keys((connector,), held, FOUND_US),
        )
        return [each.reasons for each in snapshot.closed.values()], snapshot

    exposed = {"acme": known_now}
    assert [] == judged("$.id encrypt(k1)", {"acme": replace(known_now, exposed=frozenset())})[0]
    closed, snapshot = judged("$.id encrypt(k1)", exposed)
    assert [(Reason.ENCRYPTION_KEY_MISSING,)] == closed
    assert keys[1:] == snapshot.routes["acme-orders"].keys, "nothing that is left can use it"
    assert [] == judged("$.id encrypt(k2)", exposed)[0]
    assert [] == judged("$.id", exposed)[0]


STOPS = {
    "everything": (["everything"], Reason.SWITCH_ON),
    "the partner": (["connector:acme"], Reason.SWITCH_ON),
    "the host": (["host:hooks.acme.example"], Reason.SWITCH_ON),
}


@pytest.mark.parametrize("what", STOPS)
def test_a_switch_stops_fetching_keys_too(what):
    stops, reason = STOPS[what]
    free, stopped = compiled(), compiled(*stops)
    route = free.key_routes["acme"]
    assert may_fetch(route, free, now=1.0, policy_lease_ends=2.0) is None
    assert Stopped(reason) == may_fetch(route, stopped, now=1.0, policy_lease_ends=2.0)


def test_keys_are_not_fetched_from_where_nothing_may_be_sent():
    elsewhere = Destination(host="other.acme.example", reason="orders")
    for snapshot in (
        compiled(destinations=(elsewhere,)),
        compiled(destinations=(elsewhere,), report_only_until=builders.FAR),
    ):
        refusal = snapshot.key_routes["acme"].refusal
        assert refusal is not None
        assert (Reason.DESTINATION_UNLISTED,) == refusal.reasons


def test_keys_are_not_fetched_without_tls():
    plain = KeySet(url="http://hooks.acme.example/jwks.json", thumbprints=PINNED.thumbprints)
    entry = Destination(host="hooks.acme.example", reason="orders", scheme="http", port=80)
    assert {} == compiled(key_set=plain, destinations=(entry,)).key_routes


def test_nothing_is_fetched_under_a_policy_that_is_old_or_other():
    free = compiled()
    route = free.key_routes["acme"]
    late = may_fetch(route, free, now=2.0, policy_lease_ends=2.0)
    assert Stopped(Reason.POLICY_LEASE_EXPIRED) == late
    moved = compiled(key_set=KeySet(url=f"{URL}2", thumbprints=PINNED.thumbprints))
    told = may_fetch(route, moved, now=1.0, policy_lease_ends=2.0)
    assert Stopped(Reason.POLICY_CHANGED) == told
