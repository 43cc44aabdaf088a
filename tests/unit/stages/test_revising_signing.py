"""How letters are signed, as the registry says it: what is wrong, and who may change it."""

import pytest

from dispatcher.control.documents import read_registry
from dispatcher.control.exporting import export_registry
from dispatcher.model.disclosure import Direction
from dispatcher.model.keys import CompatSignature, CompatStyle, SigningProfile
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.faults import find_faults
from tests.unit.stages import builders

COMPAT = CompatSignature(header="X-Acme-Signature", style=CompatStyle.T_V1)


def held(**more):
    return builders.registry(subscriptions=(builders.subscription(**more),))


def faults(header="X-Acme-Signature", **more):
    compat = CompatSignature(header=header, style=CompatStyle.SHA256)
    return [(each.where, each.why) for each in find_faults(held(compat_signature=compat, **more))]


@pytest.mark.parametrize("profile", [SigningProfile.V1, SigningProfile.V1_V1A])
def test_an_older_style_stands_beside_a_shared_secret(profile):
    assert [] == faults(signing=profile)


@pytest.mark.parametrize("profile", [SigningProfile.V1A, SigningProfile.RFC9421_ED25519])
def test_where_there_is_no_shared_secret_there_is_no_older_style(profile):
    ((where, why),) = faults(signing=profile)
    assert "compat_signature" in where
    assert str(profile) in why


@pytest.mark.parametrize("header", ["Webhook-Signature", "Host", "Signature", "X Bad", "content-x"])
def test_an_older_style_takes_no_header_that_means_something(header):
    assert [header] == [where.split("'")[-2] for where, _ in faults(header)]


def test_an_older_style_takes_no_header_that_the_subscription_sends_already():
    ((where, _),) = faults("X-Sig", headers={"x_sig": "1"})
    assert "X-Sig" in where


@pytest.mark.parametrize(
    "more",
    [
        {"signing": SigningProfile.V1A},
        {"compat_signature": COMPAT},
        {"compat_signature": CompatSignature(header="X-Other", style=CompatStyle.T_V1)},
    ],
)
def test_another_way_of_signing_takes_two_people_there_and_back(more):
    was, now = held(), held(**more)
    for old, new in ((was, now), (now, was)):
        changes = diff(old, new, builders.TODAY, frozenset()).changes
        (change,) = [each for each in changes if each.what.startswith("signed by")]
        assert Direction.WIDENS is change.direction


def test_a_style_without_protection_against_replay_is_said_to_be_one():
    told = {
        style: "played again"
        in str(diff(held(), held(compat_signature=compat), builders.TODAY, frozenset()).changes)
        for style, compat in (
            (style, CompatSignature(header="X-Sig", style=style)) for style in CompatStyle
        )
    }
    assert told == {CompatStyle.T_V1: False, CompatStyle.SHA256: True}


def test_the_way_of_signing_survives_export_and_reading(tmp_path):
    registry = held(signing=SigningProfile.V1_V1A, compat_signature=COMPAT)
    export_registry(registry, tmp_path / "files")
    assert registry.subscriptions == read_registry([tmp_path / "files"]).subscriptions
