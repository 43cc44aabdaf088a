"""How one turn of a delivery ends."""

import pytest

from dispatcher.model.delivery import Move, Outcome
from dispatcher.model.letter import Answer, Stopped, Trouble
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Reason, hold, refuse
from dispatcher.stages.settling.backoff import read_retry_after
from dispatcher.stages.settling.outcome import Health, health_of
from dispatcher.stages.settling.settle import HOLD_PAUSE_US, LEASE_PAUSE_US, set_aside, settle
from tests.unit.stages import builders

SCHEDULE = (10.0, 100.0)
USED = Scope.of(())
DAY_US = 86_400_000_000
MOMENT_US = 784_111_777_000_000  # Sun, 06 Nov 1994 08:49:37 GMT


def end(result, failures=0, chance=0.5):
    return settle(builders.leased(failures=failures), USED, result, SCHEDULE, chance, MOMENT_US)


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_is_delivered_and_spends_no_retry(status):
    done = end(Answer(status), failures=1)
    assert (Move.DELIVERED, Outcome.DELIVERED, status, 1, USED.id) == (
        done.move,
        done.outcome,
        done.status,
        done.failures,
        done.scope,
    )


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 408, 425, 429, 500, 503, 599])
def test_any_other_answer_is_tried_again_and_spends_a_retry(status):
    done = end(Answer(status))
    assert (Move.AGAIN, Outcome.ANSWERED, f"http_{status}", 1, USED.id) == (
        done.move,
        done.outcome,
        done.code,
        done.failures,
        done.scope,
    )


def test_a_gone_endpoint_parks_the_delivery_and_says_so():
    done = end(Answer(410))
    assert (Move.PARK, Outcome.ANSWERED, "endpoint_gone", True) == (
        done.move,
        done.outcome,
        done.code,
        done.is_endpoint_gone,
    )


@pytest.mark.parametrize("result", [Answer(503), Answer(404), Trouble("reset", is_begun=True)])
def test_after_as_many_retries_as_the_schedule_has_waits_we_give_up(result):
    moves = [end(result, failures).move for failures in range(3)]
    assert [Move.AGAIN, Move.AGAIN, Move.GIVE_UP] == moves


@pytest.mark.parametrize(
    ("is_begun", "outcome", "scope"),
    [(True, Outcome.UNKNOWN, USED.id), (False, Outcome.UNREACHABLE, None)],
)
def test_trouble_is_possibly_disclosed_only_once_begun(is_begun, outcome, scope):
    done = end(Trouble("timeout", is_begun=is_begun))
    assert (outcome, scope, "timeout", None) == (
        done.outcome,
        done.scope,
        done.code,
        done.status,
    )


@pytest.mark.parametrize(
    ("reason", "pause_us"),
    [
        (Reason.SWITCH_ON, 0),
        (Reason.POLICY_CHANGED, 0),
        (Reason.DRAINING, 0),
        (Reason.POLICY_LEASE_EXPIRED, LEASE_PAUSE_US),
        (Reason.DELIVERY_LEASE_SHORT, LEASE_PAUSE_US),
    ],
)
def test_a_stopped_letter_waits_and_spends_no_retry(reason, pause_us):
    done = end(Stopped(reason), failures=2)
    assert (Move.NOT_BEGUN, Outcome.NOT_BEGUN, reason, 2, pause_us, None) == (
        done.move,
        done.outcome,
        done.code,
        done.failures,
        done.delay_us,
        done.scope,
    )


def test_a_missing_signing_key_parks_the_delivery():
    done = end(Stopped(Reason.SIGNING_KEY_MISSING))
    assert (Move.PARK, Outcome.NOT_BEGUN) == (done.move, done.outcome)


def test_a_refusal_parks_with_all_its_codes_and_no_ledger_outcome():
    done = end(refuse(Reason.TENANT_NOT_SERVED, Reason.PAYLOAD_GONE))
    assert (Move.PARK, None, "tenant_not_served,payload_gone") == (
        done.move,
        done.outcome,
        done.code,
    )


def test_a_hold_leaves_the_delivery_waiting_with_no_ledger_outcome():
    done = end(hold(Reason.SWITCH_ON), failures=1)
    assert (Move.NOT_BEGUN, None, 1, HOLD_PAUSE_US) == (
        done.move,
        done.outcome,
        done.failures,
        done.delay_us,
    )


def test_the_wait_is_drawn_from_the_step_of_the_schedule():
    assert [5_000_000, 50_000_000] == [end(Answer(500), failures).delay_us for failures in (0, 1)]
    assert 0 == end(Answer(500), chance=0.0).delay_us


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_retry_after_raises_the_wait_where_it_has_a_meaning(status):
    assert 60_000_000 == end(Answer(status, "60")).delay_us


@pytest.mark.parametrize("status", [302, 400, 404])
def test_retry_after_means_nothing_on_other_answers(status):
    assert 5_000_000 == end(Answer(status, "60")).delay_us


def test_retry_after_never_lowers_the_wait():
    assert 5_000_000 == end(Answer(503, "1")).delay_us


@pytest.mark.parametrize(
    ("text", "expected_us"),
    [
        ("0", 0),
        ("120", 120_000_000),
        (" 120\t", 120_000_000),
        ("86400", DAY_US),
        ("86401", DAY_US),
        ("9" * 64, DAY_US),
        ("9" * 5000, 0),
        ("-5", 0),
        ("+5", 0),
        ("1.5", 0),
        ("1_0", 0),
        ("1e3", 0),
        ("٣", 0),
        ("", 0),
        ("soon", 0),
        ("12\n", 0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60_000_000),
        ("Sun, 06 Nov 1994 08:48:37 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY_US),
        ("Sun, 31 Feb 1995 08:50:37 GMT", 0),
        ("Sun, 06 Nov 0000 08:50:37 GMT", 0),
        ("Sun, 06 Nov 1995 25:61:61 GMT", 0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0),
    ],
)
def test_retry_after_is_read_narrowly_and_bounded_to_a_day(text, expected_us):
    assert expected_us == read_retry_after(text, MOMENT_US)


def test_what_a_fault_of_ours_stopped_is_parked_and_not_said_to_have_stayed_here():
    done = set_aside(builders.leased())
    assert (Move.PARK, Outcome.UNKNOWN, "internal_fault") == (done.move, done.outcome, done.code)


@pytest.mark.parametrize(
    ("result", "seconds", "health"),
    [
        (Answer(200), 1.0, Health.WELL),
        (Answer(200), 7.6, Health.SLOW),
        (Answer(404), 1.0, Health.WELL),
        (Answer(429), 1.0, Health.AILING),
        (Answer(503), 1.0, Health.AILING),
        (Trouble("connect_refused", is_begun=False), 0.0, Health.AILING),
        (Trouble("source_missing", is_begun=False), 0.0, Health.UNSAID),
        (Trouble("proxy_unreachable", is_begun=False), 0.0, Health.UNSAID),
    ],
)
def test_p7_failures_and_pleas_for_patience_count_against_a_destination_and_our_own_do_not(
    result, seconds, health
):
    assert health_of(result, seconds, 15.0) is health
