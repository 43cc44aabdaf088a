"""What a reviewer is shown of encryption, and what is wrong with how it is written down."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.model.classification import Sensitivity
from dispatcher.model.disclosure import Direction
from dispatcher.model.key_set import KeySet, KeySetMode
from dispatcher.model.paper import Assessment
from dispatcher.model.registry import Encryption, Policy, Registry
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.faults import find_faults
from tests.support.opening import OTHER, PAIRS, partner_key
from tests.unit.stages import builders

URL = "https://hooks.acme.example/jwks.json"
ONE, TWO = OTHER.thumbprint(), PAIRS["EC"].thumbprint()
PINNED = KeySet(url=URL, thumbprints=(ONE, TWO))
FOLLOWED = KeySet(url=URL, mode=KeySetMode.FOLLOW)
K1, K2 = partner_key(PAIRS["EC"], "k1"), partner_key(OTHER, "k2")


def held(
    wanted: dict[str, Any] | None = None, policy: Policy | None = None, **partner: Any
) -> Registry:
    """A registry that encrypts to acme, but for what is given."""
    terms = {"encryption": Encryption.JWE} | (wanted or {})
    return builders.registry(
        connectors=(builders.connector(**partner),),
        subscriptions=(builders.subscription(**terms),),
        policy=policy or Policy(),
    )


CLEAR = {"encryption": Encryption.NONE}
STEPS = {
    "encryption is dropped": (held(keys=(K1,)), held(CLEAR, keys=(K1,))),
    "another key goes first": (held(keys=(K1, K2)), held(keys=(K2, K1))),
    "another key is named": (
        held({"encryption_kid": "k1"}, keys=(K1, K2)),
        held({"encryption_kid": "k2"}, keys=(K1, K2)),
    ),
    "another published key is named": (
        held({"encryption_kid": "k1"}, key_set=FOLLOWED),
        held({"encryption_kid": "k2"}, key_set=FOLLOWED),
    ),
    "the first key": (held(), held(keys=(K1,))),
    "a key more": (held(keys=(K1,)), held(keys=(K1, K2))),
    "a published set": (held(CLEAR), held(CLEAR, key_set=PINNED)),
    "a set instead of keys": (held(keys=(K1,)), held(keys=(K1,), key_set=PINNED)),
    "keys instead of a set": (held(keys=(K1,), key_set=PINNED), held(keys=(K1,))),
    "another place": (held(key_set=PINNED), held(key_set=replace(PINNED, url=f"{URL}2"))),
    "a pinned set is followed": (held(key_set=PINNED), held(key_set=FOLLOWED)),
    "keys of a followed set are pinned, and need not wait": (
        held(key_set=FOLLOWED),
        held(key_set=PINNED),
    ),
    "a thumbprint more": (
        held(key_set=replace(PINNED, thumbprints=(ONE,))),
        held(key_set=PINNED),
    ),
    "another thumbprint goes first": (
        held(key_set=PINNED),
        held(key_set=replace(PINNED, thumbprints=(TWO, ONE))),
    ),
    "new keys wait less": (
        held(key_set=replace(FOLLOWED, hold_hours=5)),
        held(key_set=replace(FOLLOWED, hold_hours=4)),
    ),
    "new keys wait less for a lower clearance": (
        held(key_set=FOLLOWED, clearance=Sensitivity.RESTRICTED),
        held(key_set=FOLLOWED, clearance=Sensitivity.INTERNAL),
    ),
    "fewer classes leave encrypted alone": (
        held(policy=Policy(encrypt_from="internal")),
        held(policy=Policy(encrypt_from="confidential")),
    ),
    "no class leaves encrypted alone": (held(), held(policy=Policy(encrypt_from="never"))),
}
BACK = (
    "encryption is dropped",
    "the first key",
    "a key more",
    "a published set",
    "a thumbprint more",
    "new keys wait less",
    "new keys wait less for a lower clearance",
    "fewer classes leave encrypted alone",
    "no class leaves encrypted alone",
)


def direction(old: Registry, new: Registry) -> Direction:
    return diff(old, new, builders.TODAY, builders.NO_LOOPBACK).direction


@pytest.mark.parametrize("step", STEPS)
def test_what_others_may_read_after_it_widens(step):
    assert Direction.WIDENS is direction(*STEPS[step])


@pytest.mark.parametrize("step", BACK)
def test_the_step_back_narrows(step):
    less, more = STEPS[step]
    assert Direction.NARROWS is direction(more, less)


def test_to_encrypt_what_could_not_leave_in_clear_lets_it_flow_and_widens():
    schema = builders.record(iban=builders.leaf(level="restricted"))

    def sending(**wanted: Any) -> Registry:
        return builders.registry(
            event_types=(builders.event_type(schema=schema),),
            connectors=(
                builders.connector(
                    keys=(K1,),
                    clearance=Sensitivity.RESTRICTED,
                    assessment=Assessment(reference="PIA-1", until=builders.FAR, covers=("*",)),
                ),
            ),
            subscriptions=(builders.subscription(scope={"order.paid": ("$.iban",)}, **wanted),),
        )

    clear, encrypted = sending(), sending(encryption=Encryption.JWE)
    assert Direction.WIDENS is direction(clear, encrypted)
    told = diff(builders.registry(), clear, builders.TODAY, builders.NO_LOOPBACK).changes
    assert "order.paid: closed, for $.iban may only leave encrypted" in [e.what for e in told]
    keyless = replace(
        encrypted, connectors=tuple(replace(e, keys=()) for e in encrypted.connectors)
    )
    told = diff(encrypted, keyless, builders.TODAY, builders.NO_LOOPBACK).changes
    what = "order.paid: closed, for acme has no key that letters may be encrypted to now"
    assert what in [each.what for each in told]


FAULTS = {
    "plain http": (
        {"key_set": replace(PINNED, url="http://hooks.acme.example/jwks.json")},
        "key_set url",
    ),
    "no URL": ({"key_set": replace(PINNED, url="hooks.acme.example")}, "key_set url"),
    "a place that nothing lists": (
        {"key_set": replace(PINNED, url="https://keys.acme.example/jwks.json")},
        "key_set url",
    ),
    "no thumbprint": ({"key_set": replace(PINNED, thumbprints=())}, "key_set thumbprints"),
    "a thumbprint that is none": (
        {"key_set": replace(PINNED, thumbprints=("abc",))},
        "key_set thumbprints",
    ),
    "a thumbprint twice": (
        {"key_set": replace(PINNED, thumbprints=(ONE, ONE))},
        "key_set thumbprints",
    ),
    "thumbprints of a followed set": (
        {"key_set": replace(FOLLOWED, thumbprints=(ONE,))},
        "key_set thumbprints",
    ),
    "a wait for pinned keys": ({"key_set": replace(PINNED, hold_hours=1)}, "key_set hold_hours"),
    "a wait too long": ({"key_set": replace(FOLLOWED, hold_hours=721)}, "key_set hold_hours"),
    "a key of small order": (
        {"keys": (replace(K1, jwk=json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43})),)},
        "keys 'k1'",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_source_of_keys_that_cannot_be_is_a_fault(what):
    partner, where = FAULTS[what]
    assert [f"connector 'acme': {where}"] == [e.where for e in find_faults(held(**partner))]


@pytest.mark.parametrize("key_set", [PINNED, FOLLOWED, replace(FOLLOWED, hold_hours=0)])
def test_a_good_source_of_keys_is_none(key_set):
    assert () == find_faults(held(key_set=key_set))


def test_a_named_key_must_be_there_and_used():
    where = ["subscription 'acme-orders': encryption_kid"]
    named = {"encryption_kid": "k1"}
    assert () == find_faults(held(named, keys=(K1,)))
    assert () == find_faults(held(named, key_set=FOLLOWED))
    for wrong in (held(named, keys=(K2,)), held(named | CLEAR, keys=(K1,))):
        assert where == [each.where for each in find_faults(wrong)]
