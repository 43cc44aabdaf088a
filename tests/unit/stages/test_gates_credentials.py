"""Stored headers go where they were entered for, and never beside another of the same name."""

from dataclasses import replace

import pytest

from dispatcher.model.credential import Credential, destination_of
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.keys import CompatSignature, CompatStyle
from dispatcher.stages.gates.credentials import find_unbound
from tests.unit.stages import builders

HELD = builders.subscription()
STORED = Credential(
    id="c1",
    subscription=HELD.name,
    header="X-Api-Key",
    destination=destination_of(parse_endpoint(HELD.url)),
    entered_by="ada",
    entered_us=1,
    approved_by="bob",
    approved_us=2,
)
TWICE = {
    "as it is": {"headers": {"X-Api-Key": "1"}},
    "in other letters": {"headers": {"x-api-key": "1"}},
    "as a gateway folds it": {"headers": {"X_Api_Key": "1"}},
    "as a signature": {
        "compat_signature": CompatSignature(header="x-api-key", style=CompatStyle.T_V1)
    },
}


def unbound(stored=STORED, **terms):
    return find_unbound(builders.registry(subscriptions=(replace(HELD, **terms),)), (stored,))


def test_a_header_that_is_for_this_place_alone_is_no_lack():
    assert frozenset() == unbound(headers={"X-Other": "1"})


def test_a_header_for_another_place_closes_the_lanes_unless_it_was_never_approved():
    assert {HELD.name} == unbound(replace(STORED, destination="https://old.acme.example:443/in"))
    assert frozenset() == unbound(
        replace(STORED, destination="https://x.example", approved_us=None)
    )


@pytest.mark.parametrize("how", TWICE)
def test_a_header_that_the_registry_has_too_closes_the_lanes(how):
    assert {HELD.name} == unbound(**TWICE[how])
