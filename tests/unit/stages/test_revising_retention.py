"""The policy's windows: the rules they come to, what is wrong with them, what a change does."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from dispatcher.model.registry import EventType, Policy
from dispatcher.model.retention import FOREVER, Ceiling, LegalHold, Retention, Rule, Store
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.faults import find_faults
from dispatcher.stages.revising.retention import retention_rules
from tests.unit.stages import builders
from tests.unit.stages.builders import TODAY, leaf, record, text_of

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
PLAIN = EventType(name="order.paid", schema=text_of(record(id=leaf())))
MAIL = EventType(
    name="user.joined", schema=text_of(record(mail=leaf(category="contact", level="confidential")))
)
CARE = EventType(
    name="visit.booked", schema=text_of(record(why=leaf(category="health", level="restricted")))
)
HOLD = LegalHold(
    name="case-7",
    owner="lea",
    reason="case 7 of 2026",
    since=TODAY,
    until=TODAY + timedelta(days=30),
    tenant="north",
)


BOTH = "everything about event type order.paid of tenant north"


def rules(retention: Retention, *event_types: EventType, today: date = TODAY) -> dict[Store, Any]:
    found: dict[Store, list[Rule]] = {}
    for rule in retention_rules(retention, event_types or (PLAIN, MAIL, CARE), today):
        found.setdefault(rule.store, []).append(rule)
    return found


def faults(**retention: Any) -> list[tuple[str, str, str]]:
    policy = Policy(retention=Retention(**retention))
    found = find_faults(builders.registry(policy=policy))
    return [(fault.where, fault.why, fault.code) for fault in found]


def changes(old: Retention, new: Retention, today: date = TODAY) -> list[tuple[str, str]]:
    was, now = (builders.registry(policy=Policy(retention=each)) for each in (old, new))
    found = diff(was, now, today, frozenset()).changes
    return [(str(each.direction), each.what) for each in found if each.aspect == "retention"]


def test_without_ceilings_each_store_has_one_rule_for_every_event_type():
    found = rules(Retention())
    assert list(found) == list(Store)
    for store, (rule,) in found.items():
        assert (rule.event_types, rule.is_rest, rule.holds) == ((), True, ())
        assert rule.store == store
    assert [(found[s][0].kept_us, found[s][0].said) for s in (Store.PAYLOADS, Store.LEDGER)] == [
        (24 * HOUR_US, "payload_hours = 24"),
        (400 * DAY_US, "ledger_days = 400"),
    ]


def test_a_ceiling_holds_for_event_types_with_a_field_of_its_class_and_for_unknown_ones():
    ceilings = {"personal": Ceiling(payload_hours=6.0), "health": Ceiling(payload_hours=1.0)}
    found = rules(Retention(classes=ceilings))
    assert [(r.said, r.event_types, r.is_rest) for r in found[Store.PAYLOADS]] == [
        ("payload_hours = 6 for class personal", ("user.joined",), False),
        ("payload_hours = 24", ("order.paid",), False),
        ("payload_hours = 1 for class health", ("order.paid", "user.joined"), True),
    ]
    assert len(found[Store.LEDGER]) == 1


def test_a_sensitivity_means_what_is_above_it_too():
    found = rules(Retention(classes={"confidential": Ceiling(ledger_days=90.0)}))
    (rest,) = [rule for rule in found[Store.LEDGER] if rule.is_rest]
    assert rest.said == "ledger_days = 90 for class confidential"
    assert rest.event_types == ("order.paid",)


def test_nothing_outlives_what_it_hangs_on():
    short = Retention(payload_hours=100.0, ledger_days=2.0)
    for store in (Store.PAYLOADS, Store.DEAD_PAYLOADS, Store.ENVELOPES, Store.FINDINGS):
        (rule,) = rules(short)[store]
        assert (rule.kept_us, rule.said) == (2 * DAY_US, "ledger_days = 2")


def test_a_ceiling_never_lengthens():
    found = rules(Retention(classes={"other": Ceiling(payload_hours=48.0)}))
    assert [rule.said for rule in found[Store.PAYLOADS]] == ["payload_hours = 24"]


def test_what_is_kept_for_ever_has_no_rule():
    found = rules(Retention(triage_days=FOREVER, purge_days=FOREVER))
    assert Store.TRIAGE not in found
    assert Store.PURGES not in found


def test_a_legal_hold_is_in_every_rule_about_events_on_the_days_it_names_alone():
    retention = Retention(holds=(HOLD,))
    for store, (rule,) in rules(retention).items():
        assert rule.holds == ((("north", ""),) if store.is_personal else ())
    for day in (HOLD.since - timedelta(days=1), HOLD.until + timedelta(days=1)):
        assert rules(retention, today=day)[Store.LEDGER][0].holds == ()
    assert rules(retention, today=HOLD.until)[Store.LEDGER][0].holds


@pytest.mark.parametrize(
    "key",
    ["payload_hours", "dead_payload_days", "envelope_days", "finding_days", "ledger_days"],
)
def test_for_ever_is_refused_where_personal_data_may_lie(key: str):
    ((where, why, code),) = faults(**{key: FOREVER})
    assert where == f"policy: retention {key}"
    assert "personal data may lie there" in why
    assert code == "retention_forever"
    ((where, _, code),) = faults(classes={"pii": Ceiling(**{key: FOREVER})})
    assert (where, code) == (f"policy: retention classes pii {key}", "retention_forever")


def test_for_ever_is_a_window_where_no_personal_data_can_lie():
    assert faults(triage_days=FOREVER, purge_days=FOREVER) == []


@pytest.mark.parametrize(
    ("retention", "why"),
    [
        ({"payload_hours": 0.0}, "out of range"),
        ({"payload_hours": float("nan")}, "out of range"),
        ({"payload_hours": 8761.0}, "out of range"),
        ({"ledger_days": float("inf")}, "out of range"),
        ({"classes": {"pii": Ceiling(ledger_days=-1.0)}}, "out of range"),
        ({"classes": {"people": Ceiling(ledger_days=1.0)}}, "not a class"),
        ({"classes": {"pii": Ceiling()}}, "no window"),
        ({"holds": (replace(HOLD, owner=" "),)}, "empty"),
        ({"holds": (replace(HOLD, reason=""),)}, "empty"),
        ({"holds": (replace(HOLD, tenant=""),)}, "holds nothing"),
        ({"holds": (replace(HOLD, event_type="order.gone"),)}, "no event type 'order.gone'"),
        ({"holds": (replace(HOLD, until=date(2099, 1, 1)),)}, "lasts more than 1827 days"),
        ({"holds": (replace(HOLD, until=TODAY - timedelta(days=1)),)}, "ends before it begins"),
        ({"holds": (replace(HOLD, name="Case 7"),)}, "not a name"),
        ({"holds": (HOLD, HOLD)}, "defined more than once"),
    ],
)
def test_a_bad_window_and_a_bad_hold_are_faults_that_say_why(retention: Any, why: str):
    ((_, said, _),) = faults(**retention)
    assert why in said


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ({}, {"payload_hours": 48.0}, ("widens", "payload_hours: 48, was 24")),
        ({}, {"payload_hours": 12.0}, ("narrows", "payload_hours: 12, was 24")),
        ({}, {"purge_days": FOREVER}, ("widens", "purge_days: forever, was 1095")),
        (
            {},
            {"classes": {"pii": Ceiling(ledger_days=9.0)}},
            ("narrows", "ledger_days for class pii: 9, was no ceiling"),
        ),
        (
            {"classes": {"pii": Ceiling(ledger_days=9.0)}},
            {"classes": {"health": Ceiling(ledger_days=9.0)}},
            ("widens", "ledger_days for class pii: no ceiling, was 9"),
        ),
        (
            {},
            {"holds": (HOLD,)},
            ("widens", "everything about tenant north is kept through 2026-07-01"),
        ),
        ({"holds": (HOLD,)}, {}, ("widens", "the legal hold on tenant north ends")),
        (
            {"holds": (HOLD,)},
            {"holds": (replace(HOLD, event_type="order.paid"),)},
            (
                "widens",
                f"the legal hold on tenant north ends; {BOTH} is kept through 2026-07-01",
            ),
        ),
    ],
)
def test_longer_widens_shorter_narrows_and_a_legal_hold_takes_two_people_either_way(
    old: Any, new: Any, change: tuple[str, str]
):
    assert changes(Retention(**old), Retention(**new))[0] == change


def test_a_legal_hold_that_has_ended_may_be_taken_away_by_anybody():
    ended = replace(HOLD, since=TODAY - timedelta(days=9), until=TODAY - timedelta(days=1))
    assert changes(Retention(holds=(ended,)), Retention()) == []


def test_to_class_a_field_otherwise_changes_how_long_things_stay():
    policy = Policy(retention=Retention(classes={"contact": Ceiling(payload_hours=2.0)}))
    laxer = replace(MAIL, schema=text_of(record(mail=leaf(level="confidential"))))
    was, now = (
        builders.registry(event_types=(builders.event_type(), each), policy=policy)
        for each in (MAIL, laxer)
    )
    for old, new, direction in ((was, now, "widens"), (now, was, "narrows")):
        found = [c for c in diff(old, new, TODAY, frozenset()).changes if c.aspect == "retention"]
        assert [(str(c.direction), c.where) for c in found] == [
            (direction, "event type user.joined")
        ]
