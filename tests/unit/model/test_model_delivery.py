"""The life cycle as a table."""

from dispatcher.model.delivery import LIFE_CYCLE, Move, Outcome, State


def test_nothing_leads_out_of_a_final_state():
    assert {False} == {state.is_final for state, _ in LIFE_CYCLE}


def test_every_move_is_in_the_table():
    assert set(Move) == {move for _, move in LIFE_CYCLE}


def test_every_state_is_reached_from_waiting():
    reached = {State.WAITING}
    while new := {to for (at, _), to in LIFE_CYCLE.items() if at in reached} - reached:
        reached |= new
    assert set(State) == reached


def test_what_may_have_reached_the_partner_counts_as_disclosed():
    assert {Outcome.DELIVERED, Outcome.ANSWERED, Outcome.UNKNOWN} == {
        outcome for outcome in Outcome if outcome.is_disclosed
    }
