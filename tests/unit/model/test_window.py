"""Windows lie edge to edge, and every event has exactly one that is open when it is taken up."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.window import GRACE_US, Window, window_for

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US


def test_windows_are_aligned_to_the_epoch():
    assert Window.at(7 * HOUR_US + 1, 3600) == Window(7 * HOUR_US, 8 * HOUR_US)
    assert Window.at(7 * HOUR_US, 3600) == Window(7 * HOUR_US, 8 * HOUR_US)
    assert Window.at(7 * HOUR_US - 1, 3600) == Window(6 * HOUR_US, 7 * HOUR_US)


def test_an_event_counts_in_the_window_it_was_enqueued_in_for_a_grace_after_its_end():
    enqueued, end = 90 * SECOND_US, 120 * SECOND_US
    for now in (enqueued, end - 1, end, end + GRACE_US - 1):
        assert window_for(enqueued, now, 60) == Window(60 * SECOND_US, end)


def test_one_that_comes_later_counts_in_the_window_that_is_open_now():
    assert window_for(90 * SECOND_US, 125 * SECOND_US, 60) == Window(end_of(2), end_of(3))
    assert window_for(90 * SECOND_US, 10_000 * SECOND_US, 60) == Window.at(10_000 * SECOND_US, 60)


def test_a_moment_to_come_makes_no_window_to_come():
    assert window_for(10**18, 90 * SECOND_US, 60) == Window(60 * SECOND_US, 120 * SECOND_US)


def end_of(minute: int) -> int:
    return 60 * minute * SECOND_US


moments = st.integers(min_value=-(10**15), max_value=10**17)


@given(moments, moments, st.integers(min_value=60, max_value=86400))
def test_the_window_is_always_open_and_never_lies_ahead(enqueued: int, now: int, seconds: int):
    window = window_for(enqueued, now, seconds)
    assert window.start_us <= now < window.closes_us
    assert window.end_us - window.start_us == seconds * SECOND_US
    assert window.start_us % (seconds * SECOND_US) == 0
    assert window.following.start_us == window.end_us
    assert window.following == Window.at(window.end_us, seconds)
