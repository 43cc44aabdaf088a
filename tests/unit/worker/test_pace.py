"""The pace of one subscription: its rate, and the rest of a destination that ails (rule P7)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.stages.settling.outcome import Health
from dispatcher.worker.pace import Pace


def fail(pace, now=0.0, rest_after=3, rest_seconds=30.0):
    return pace.note(Health.AILING, now=now, rest_after=rest_after, rest_seconds=rest_seconds)


def mend(pace, now=0.0):
    return pace.note(Health.WELL, now=now, rest_after=3, rest_seconds=30.0)


def test_p7_failures_in_a_row_begin_a_rest_and_a_success_between_them_does_not():
    pace = Pace()
    assert [fail(pace), fail(pace), mend(pace), fail(pace), fail(pace)] == [False] * 5
    assert pace.room(None, 0, 1.0) is None
    assert fail(pace, now=10.0)
    assert (pace.rests_until, pace.room(None, 0, 39.9)) == (40.0, 0)


def test_p7_after_a_rest_one_is_tried_and_a_failure_rests_twice_as_long():
    pace = Pace()
    assert [fail(pace) for _ in range(3)] == [False, False, True]
    assert [pace.room(None, taken, 31.0) for taken in (0, 1, 5)] == [1, 0, 0]
    assert fail(pace, now=31.0)
    assert pace.rests_until == 91.0
    assert not mend(pace, now=92.0)
    assert pace.room(None, 0, 92.0) is None
    assert [fail(pace, now=93.0) for _ in range(3)] == [False, False, True]
    assert pace.rests_until == 123.0


def test_p7_a_rest_has_an_end_and_what_comes_back_late_does_not_prolong_it():
    pace = Pace()
    now = 0.0
    for _ in range(40):
        while not fail(pace, now=now):
            pass
        assert pace.rests_until - now <= 600
        until = pace.rests_until
        assert not fail(pace, now=now + 0.1)
        assert pace.rests_until == until
        now = until


def test_p7_no_number_of_failures_begins_a_rest_where_there_is_to_be_none():
    pace = Pace()
    assert not any(fail(pace, rest_after=0) for _ in range(1000))


@given(st.floats(0.01, 1000), st.lists(st.floats(0, 5), min_size=2, max_size=50))
def test_p7_turns_are_never_closer_than_the_rate(rate, pauses):
    pace, now, turns = Pace(), 0.0, []
    for pause in pauses:
        now += pause
        turns.append(now + pace.wait(rate, now, 1e9))
    assert all(later - earlier >= 1 / rate - 1e-6 for earlier, later in pairwise(turns))


def test_p7_a_slow_subscription_has_no_more_leased_than_it_begins_soon():
    pace = Pace()
    assert (pace.room(10.0, 0, 0.0), pace.room(10.0, 50, 0.0), pace.room(0.1, 0, 0.0)) == (50, 0, 1)


def test_p7_a_slow_success_neither_begins_a_rest_nor_ends_a_row_of_failures_but_ends_a_rest():
    pace = Pace()
    slow = [pace.note(Health.SLOW, now=0.0, rest_after=3, rest_seconds=30.0) for _ in range(1000)]
    assert not any(slow)
    assert [fail(pace), fail(pace)] == [False, False]
    pace.note(Health.SLOW, now=0.0, rest_after=3, rest_seconds=30.0)
    assert fail(pace)
    pace.note(Health.SLOW, now=31.0, rest_after=3, rest_seconds=30.0)
    assert pace.room(None, 5, 31.0) is None


def test_p7_a_turn_that_nobody_waits_for_is_not_taken():
    pace = Pace()
    assert pace.wait(0.1, 0.0, 5.0) == 0.0
    assert [pace.wait(0.1, 0.0, 5.0) for _ in range(100)] == [None] * 100
    assert pace.wait(0.1, 0.0, 15.0) == 10.0
