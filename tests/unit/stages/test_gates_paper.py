"""Paper bites: what an ended, missing or unfit paper closes, and who is warned ahead."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.paper import Agreement, Assessment, ConnectorState
from dispatcher.model.path import parse_path
from dispatcher.model.registry import Destination, Policy
from dispatcher.model.scope import Field, Scope
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.paper import coming_due, judge_paper, must_warn, reach_of
from tests.unit.stages import builders
from tests.unit.stages.builders import FAR, TODAY

LAST_DAY_AND_THE_NEXT = [(TODAY, True), (TODAY - timedelta(days=1), False)]
IN_DE = Destination(host="hooks.acme.example", reason="orders", country="DE")


def scope(category=Category.OTHER, level=Sensitivity.PUBLIC):
    return Scope.of((Field(parse_path("$.a"), "pass", "string", category, level),))


PLAIN = scope()
PERSONAL = scope(Category.CONTACT, Sensitivity.CONFIDENTIAL)
SENSITIVE = scope(Category.OTHER, Sensitivity.RESTRICTED)


def reasons(fields=PLAIN, policy=None, entries=(IN_DE,), **more):
    partner, rules = builders.connector(**more), policy or Policy()
    found = judge_paper(partner, fields, entries, rules, TODAY, reach(fields, entries))
    return [reason for reason, _ in found]


def reach(fields, entries=(IN_DE,), event_type="order.paid", url="https://hooks.acme.example/in"):
    return reach_of(event_type, parse_endpoint(url), entries, fields)


def agreement(until=FAR, **more):
    return {"agreement": Agreement(reference="A-1", until=until, **more)}


def test_plain_fields_need_an_owner_and_no_other_paper():
    assert [] == reasons()


@pytest.mark.parametrize(("until", "is_open"), LAST_DAY_AND_THE_NEXT)
def test_an_agreement_is_good_through_its_last_day_whatever_the_fields(until, is_open):
    assert ([] if is_open else [Reason.AGREEMENT_EXPIRED]) == reasons(**agreement(until))


def test_personal_fields_need_an_agreement():
    assert [Reason.AGREEMENT_MISSING] == reasons(PERSONAL)
    assert [] == reasons(PERSONAL, **agreement())


@pytest.mark.parametrize("fields", [SENSITIVE, scope(Category.HEALTH)], ids=["level", "category"])
def test_sensitive_fields_need_an_assessment(fields):
    assert Reason.ASSESSMENT_MISSING in reasons(fields, **agreement())
    paper = {"assessment": Assessment(reference="PIA-1", until=FAR, covers=("*",))}
    assert [] == reasons(fields, **agreement(), **paper)


def test_an_assessment_that_names_no_reach_covers_nothing():
    paper = {"assessment": Assessment(reference="PIA-1", until=FAR)}
    assert [Reason.ASSESSMENT_NOT_COVERING] == reasons(SENSITIVE, **paper)


def test_an_assessment_covers_the_reach_it_names_and_no_other():
    paper = {"assessment": Assessment(reference="PIA-1", until=FAR, covers=(reach(SENSITIVE),))}
    assert [] == reasons(SENSITIVE, **paper)
    more = Scope.of((*SENSITIVE.fields, replace(PERSONAL.fields[0], path=parse_path("$.b"))))
    assert [Reason.ASSESSMENT_NOT_COVERING] == reasons(more, **paper, **agreement())
    there = (replace(IN_DE, country="US"),)
    assert [Reason.ASSESSMENT_NOT_COVERING] == reasons(SENSITIVE, entries=there, **paper)


def test_another_recipient_event_or_action_is_another_reach():
    tokens = replace(SENSITIVE.fields[0], action="truncate(4)")
    found = {
        reach(SENSITIVE),
        reach(SENSITIVE, event_type="order.shipped"),
        reach(SENSITIVE, url="https://other.acme.example/in"),
        reach(SENSITIVE, entries=(replace(IN_DE, country="FR"),)),
        reach(Scope.of((tokens,))),
    }
    assert len(found) == 5
    assert "" not in found


def test_what_is_neither_personal_nor_sensitive_is_not_part_of_a_reach():
    plain = replace(PLAIN.fields[0], path=parse_path("$.b"))
    assert reach(SENSITIVE) == reach(Scope.of((*SENSITIVE.fields, plain)))
    assert "" == reach(PLAIN)


def test_a_token_of_a_restricted_field_needs_no_assessment():
    token = Scope.of((replace(SENSITIVE.fields[0], action="pseudonym(a)"),))
    assert [] == reasons(token)


@pytest.mark.parametrize(("until", "is_open"), LAST_DAY_AND_THE_NEXT)
def test_an_assessment_is_good_through_its_last_day(until, is_open):
    paper = {"assessment": Assessment(reference="PIA-1", until=until, covers=("*",))}
    assert ([] if is_open else [Reason.ASSESSMENT_EXPIRED]) == reasons(SENSITIVE, **paper)
    assert [] == reasons(PLAIN, **paper)


@pytest.mark.parametrize(
    "change", [{"owner": " "}, {"contact": ""}, {"owner_confirmed_until": None}]
)
def test_a_connector_nobody_answers_for_is_closed(change):
    assert [Reason.OWNER_UNCONFIRMED] == reasons(**change)


@pytest.mark.parametrize(("days", "is_open"), [(0, True), (14, True), (15, False)])
def test_an_owner_who_stops_confirming_has_a_period_of_grace(days, is_open):
    until = TODAY - timedelta(days=days)
    assert is_open == ([] == reasons(owner_confirmed_until=until))
    assert [] == reasons(owner_confirmed_until=until, policy=Policy(owner_grace_days=days))


@pytest.mark.parametrize("state", [ConnectorState.DRAFT, ConnectorState.RETIRED])
def test_a_connector_that_is_not_active_is_closed(state):
    assert [Reason.CONNECTOR_INACTIVE] == reasons(state=state)


@pytest.mark.parametrize(
    ("countries", "country", "is_open"),
    [((), "", True), (("DE",), "DE", True), (("DE", "FR"), "US", False), (("DE",), "", False)],
)
def test_personal_fields_stay_in_the_countries_of_the_agreement(countries, country, is_open):
    entry = Destination(host="hooks.acme.example", reason="orders", country=country)
    paper = agreement(countries=countries)
    found = reasons(PERSONAL, entries=(entry,), **paper)
    assert ([] if is_open else [Reason.COUNTRY_FORBIDDEN]) == found
    assert [] == reasons(PLAIN, entries=(entry,), **paper)


@pytest.mark.parametrize(
    ("limits", "is_open"),
    [
        ({"DE": Sensitivity.CONFIDENTIAL}, True),
        ({"DE": Sensitivity.INTERNAL}, False),
        ({"DE": Sensitivity.INTERNAL, "*": Sensitivity.RESTRICTED}, False),
        ({"*": Sensitivity.RESTRICTED}, True),
        ({"FR": Sensitivity.RESTRICTED}, False),
    ],
)
def test_the_policy_says_how_sensitive_a_field_a_country_may_get(limits, is_open):
    found = reasons(PERSONAL, Policy(countries=limits), **agreement())
    assert ([] if is_open else [Reason.COUNTRY_FORBIDDEN]) == found


@pytest.mark.parametrize("order", [1, -1], ids=["mild-first", "mild-last"])
def test_of_many_fields_the_one_that_needs_most_decides(order):
    other = Field(parse_path("$.b"), "pass", "string", Category.OTHER, Sensitivity.PUBLIC)

    def mixed(fields):
        return Scope(fields.id, (other, *fields.fields)[::order])

    limits = Policy(countries={"DE": Sensitivity.INTERNAL})
    assert [Reason.AGREEMENT_MISSING] == reasons(mixed(PERSONAL))
    assert [Reason.COUNTRY_FORBIDDEN] == reasons(mixed(PERSONAL), limits, **agreement())
    assert [Reason.ASSESSMENT_MISSING] == reasons(mixed(SENSITIVE))


def test_of_two_entries_that_list_an_endpoint_the_stricter_country_counts():
    other = Destination(host="*.acme.example", reason="orders", country="US")
    found = reasons(PERSONAL, entries=(IN_DE, other), **agreement(countries=("DE",)))
    assert [Reason.COUNTRY_FORBIDDEN] == found


def test_what_ends_soon_is_listed_the_most_urgent_first():
    held = builders.registry(
        connectors=(
            builders.connector(
                owner_confirmed_until=TODAY + timedelta(days=3),
                agreement=Agreement(reference="A-1", until=TODAY - timedelta(days=1)),
                assessment=Assessment(
                    reference="PIA-1", until=TODAY + timedelta(days=31), covers=("*",)
                ),
                destinations=(
                    Destination(host="a.example", reason="x", expires=TODAY + timedelta(days=30)),
                    Destination(host="b.example", reason="x"),
                ),
            ),
            builders.connector(
                "gone", state=ConnectorState.RETIRED, owner_confirmed_until=date(2020, 1, 1)
            ),
        )
    )
    due = [(each.days_left, each.connector, each.paper) for each in coming_due(held, TODAY)]
    assert due == [
        (-1, "acme", "agreement A-1"),
        (3, "acme", "owner's confirmation"),
        (30, "acme", "destination a.example"),
    ]
    sooner = replace(held, policy=Policy(warn_days=(3,)))
    assert [each.days_left for each in coming_due(sooner, TODAY)] == [-1, 3]


def test_the_owner_is_told_on_the_days_of_the_policy_and_once_it_is_too_late():
    due = coming_due(
        builders.registry(connectors=(builders.connector(owner_confirmed_until=TODAY),)), TODAY
    )
    (today,) = due
    told = [
        days
        for days in range(31, -3, -1)
        if must_warn(type(today)(days, "acme", "x", TODAY), Policy().warn_days)
    ]
    assert told == [30, 14, 3, -1, -2]
