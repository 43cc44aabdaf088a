"""A summary agrees with whoever counts by hand, in any order; of a small group it is silent."""

import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatcher.model.disclosure import Direction
from dispatcher.model.event import Event
from dispatcher.model.letter import Shaped
from dispatcher.stages.revising.diff import diff
from tests.support.summaries import cleared, event, shaped, summary_of, summed
from tests.unit.stages.builders import NO_LOOPBACK, TODAY

GRANTS = ("$.total sum", "$.price sum", "$.status latest", "$.customer.name latest")
CANARY = "canary"
NUMBERS = (
    st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
)
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "total": st.none() | st.integers(-(10**30), 10**30) | st.text(max_size=2) | st.booleans(),
        "price": NUMBERS | st.none() | st.booleans(),
        "status": st.none() | st.sampled_from(["paid", "sent"]) | st.integers(),
        "customer": st.fixed_dictionaries({}, optional={"name": st.text(max_size=3)}) | st.none(),
    },
)
PEOPLE = st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)


@st.composite
def windows(draw: st.DrawFn) -> list[Event]:
    drawn = draw(st.lists(st.tuples(PAYLOADS, PEOPLE, st.integers(0, 3)), min_size=1, max_size=12))
    return [
        event(number, payload, *people, occurred_us=moment)
        for number, (payload, people, moment) in enumerate(drawn, start=1)
    ]


def fits(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if name == "total":
        return isinstance(value, int)
    return isinstance(value, int | float) if name == "price" else isinstance(value, str)


def naive(events: Sequence[Event], group_min: int) -> dict[str, Any]:
    """Do it by hand, from the documents alone."""
    if len({person for each in events for person in each.subjects}) < group_min:
        return {}
    found: dict[str, Any] = {"count": len(events)}
    for name in ("total", "price"):
        having = [(each, json.loads(each.payload or b"").get(name)) for each in events]
        having = [(each, value) for each, value in having if fits(name, value)]
        if len({person for each, _ in having for person in each.subjects}) >= group_min:
            found[name] = sum(Fraction(repr(value)) for _, value in having)
    said = [
        (each, json.loads(each.payload or b"")["status"])
        for each in events
        if "status" in json.loads(each.payload or b"")
    ]
    said = [(each, value) for each, value in said if isinstance(value, str | None)]
    if len({person for each, _ in said for person in each.subjects}) >= group_min:
        found["status"] = max(said, key=lambda pair: (pair[0].occurred_us, pair[0].seq))[1]
    return found


def heard(letter: Shaped) -> dict[str, Any]:
    data = json.loads(letter.plaintext, parse_float=Decimal)["data"]
    found = {"count": data["count"]} if "count" in data else {}
    found |= {name: Fraction(value) for name, value in data.get("sum", {}).items()}
    if "status" in data.get("latest", {}):
        found["status"] = data["latest"]["status"]
    return found


@given(windows(), st.integers(2, 5))
@settings(max_examples=300, deadline=None)
def test_counts_sums_and_latest_values_are_those_of_whoever_counts_by_hand(events, group_min):
    assert heard(shaped(events, *GRANTS, group_min=group_min)) == naive(events, group_min)


@given(windows().flatmap(lambda each: st.tuples(st.just(each), st.permutations(each))))
@settings(max_examples=200, deadline=None)
def test_the_order_of_arrival_changes_no_byte(pair):
    one, other = (shaped(each, *GRANTS, group_min=2) for each in pair)
    assert one.plaintext == other.plaintext
    assert (one.disclosed, one.subjects, one.dropped) == (
        other.disclosed,
        other.subjects,
        other.dropped,
    )


@given(windows(), st.integers(2, 8))
@settings(max_examples=200, deadline=None)
def test_below_the_group_nothing_but_the_window_is_on_the_wire(events, group_min):
    """Whatever the events hold and however many they are, the bytes are the same."""
    people = {person for each in events for person in each.subjects}
    letter = shaped(events, *GRANTS, group_min=group_min)
    data = json.loads(letter.plaintext)["data"]
    if len(people) < group_min:
        assert letter.plaintext == shaped([event(1, {})], *GRANTS, group_min=group_min).plaintext
        assert letter.disclosed == ()
        assert data.keys() == {"window", "suppressed"}
    assert {name for name in data if name not in ("window", "suppressed")} <= {
        "count",
        "sum",
        "latest",
    }


@given(windows(), st.integers(2, 6))
@settings(max_examples=200, deadline=None)
def test_what_too_few_people_say_changes_no_byte(events, group_min):
    """Fewer than a group say their names; the letter is as if none had."""
    named = [
        event(
            each.seq,
            {"customer": {"name": f"{CANARY}-{each.seq}"}},
            *each.subjects,
            occurred_us=each.occurred_us,
        )
        for each in events
    ]
    letter = shaped(named, "$.customer.name latest", group_min=group_min)
    people = {person for each in named for person in each.subjects}
    assert (CANARY.encode() in letter.plaintext) == (len(people) >= group_min)


REGISTRIES = st.builds(
    lambda grants, **more: summary_of(*grants, **more),
    st.lists(st.sampled_from(GRANTS), unique=True).map(tuple),
    group_min=st.integers(2, 5),
    window_seconds=st.sampled_from([60, 3600]),
)


def facts(letter: Shaped) -> set[str]:
    data = msgspec.json.decode(letter.plaintext)["data"]
    told = {("count", "", str(data["count"]))} if "count" in data else set()
    for kind in ("sum", "latest"):
        told |= {(kind, name, repr(value)) for name, value in data.get(kind, {}).items()}
    return told


@given(REGISTRIES, REGISTRIES, windows())
@settings(max_examples=200, deadline=None)
def test_whatever_lets_a_summary_tell_more_is_called_widening(old, new, events):
    if diff(old, new, TODAY, NO_LOOPBACK).direction is Direction.WIDENS:
        return
    was, now = (summed(events, cleared(each)) for each in (old, new))
    assert isinstance(was, Shaped)
    assert isinstance(now, Shaped)
    assert facts(now) <= facts(was)


@given(REGISTRIES, REGISTRIES, windows())
@settings(max_examples=200, deadline=None)
def test_a_window_tells_nothing_that_its_filing_or_today_forbids(filed, today, events):
    letter = summed(events, cleared(today, filed))
    assert isinstance(letter, Shaped)
    for held in (filed, today):
        alone = summed(events, cleared(held))
        assert isinstance(alone, Shaped)
        assert facts(letter) <= facts(alone)
