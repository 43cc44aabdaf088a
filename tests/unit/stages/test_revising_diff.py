"""What a reviewer is shown: each change, which way it goes, the gravest first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.disclosure import Aspect, Direction
from dispatcher.model.paper import Agreement, Assessment, ConnectorState, LegalBasis, Purpose
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.registry import Destination, OwnershipProof, Policy, Style, WireFormat
from dispatcher.stages.revising.diff import diff
from tests.unit.stages import builders
from tests.unit.stages.builders import (
    FAR,
    TODAY,
    connector,
    event_type,
    leaf,
    producer,
    record,
    subscription,
)

SOON, LATER = TODAY + timedelta(days=10), TODAY + timedelta(days=40)
INBOX = Destination(host="hooks.acme.example", reason="orders")
SCHEMA = record(
    id=leaf(), mail=leaf("string", "contact", "confidential"), card=leaf(level="restricted")
)
PURPOSES = (
    Purpose(name="fulfilment", categories=tuple(Category), legal_basis=LegalBasis.CONTRACT),
    Purpose(name="support", categories=tuple(Category), legal_basis=LegalBasis.CONSENT),
)


def held(partner=None, wanted=None, kind=None, **more):
    """A registry that sends id and mail to acme, but for the keys given."""
    papers = {
        "agreement": Agreement(reference="A-1", until=FAR),
        "assessment": Assessment(reference="PIA-1", until=FAR, covers=("*",)),
        "clearance": Sensitivity.RESTRICTED,
        "purposes": PURPOSES,
        "destinations": (INBOX,),
    }
    wanted = {"scope": {"order.paid": ("$.id", "$.mail")}} | (wanted or {})
    more = {"policy": Policy(encrypt_from="never")} | more
    return builders.registry(
        event_types=(event_type(**{"schema": SCHEMA} | (kind or {})),),
        connectors=(connector(**papers | (partner or {})),),
        subscriptions=(subscription(**wanted),),
        **more,
    )


def compare(old, new, loopback=frozenset()):
    return diff(old, new, TODAY, loopback)


def said(old, new, **more):
    return [(str(c.direction), str(c.aspect), c.what) for c in compare(old, new, **more).changes]


TO = "acme at https://hooks.acme.example:443/in"
ELSEWHERE = replace(INBOX, host="hooks.brook.example")
IN_DE, IN_US = replace(INBOX, country="DE"), replace(INBOX, country="US")
ALL = ("$.id", "$.mail", "$.card")

MASKED = ("$.id", "$.mail mask(first=1)")
SCOPED = {"order.paid": ("$.id", "$.mail")}

# What is on the left, what is on the right, and what going from left to right is called.
STEPS = [
    (
        held(wanted={"scope": {"order.paid": MASKED}}),
        held(),
        [("field", "order.paid $.mail (confidential contact), was mask(first=1)")],
    ),
    (
        held(wanted={"scope": SCOPED, "style": Style.THIN}),
        held(),
        [
            (
                "field",
                "order.paid: a letter carries what is granted, so far it names the event alone",
            )
        ],
    ),
    (
        held(wanted={"scope": SCOPED, "records_max": 10}),
        held(wanted={"scope": SCOPED, "records_max": 20}),
        [("terms", "records_max 20, was 10")],
    ),
    (
        held(),
        held(partner={"keys": (PartnerKey(kid="k1", jwk="{}"),)}),
        [("recipient", "whoever holds the new key k1")],
    ),
    (
        held(),
        held(wanted={"scope": {"order.paid": ALL}}),
        [("field", "order.paid $.card (restricted other)")],
    ),
    (
        held(partner={"tenants": ("north",)}),
        held(partner={"tenants": ("north", "south")}),
        [("tenant", "events of south")],
    ),
    (
        held(partner={"destinations": (INBOX,)}),
        held(partner={"destinations": (INBOX, ELSEWHERE)}),
        [("destination", "https://hooks.brook.example:443/")],
    ),
    (
        held(partner={"destinations": (replace(INBOX, expires=SOON),)}),
        held(partner={"destinations": (replace(INBOX, expires=LATER),)}),
        [
            ("period", f"https://hooks.acme.example:443/ listed through {LATER}"),
            ("period", f"open through {LATER}, was {SOON}"),
        ],
    ),
    (
        held(partner={"agreement": Agreement(reference="A-1", until=SOON)}),
        held(partner={"agreement": Agreement(reference="A-1", until=LATER)}),
        [("period", f"open through {LATER}, was {SOON}")],
    ),
    (
        held(partner={"owner_confirmed_until": SOON}),
        held(partner={"owner_confirmed_until": LATER}),
        [("period", f"open through {LATER + timedelta(14)}, was {SOON + timedelta(14)}")],
    ),
    (
        held(partner={"owner_confirmed_until": SOON}, policy=Policy(owner_grace_days=0)),
        held(partner={"owner_confirmed_until": SOON}, policy=Policy(owner_grace_days=14)),
        [("period", f"open through {SOON + timedelta(14)}, was {SOON}")],
    ),
    (
        held(partner={"agreement": None}),
        held(),
        [
            ("recipient", TO),
            ("field", "order.paid $.id (other)"),
            ("field", "order.paid $.mail (confidential contact)"),
        ],
    ),
    (
        held(wanted={"scope": {}}),
        held(wanted={"scope": {"order.paid": ()}}),
        [("recipient", TO), ("field", "order.paid: the envelope alone")],
    ),
    (
        held(partner={"destinations": (INBOX,)}),
        held(partner={"destinations": (IN_DE,)}),
        [
            ("country", "DE"),
            ("country", "https://hooks.acme.example:443/ is in DE"),
        ],
    ),
    (
        held(kind={"payload_bytes_max": 100}),
        held(kind={"payload_bytes_max": 200}),
        [("events", "order.paid: up to 200 bytes, was 100")],
    ),
    (
        held(kind={"subjects_max": 1}),
        held(kind={"subjects_max": 9}),
        [("events", "order.paid: up to 9 subjects, was 1")],
    ),
]
# Who may enqueue, on the left and on the right, and what is gained on the way.
ONE = producer("one", database_roles=("one_app",), principals=("one-svc",))
TWO = producer("two", event_types=("*",), tenants=("*",))
EVERYBODY = "whoever may write to the outbox may enqueue every event type for every tenant"
RIGHTS = [
    ((ONE,), (), [EVERYBODY]),
    ((ONE,), (ONE, TWO), ["may enqueue every event type", "may enqueue for every tenant"]),
    ((ONE,), (replace(ONE, tenants=("north", "south")),), ["may enqueue for south"]),
    ((ONE,), (replace(ONE, tenants=("*",)),), ["may enqueue for every tenant"]),
    ((ONE,), (replace(ONE, event_types=("*",)),), ["may enqueue every event type"]),
    ((replace(ONE, database_roles=()),), (ONE,), ["database role one_app enqueues as it"]),
    ((replace(ONE, principals=()),), (ONE,), ["principal one-svc enqueues as it"]),
]
IDS = [aspects[0][0] for _, _, aspects in STEPS]


@pytest.mark.parametrize(("less", "more", "what"), STEPS, ids=IDS)
def test_a_step_that_lets_more_flow_widens_and_says_what(less, more, what):
    assert [("widens", *each) for each in what] == [
        each for each in said(less, more) if each[0] == "widens"
    ]
    assert compare(less, more).direction is Direction.WIDENS


@pytest.mark.parametrize(("less", "more", "what"), STEPS, ids=IDS)
def test_the_same_step_back_narrows_unless_a_country_changes(less, more, what):
    back = compare(more, less)
    moves_country = any("is in" in text for _, text in what)
    assert back.direction is (Direction.WIDENS if moves_country else Direction.NARROWS)


@pytest.mark.parametrize(("less", "more", "what"), RIGHTS)
def test_who_may_enqueue_more_is_told_as_gained_and_the_way_back_as_lost(less, more, what):
    fewer, further = held(producers=less), held(producers=more)
    assert [each for each in said(fewer, further) if each[0] != "neutral"] == [
        ("widens", "producer", each) for each in what
    ]
    back = said(further, fewer)
    assert {aspect for direction, aspect, _ in back if direction == "narrows"} == {"producer"}
    assert "widens" not in {direction for direction, _, _ in back}


def test_the_first_producer_narrows_for_so_far_everybody_might_enqueue():
    (lost, _) = compare(held(), held(producers=(TWO,))).changes
    assert (lost.direction, lost.where) == (Direction.NARROWS, "producers")
    assert "nobody else may enqueue" in lost.what


def test_the_first_producer_loses_nobody_anything_where_nothing_could_be_enqueued():
    empty = builders.registry(event_types=(), connectors=(), subscriptions=())
    assert compare(empty, replace(empty, producers=(TWO,))).direction is Direction.NEUTRAL


def test_a_role_that_becomes_another_producer_is_told_on_both_sides():
    other = replace(TWO, database_roles=("one_app",))
    moved = held(producers=(replace(ONE, database_roles=()), other))
    found = compare(held(producers=(ONE, TWO)), moved).changes
    assert [(str(c.direction), c.where) for c in found if c.aspect is Aspect.PRODUCER] == [
        ("widens", "producer two"),
        ("narrows", "producer one"),
    ]


def test_a_star_covers_what_was_named_and_is_not_covered_by_it():
    named = held(producers=(producer("two", tenants=("north", "south")),))
    starred = held(producers=(TWO,))
    assert compare(starred, named).direction is Direction.NARROWS
    assert compare(named, starred).direction is Direction.WIDENS


def test_another_endpoint_is_a_recipient_lost_and_one_gained():
    both = {"destinations": (INBOX, ELSEWHERE)}
    moved = held(both, {"url": "https://hooks.brook.example/in"})
    assert said(held(both), moved) == [
        ("widens", "recipient", "acme at https://hooks.brook.example:443/in"),
        ("narrows", "recipient", TO),
        ("neutral", "terms", "changed: url"),
    ]


def test_another_purpose_widens_for_it_is_another_use():
    changed = held(wanted={"purpose": "support"})
    assert said(held(), changed) == [
        ("widens", "purpose", "fulfilment (contract) becomes support (consent)"),
        ("neutral", "terms", "changed: purpose"),
    ]


def test_calling_a_field_less_sensitive_widens_and_more_sensitive_does_not():
    milder = held(kind={"schema": record(**SCHEMA["properties"] | {"card": leaf()})})
    assert ("widens", "class", "$.card: public other, was restricted other") in said(held(), milder)
    assert compare(milder, held()).direction is Direction.NEUTRAL
    assert ("neutral", "class", "$.card: restricted other, was public other") in said(
        milder, held()
    )


def test_plain_http_is_told_before_everything_else():
    plain = Destination(host="127.0.0.1", port=9001, scheme="http", reason="a demo")
    more = held(partner={"destinations": (INBOX, plain)})
    first, *_ = compare(held(), more, loopback=frozenset({("127.0.0.1", 9001)})).changes
    assert (first.aspect, first.what) == (Aspect.TLS, "plain http to 127.0.0.1")


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (held(partner={"contact": "new@acme.example"}), "changed: contact"),
        (held(wanted={"concurrency": 3}), "changed: concurrency"),
        (held(policy=Policy(warn_days=(1,), encrypt_from="never")), "changed: warn_days"),
        (held(partner={"clearance": Sensitivity.CONFIDENTIAL}), "changed: clearance"),
    ],
)
def test_what_changes_nothing_that_flows_is_neutral_and_still_told(new, what):
    assert said(held(), new) == [("neutral", "terms", what)]
    assert compare(held(), new).direction is Direction.NEUTRAL


def test_another_version_is_told_and_lets_nothing_more_flow():
    assert said(held(), held(kind={"version": 2})) == [
        ("neutral", "terms", "changed: version"),
        ("neutral", "terms", "version 2, was 1"),
    ]
    wider = held(kind={"version": 2, "schema": SCHEMA | {"title": "An order"}})
    assert ("neutral", "terms", "changed: schema, version") in said(held(), wider)


@pytest.mark.parametrize(
    ("less", "more", "said_of_it"),
    [
        (
            {"ownership_proof": OwnershipProof.REQUIRED},
            {"ownership_proof": OwnershipProof.OUTSIDE_DEV},
            ("destination", "proof of an endpoint: outside_dev, was required"),
        ),
        (
            {},
            {"ownership_proof": OwnershipProof.WAIVED},
            ("destination", "proof of an endpoint: waived, was outside_dev"),
        ),
        ({}, {"proof_days": 365}, ("period", "a proof counts for 365 days, was 180")),
    ],
)
def test_to_ask_less_of_an_endpoint_is_to_widen_and_to_ask_more_is_to_narrow(
    less, more, said_of_it
):
    strict, lax = held(policy=Policy(**less)), held(policy=Policy(**more))
    assert compare(strict, lax).direction is Direction.WIDENS
    assert ("widens", *said_of_it) in said(strict, lax)
    assert compare(lax, strict).direction is Direction.NARROWS


def test_a_paper_that_has_ended_already_opens_nothing():
    ended = {"agreement": Agreement(reference="A-1", until=TODAY - timedelta(days=2))}
    later = {"agreement": Agreement(reference="A-1", until=TODAY - timedelta(days=1))}
    assert compare(held(partner=ended), held(partner=later)).direction is Direction.NEUTRAL


def test_a_retired_partner_narrows_by_all_it_had():
    gone = held(partner={"state": ConnectorState.RETIRED})
    found = said(held(), gone)
    assert {direction for direction, _, _ in found} == {"narrows", "neutral"}
    assert ("narrows", "destination", "https://hooks.acme.example:443/") in found


def test_whoever_approves_reads_that_a_retired_partners_tokens_can_never_be_turned_back():
    gone = held(partner={"state": ConnectorState.RETIRED})
    what = "its token keys are destroyed: what it holds can never be turned back"
    assert ("narrows", "terms", what) in said(held(), gone)
    assert ("narrows", "terms", what) not in said(gone, gone)


@pytest.mark.parametrize("versions", [(1, 2), (2, 1)])
def test_another_version_of_tokens_widens_either_way_for_new_ones_are_given_out(versions):
    was, now = (held(partner={"token_version": version}) for version in versions)
    what = f"every pseudonym and token is another: token_version {versions[1]}, was {versions[0]}"
    assert said(was, now) == [
        ("widens", "terms", what),
        ("neutral", "terms", "changed: token_version"),
    ]


def test_every_key_that_changed_is_named_whatever_else_is_told():
    new = held(partner={"destinations": (INBOX, ELSEWHERE), "contact": "x@acme.example"})
    assert ("neutral", "terms", "changed: contact, destinations") in said(held(), new)
    more = replace(held(), connectors=(*held().connectors, connector("brook", destinations=())))
    assert said(held(), more) == [("neutral", "terms", "new")]
    assert said(more, held()) == [("neutral", "terms", "removed")]


def test_changes_are_told_the_widening_ones_first():
    new = held(
        partner={"tenants": ("south",), "contact": "x@acme.example", "destinations": (IN_US,)},
        wanted={"scope": {"order.paid": ("$.card",)}},
    )
    directions = [change.direction for change in compare(held(), new).changes]
    assert directions == sorted(directions, key=list(Direction).index)
    assert set(directions) == set(Direction)


def test_headers_that_would_go_to_another_place_are_each_agreed_to_anew():
    headers = {"headers": {"X-Account": "north"}}
    moved = said(
        held(wanted=headers), held(wanted=headers | {"url": "https://hooks.acme.example/b"})
    )
    assert ("widens", "terms", "header X-Account: north") in moved


def test_h2_a_header_gained_lost_or_changed_widens_for_it_may_reach_another_account():
    plain, north = held(), held(wanted={"headers": {"X-Account": "north"}})
    south = held(wanted={"headers": {"X-Account": "south"}})
    gained = ("widens", "terms", "header X-Account: north")
    lost = ("widens", "terms", "no longer header X-Account: north")
    assert gained in said(plain, north)
    assert lost in said(north, plain)
    assert {lost, ("widens", "terms", "header X-Account: south")} <= set(said(north, south))
    assert not [what for _, aspect, what in said(north, north) if aspect == "terms"]


@pytest.mark.parametrize(
    ("was", "now", "direction"),
    [
        ((), ("cdn.example",), "narrows"),
        (("cdn.example",), (), "widens"),
        (("cdn.example",), ("cdn.example", "brook.example"), "widens"),
        (("cdn.example", "brook.example"), ("cdn.example",), "narrows"),
        (("cdn.example",), ("eu.cdn.example",), "narrows"),
        (("eu.cdn.example",), ("cdn.example",), "widens"),
        (("cdn.example",), ("xcdn.example",), "widens"),
    ],
)
def test_d7_to_lift_or_to_widen_the_zones_of_aliases_widens(was, now, direction):
    def listed(zones):
        return held(partner={"destinations": (replace(INBOX, alias_zones=zones),)})

    def names(zones):
        return ", ".join(sorted(zones)) or "any zone"

    what = f"hooks.acme.example may go by names in {names(now)}, was in {names(was)}"
    changes = said(listed(was), listed(now))
    assert (direction, "destination", what) in changes
    assert direction == compare(listed(was), listed(now)).direction


def test_d7_zones_in_another_order_or_spelling_are_no_change_of_the_rule():
    one = held(partner={"destinations": (replace(INBOX, alias_zones=("a.example", "b.example")),)})
    two = held(partner={"destinations": (replace(INBOX, alias_zones=("B.example", "a.example")),)})
    assert Direction.NEUTRAL == compare(one, two).direction


def test_d7_an_entry_taken_away_frees_the_aliases_of_what_is_then_only_reported():
    zoned = replace(INBOX, alias_zones=("cdn.example",))
    old = held(partner={"destinations": (zoned,), "report_only_until": SOON})
    new = held(partner={"destinations": (), "report_only_until": SOON})
    what = "hooks.acme.example may go by names in any zone, only reported"
    assert ("widens", "destination", what) in said(old, new)
    plain = held(partner={"destinations": (INBOX,), "report_only_until": SOON})
    assert ("widens", "destination", what) not in said(plain, new)


def test_n4_a_host_that_looks_like_a_listed_one_does_not_slip_past_a_reviewer():
    twin = replace(INBOX, host="hooks.\u0430cme.example")
    changes = said(held(), held(partner={"destinations": (INBOX, twin)}))
    notes = [what for _, aspect, what in changes if aspect == "destination"]
    assert any("is written hooks.\u0430cme.example" in note for note in notes)
    assert any("looks like hooks.acme.example, which is listed" in note for note in notes)
    assert not any("looks like" in what for _, _, what in said(held(), held()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("$.mail", "$.mail pseudonym(customer)"),
        ("$.mail pseudonym(customer)", "$.mail"),
        ("$.mail pseudonym(customer)", "$.mail pseudonym(person)"),
        ("$.mail mask(first=1)", "$.mail mask(last=1)"),
        ("$.mail truncate(3)", "$.mail truncate(4)"),
    ],
)
def test_an_action_that_could_tell_something_new_widens(before, after):
    was = held(wanted={"scope": {"order.paid": (before,)}})
    now = held(wanted={"scope": {"order.paid": (after,)}})
    assert compare(was, now).direction is Direction.WIDENS


@pytest.mark.parametrize("after", ["mask(last=1)", "truncate(3)", "const(0)", "generalise(ip)"])
def test_an_action_that_tells_less_narrows(after):
    now = held(wanted={"scope": {"order.paid": ("$.id", f"$.mail {after}")}})
    assert compare(held(), now).direction is Direction.NARROWS


def test_another_layout_of_the_body_widens():
    now = held(wanted={"scope": SCOPED, "format": WireFormat.CLOUDEVENTS})
    assert ("widens", "terms", "laid out as cloudevents, was standard") in said(held(), now)
    assert ("widens", "terms", "laid out as standard, was cloudevents") in said(now, held())


def test_what_an_assessment_does_not_cover_is_told_and_lets_nothing_flow():
    paper = {"assessment": Assessment(reference="PIA-1", until=FAR)}
    now = held(partner=paper, wanted={"scope": {"order.paid": ALL}})
    told = [what for _, aspect, what in said(held(partner=paper), now) if "assessment" in what]
    assert len(told) == 1
    assert told[0].startswith("order.paid: closed until acme's assessment covers ")
    assert compare(held(partner=paper), now).direction is Direction.NARROWS
    covering = Assessment(reference="PIA-1", until=FAR, covers=(told[0].split()[-1],))
    found = held(partner={"assessment": covering}, wanted={"scope": {"order.paid": ALL}})
    assert ("widens", "field", "order.paid $.card (restricted other)") in said(now, found)


def summing(**more):
    given = {"style": Style.SUMMARY, "scope": {"order.paid": ("$.id latest", "$.mail latest")}}
    return held(wanted=given | more)


@pytest.mark.parametrize(
    ("old", "new", "direction", "what"),
    [
        (summing(), summing(group_min=4), "widens", "nothing about fewer than 4 people, was 5"),
        (summing(), summing(group_min=6), "narrows", "nothing about fewer than 6 people, was 5"),
        (summing(), summing(window_seconds=60), "widens", "windows of 60 seconds, were 3600"),
        (summing(), summing(window_seconds=7200), "widens", "windows of 7200 seconds, were 3600"),
        (held(), summing(), "widens", "summaries, so far one letter for each event"),
        (summing(), held(), "widens", "one letter for each event, so far summaries"),
        (
            summing(),
            summing(scope={"order.paid": ("$.mail latest",)}),
            "narrows",
            "$.id (latest, other)",
        ),
    ],
)
def test_what_a_summary_tells_more_or_less_is_told_to_the_reviewer(old, new, direction, what):
    changes = [change for change in said(old, new) if change[1] == "field"]
    assert [change[0] for change in changes if what in change[2]] == [direction]
    assert direction == compare(old, new).direction
