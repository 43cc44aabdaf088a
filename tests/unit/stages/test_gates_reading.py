"""May a partner read what its ticket is for: the ticket, the credential, and today's policy."""

from dataclasses import replace

import pytest

from dispatcher.model.caller import Caller, CallerKind, Known
from dispatcher.model.ids import DeliveryId, WebhookId
from dispatcher.model.letter import Cleared, Stopped
from dispatcher.model.registry import Destination
from dispatcher.model.scope import Scope
from dispatcher.model.ticket import Denial, Fetch, Ticket, hash_ticket
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.reading import (
    deny,
    find_rightful,
    judge_read,
    judge_ticket,
    may_answer,
)
from tests.unit.stages import builders

SIGNER = Caller(kid="acme-key", kind=CallerKind.SIGNATURE, key="PEM")
CLIENT = Caller(kid="acme-mtls", kind=CallerKind.CERTIFICATE, pin="sha256/p", ca="PEM")
ACME, BROOK = Known("acme", SIGNER), Known("brook", SIGNER)
SECOND = 1_000_000


def held(*grants, callers=(SIGNER, CLIENT), asks_for="", **more):
    entry = Destination(host="hooks.acme.example", reason="orders", tls=Tls(identity=asks_for))
    return builders.registry(
        connectors=(builders.connector(callers=callers, destinations=(entry,)),),
        subscriptions=(
            builders.subscription(
                scope={"order.paid": grants or ("$.id", "$.lines[*].sku")}, **more
            ),
        ),
    )


TODAY = builders.snapshot(held())
ISSUED = TODAY.routes["acme-orders"].scopes["order.paid"]


def ticket(**changed):
    terms = {
        "webhook_id": WebhookId("msg_1"),
        "delivery_id": DeliveryId(7),
        "sha256": hash_ticket("tkt_1"),
        "connector": "acme",
        "subscription": "acme-orders",
        "scope_id": ISSUED.id,
        "uses_max": 5,
        "reads": 0,
        "age_us": 0,
        "left_us": 900 * SECOND,
    }
    return Ticket(**terms | changed)


def rightful(shown="tkt_1", known=(ACME,), of=None):
    fetch = Fetch(webhook_id="msg_1", ticket=shown, known=known, address="192.0.2.1")
    return find_rightful(fetch, of)


def read(snapshot=TODAY, by=ACME, issued=ISSUED, of=None, leased=None):
    return judge_read(leased or builders.leased(), of or ticket(), by, snapshot, issued)


def test_whoever_has_the_ticket_and_is_the_partner_is_rightful():
    assert rightful(of=ticket()) == ACME


@pytest.mark.parametrize("shown", ["", "tkt_2", "tkt_1 "])
def test_the_partner_without_the_ticket_is_not(shown):
    assert rightful(shown, of=ticket()) is None


def test_the_ticket_without_the_partner_is_not():
    assert rightful(known=(BROOK,), of=ticket()) is None
    assert rightful(known=(), of=ticket()) is None
    assert rightful(of=None) is None


def test_a_credential_of_several_connectors_counts_for_the_one_the_ticket_is_for():
    assert rightful(known=(BROOK, ACME), of=ticket()) == ACME


def test_no_ticket_reaches_a_repr():
    fetch = Fetch(webhook_id="msg_1", ticket="tkt_secret", known=(), address="")
    assert "tkt_secret" not in repr(fetch)


@pytest.mark.parametrize(
    ("changed", "denial"),
    [
        ({}, None),
        ({"left_us": 1}, None),
        ({"left_us": 0}, Denial.EXPIRED),
        ({"reads": 4}, None),
        ({"reads": 5}, Denial.USED_UP),
        ({"uses_max": 0}, Denial.USED_UP),
    ],
)
def test_a_ticket_counts_for_its_time_and_its_reads(changed, denial):
    assert judge_ticket(ticket(**changed), TODAY.routes["acme-orders"]) is denial


def test_todays_terms_may_only_shorten_a_ticket():
    route = replace(TODAY.routes["acme-orders"], ticket_seconds=60, ticket_uses=2)
    assert judge_ticket(ticket(age_us=59 * SECOND, reads=1), route) is None
    assert judge_ticket(ticket(age_us=60 * SECOND), route) is Denial.EXPIRED
    assert judge_ticket(ticket(reads=2), route) is Denial.USED_UP
    assert judge_ticket(ticket(), replace(route, ticket_seconds=0)) is Denial.EXPIRED
    wider = replace(route, ticket_seconds=86_400, ticket_uses=1000)
    assert judge_ticket(ticket(left_us=0), wider) is Denial.EXPIRED
    assert judge_ticket(ticket(reads=5), wider) is Denial.USED_UP


def test_what_is_granted_since_the_ticket_was_issued_is_not_read():
    narrow = Scope.of(ISSUED.fields[:1])
    verdict = read(issued=narrow)
    assert isinstance(verdict, Cleared)
    assert verdict.scope.fields == narrow.fields


def test_what_is_taken_away_since_is_not_read_either():
    verdict = read(builders.snapshot(held("$.id")))
    assert isinstance(verdict, Cleared)
    assert [field.line for field in verdict.scope.fields] == ["$.id pass string other public"]


@pytest.mark.parametrize(
    "stop",
    [
        "everything",
        "connector:acme",
        "subscription:acme-orders",
        "event-type:order.paid",
        "host:hooks.acme.example",
        "tenant:north",
    ],
)
def test_every_switch_that_stops_letters_stops_reads(stop):
    verdict = read(builders.snapshot(held(), stop))
    assert isinstance(verdict, Refusal)
    assert deny(verdict) is Denial.HELD


def test_a_certificate_that_is_not_here_keeps_letters_back_and_no_reads():
    asking = held(asks_for="acme-mtls")
    today, moved = builders.snapshot(asking), builders.snapshot(asking, epoch=2)
    (closed,) = today.closed.values()
    assert closed.reasons == (Reason.CLIENT_IDENTITY_MISSING,)
    assert isinstance(read(today), Cleared)
    assert answer(moved, judged=today) is None


def test_a_certificate_that_is_not_here_opens_nothing_that_anything_else_keeps_closed():
    verdict = read(builders.snapshot(held(asks_for="acme-mtls"), "everything"))
    assert isinstance(verdict, Refusal)
    assert set(verdict.reasons) == {Reason.CLIENT_IDENTITY_MISSING, Reason.SWITCH_ON}
    assert deny(verdict) is Denial.HELD


def test_what_is_not_kept_any_more_is_gone():
    verdict = read(leased=builders.leased(builders.event(payload=None)))
    assert isinstance(verdict, Refusal)
    assert deny(verdict) is Denial.GONE


def test_a_subscription_that_went_to_another_partner_takes_no_ticket_along():
    assert isinstance(read(of=ticket(connector="brook")), Refusal)


@pytest.mark.parametrize("by", [SIGNER, CLIENT])
def test_a_credential_that_is_listed_no_more_reads_nothing(by):
    assert isinstance(read(by=Known("acme", by)), Cleared)
    gone = builders.snapshot(held(callers=()))
    assert isinstance(read(gone, by=Known("acme", by)), Refusal)


def answer(snapshot, *, judged=TODAY, now=1.0, lease_ends=2.0):
    cleared = read(judged)
    assert isinstance(cleared, Cleared)
    return may_answer(
        cleared, ticket(), ACME, ISSUED, snapshot, now=now, policy_lease_ends=lease_ends
    )


def test_an_answer_leaves_under_the_snapshot_it_was_judged_under():
    assert answer(TODAY) is None


def test_an_answer_leaves_where_policy_moved_and_says_the_same():
    assert answer(builders.snapshot(held(), epoch=2)) is None


def test_nothing_is_answered_from_the_instant_the_policy_lease_has_run_out():
    assert Stopped(Reason.POLICY_LEASE_EXPIRED) == answer(TODAY, now=2.0)


def test_what_moved_at_the_last_instant_keeps_the_answer_back():
    assert Stopped(Reason.SWITCH_ON) == answer(builders.snapshot(held(), "everything", epoch=2))
    assert Stopped(Reason.POLICY_CHANGED) == answer(builders.snapshot(held("$.id"), epoch=2))
    assert Stopped(Reason.POLICY_CHANGED) == answer(builders.snapshot(held(callers=()), epoch=2))
