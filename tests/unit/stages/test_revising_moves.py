"""Where a connector may go from where it stood, and what it needs to get there."""

from datetime import timedelta

import pytest

from dispatcher.model.paper import Agreement, Assessment, ConnectorState
from dispatcher.model.registry import Destination, Policy
from dispatcher.stages.revising.moves import find_wrong_moves
from tests.unit.stages import builders
from tests.unit.stages.builders import TODAY, connector

DRAFT, ACTIVE, RETIRED = ConnectorState
ENDED = TODAY - timedelta(days=1)


def held(*connectors, **more):
    return builders.registry(connectors=connectors, **more)


def wrong(stood, state, **more):
    old = held(*([connector(state=stood)] if stood else []))
    return find_wrong_moves(old, held(connector(state=state, **more)), TODAY)


@pytest.mark.parametrize("state", list(ConnectorState))
@pytest.mark.parametrize("stood", [None, *ConnectorState])
def test_only_the_drawn_steps_may_be_taken(stood, state):
    drawn = {
        (None, DRAFT), (None, ACTIVE), (DRAFT, ACTIVE), (DRAFT, RETIRED), (ACTIVE, DRAFT),
        (ACTIVE, RETIRED),
    }  # fmt: skip
    is_allowed = stood is state or (stood, state) in drawn
    assert is_allowed == (wrong(stood, state) == ())


@pytest.mark.parametrize("stood", [None, DRAFT])
@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"owner": " "}, "owner"),
        ({"contact": ""}, "contact"),
        ({"owner_confirmed_until": None}, "owner_confirmed_until"),
        ({"owner_confirmed_until": ENDED}, "owner_confirmed_until"),
        ({"agreement": Agreement(reference="A-1", until=ENDED)}, "agreement.until"),
        (
            {"assessment": Assessment(reference="P-1", until=ENDED, covers=("*",))},
            "assessment.until",
        ),
        ({"destinations": ()}, "destinations"),
        ({"destinations": (Destination(host="a.b", reason="x", expires=ENDED),)}, "destinations"),
    ],
)
def test_a_step_to_active_lists_the_checks_it_has_not_met(stood, change, key):
    (fault,) = wrong(stood, ACTIVE, **change)
    assert fault.where == "connector 'acme': state"
    assert fault.why.startswith("not ready to be active: ")
    assert fault.fix.startswith(f"set {key}, or")


def test_all_unmet_checks_are_listed_together():
    assert len(wrong(None, ACTIVE, owner="", contact="", destinations=())) == 3


def test_an_active_partner_whose_paper_ends_takes_no_step():
    assert wrong(ACTIVE, ACTIVE, owner_confirmed_until=ENDED, destinations=()) == ()


def test_a_host_that_was_revoked_makes_nobody_ready():
    policy = Policy(revoked_hosts=("hooks.acme.example",))
    (fault,) = find_wrong_moves(held(), held(connector(), policy=policy), TODAY)
    assert "reached nowhere" in fault.why


def test_a_retired_partner_stays_listed_so_that_nobody_takes_its_name():
    (fault,) = find_wrong_moves(held(connector(state=RETIRED)), held(), TODAY)
    assert fault.where == "connector 'acme': state"
    assert "retired" in fault.fix
    for state in (DRAFT, ACTIVE):
        assert find_wrong_moves(held(connector(state=state)), held(), TODAY) == ()


OTHER = builders.record(id=builders.leaf())


def moved(was, now):
    old, new = (
        builders.registry(event_types=(builders.event_type(**given),)) for given in (was, now)
    )
    return find_wrong_moves(old, new, TODAY)


def test_another_schema_under_the_same_version_is_refused():
    (fault,) = moved({"version": 3}, {"version": 3, "schema": OTHER})
    assert fault.where == "event type 'order.paid': version"
    assert fault.fix == "raise it: version = 4"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ({}, {"version": 2, "schema": OTHER}),
        ({"version": 2, "schema": OTHER}, {"version": 1}),
        ({}, {"version": 2}),
        ({}, {"payload_bytes_max": 5}),
        ({"name": "order.sent"}, {"name": "order.paid", "schema": OTHER}),
    ],
    ids=["a raised version", "back to an older one", "the same schema", "another limit", "new"],
)
def test_a_schema_may_change_with_its_version_either_way(was, now):
    assert moved(was, now) == ()
