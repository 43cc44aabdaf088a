"""What a partner is told of a window of events, and what not."""

from dataclasses import replace

import pytest

from dispatcher.model.event import Event
from dispatcher.model.leak import Detector, LeakAction, LeakRule
from dispatcher.model.letter import Admitted, Shaped
from dispatcher.model.path import format_path
from dispatcher.model.registry import Style, WireFormat
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.shaping.shape import shape
from tests.support.summaries import (
    cleared,
    event,
    of_people,
    shaped,
    summary_of,
    summed,
    told,
)
from tests.unit.stages.builders import TOKENS

TEN = of_people([{"total": n, "status": f"s{n}"} for n in range(1, 11)], 5)


def test_ten_events_in_a_window_are_one_letter_with_count_ten():
    assert shaped(TEN).plaintext == (
        b'{"id":"msg_1","type":"order.paid","timestamp":"2023-11-14T23:00:00.000000Z","data":'
        b'{"window":{"start":"2023-11-14T22:00:00.000000Z","end":"2023-11-14T23:00:00.000000Z"},'
        b'"suppressed":false,"count":10,"latest":{"status":"s10"},"sum":{"total":55}}}'
    )


def test_with_a_group_of_five_three_people_are_told_nothing_of():
    events = of_people([{"total": n, "status": "paid"} for n in range(10)], 3)
    letter = shaped(events, group_min=5)
    assert letter.plaintext.endswith(b'00.000000Z"},"suppressed":true}}')
    assert letter.disclosed == ()
    assert letter.subjects == ("person-0", "person-1", "person-2")
    assert told(events, group_min=3)["count"] == 10


def test_an_event_without_subjects_counts_and_makes_no_group_larger():
    nobody = [event(n, {"total": 1}) for n in range(20, 30)]
    assert told(nobody) == {"suppressed": True}
    assert told([*TEN, *nobody])["count"] == 20


def test_an_event_about_several_people_counts_all_of_them():
    assert told([event(1, {"total": 7}, *"abcde")], "$.total sum")["sum"] == {"total": 7}


def test_a_value_needs_a_group_of_its_own_behind_it():
    """Ten people in the window, and the total of four of them: it says nothing of that total."""
    events = [
        event(n, {"total": 100} if n <= 4 else {"status": "paid"}, f"p{n}") for n in range(1, 11)
    ]
    assert told(events) == {"suppressed": True, "count": 10, "latest": {"status": "paid"}}
    letter = shaped(events)
    assert [format_path(field.path) for field in letter.disclosed] == ["$.status"]


def test_a_value_of_nobody_looks_like_one_of_too_few():
    events = [event(n, {}, f"p{n}") for n in range(10)]
    assert told(events) == {"suppressed": True, "count": 10}


def test_without_a_grant_the_count_leaves_alone():
    letter = summed(TEN, cleared(summary_of()))
    assert isinstance(letter, Shaped)
    assert letter.plaintext.endswith(b'"suppressed":false,"count":10}}')


def test_what_is_summed_up_lies_where_it_lies_in_the_event():
    events = of_people([{"customer": {"age": 30, "name": "ada"}}] * 5, 5)
    assert told(events, "$.customer.age sum", "$.customer.name latest") == {
        "suppressed": False,
        "count": 5,
        "sum": {"customer": {"age": 150}},
        "latest": {"customer": {"name": "ada"}},
    }


def test_the_latest_is_what_happened_last_whenever_it_was_enqueued():
    events = [
        event(n, {"status": f"s{n}"}, f"p{n}", occurred_us=moment)
        for n, moment in enumerate([5, 9, 9, 1, 3])
    ]
    assert told(events, "$.status latest")["latest"] == {"status": "s2"}


def test_the_latest_event_that_says_nothing_of_it_leaves_it_as_it_was_and_null_is_said():
    said = [event(n, {"status": "paid"}, f"p{n}", occurred_us=n) for n in range(6)]
    silent = event(9, {}, "p9", occurred_us=9)
    assert told([*said, silent], "$.status latest")["latest"] == {"status": "paid"}
    null = event(10, {"status": None}, "p9", occurred_us=10)
    assert told([*said, silent, null], "$.status latest")["latest"] == {"status": None}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["0.1", "0.2", "0.3"], "0.6"),
        (["1e308", "5e-324", "-1e308"], "5E-324"),
        (["1.0", "2"], "3"),
        (["0.5", "0.5"], "1.0"),
        (["-0.0", "0"], "0"),
        (["1e22", "1"], "10000000000000000000001"),
        (["1e23", "0"], "100000000000000000000000"),
        (["18446744073709551616", "18446744073709551617"], "36893488147419103233"),
        (["9007199254740993", "0.5"], "9007199254740993.5"),
        (["9" * 4300, "1"], "1" + "0" * 4300),
        (["9" * 4300, "0.25"], "9" * 4300 + ".25"),
    ],
)
def test_a_sum_is_exact(values: list[str], text: str):
    events = [event(n, f'{{"price":{value}}}', *"abcde") for n, value in enumerate(values)]
    assert f'"sum":{{"price":{text}}}'.encode() in shaped(events, "$.price sum").plaintext


@pytest.mark.parametrize("wrong", ['"7"', "true", "[7]", '{"n":7}', "7.5"])
def test_a_value_of_another_type_is_left_out_and_noted(wrong: str):
    events = [*TEN, event(11, f'{{"total":{wrong},"status":"s11"}}', "p11")]
    letter = shaped(events)
    assert b'"latest":{"status":"s11"},"sum":{"total":55}' in letter.plaintext
    assert [format_path(field.path) for field in letter.dropped] == ["$.total"]


def test_null_adds_nothing_and_is_nothing_wrong():
    letter = shaped([*TEN, event(11, '{"total":null}', "p11")])
    assert b'"count":11,' in letter.plaintext
    assert b'"sum":{"total":55}' in letter.plaintext
    assert letter.dropped == ()


def test_null_is_no_contribution_of_a_person():
    events = [event(n, {"total": 1 if n < 4 else None}, f"p{n}") for n in range(10)]
    assert "sum" not in told(events, "$.total sum")


def test_as_a_cloud_event_the_summary_is_the_data():
    letter = shaped(TEN, format=WireFormat.CLOUDEVENTS)
    assert letter.content_type == "application/cloudevents+json"
    assert b'"time":"2023-11-14T23:00:00.000000Z","datacontenttype":"application/json","data":' in (
        letter.plaintext
    )
    assert b'"count":10' in letter.plaintext


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"subjects_max": 4}, Reason.TOO_MANY_SUBJECTS),
        ({"records_max": 9}, Reason.TOO_MANY_RECORDS),
        ({"body_bytes_max": 100}, Reason.BODY_TOO_LARGE),
    ],
)
def test_a_window_beyond_a_ceiling_is_refused_whole(more: dict[str, int], reason: Reason):
    refusal = summed(TEN, cleared(summary_of("$.total sum", **more)))
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == (reason,)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (event(11, "[1]", "p"), Reason.PAYLOAD_UNREADABLE),
        (event(11, "", "p"), Reason.PAYLOAD_UNREADABLE),
        (replace(event(11, "{}", "p"), payload=None), Reason.PAYLOAD_GONE),
        (event(11, "{}", "p", tenant="south"), Reason.TENANT_NOT_SERVED),
        (event(11, "{}", "p", type="order.refunded"), Reason.EVENT_UNREADABLE),
    ],
)
def test_an_event_that_may_not_be_summed_up_stops_the_letter(odd: Event, reason: Reason):
    refusal = summed([*TEN, odd], cleared(summary_of("$.total sum")))
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == (reason,)


def test_a_person_is_no_group_whatever_the_scope_says():
    """A scope of an older revision that asks for nobody still tells nothing about one."""
    one = of_people([{"total": 5}] * 3, 1)
    assert told(one, "$.total sum", group_min=1) == {"suppressed": True}


def test_a_window_filed_before_grants_changed_is_told_what_both_allow():
    was, now = summary_of("$.total sum", "$.status latest"), summary_of("$.total sum")
    for letter in (cleared(now, was), cleared(was, now)):
        found = summed(TEN, letter)
        assert isinstance(found, Shaped)
        assert found.plaintext.endswith(b'"count":10,"sum":{"total":55}}}')


def test_a_window_filed_before_the_group_changed_needs_the_larger_one():
    was, now = summary_of("$.total sum", group_min=3), summary_of("$.total sum", group_min=6)
    for letter in (cleared(now, was), cleared(was, now)):
        found = summed(TEN, letter)
        assert isinstance(found, Shaped)
        assert b'"suppressed":true}' in found.plaintext


@pytest.mark.parametrize("style", [Style.FULL, Style.THIN])
def test_a_window_filed_before_the_style_changed_tells_its_count_alone(style: Style):
    now = summary_of("$.total", '$.status const("x")', style=style)
    found = summed(TEN, cleared(now, summary_of("$.total sum", "$.status latest")))
    assert isinstance(found, Shaped)
    assert found.plaintext.endswith(b'"suppressed":false,"count":10}}')


def test_values_are_not_in_the_repr_of_what_was_summed_up():
    events = of_people([{"status": "canary"}] * 5, 5)
    letter = shaped(events, "$.status latest")
    assert b"canary" in letter.plaintext
    assert "canary" not in repr(letter)
    assert "person-1" not in repr(letter)


def test_a_letter_of_one_event_is_set_aside_where_summaries_alone_are_granted():
    """Filed before the subscription became a summary, or only asked for."""
    letter = Admitted(cleared=cleared(summary_of("$.total sum")), addresses=("8.8.8.8",))
    refusal = shape(letter, TOKENS)
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == (Reason.SUMMARY_ONLY,)


def test_the_leak_guard_looks_at_latest_values_and_masks_them_where_they_lie():
    held = summary_of("$.status latest", "$.total sum")
    events = of_people([{"status": f"ask ann{n}@people.example", "total": 1} for n in range(5)], 5)
    rule = LeakRule(detector=Detector.EMAIL, action=LeakAction.MASK)
    masking = replace(held, policy=replace(held.policy, leak_rules=(rule,)))
    letter = summed(events, cleared(masking))
    assert isinstance(letter, Shaped)
    assert b'"latest":{"status":"ask ***"},"sum":{"total":5}' in letter.plaintext
    assert [each.detector for each in letter.findings] == ["email"]


def test_a_leak_parks_the_letter_and_what_is_suppressed_is_none():
    key = "-----BEGIN RSA PRIVATE KEY-----"
    held = cleared(summary_of("$.status latest"))
    refusal = summed(of_people([{"status": key}] * 5, 5), held)
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == (Reason.LEAK_SUSPECTED,)
    assert isinstance(summed(of_people([{"status": key}] * 5, 4), held), Shaped)
