"""Who may enqueue what, by each way to be known."""

import pytest

from dispatcher.model.producers import (
    Writer,
    judge_producer,
    list_producers,
    producer_of_principal,
)
from dispatcher.model.verdict import Reason, Refusal
from tests.unit.stages.builders import producer

ORDERS = producer("orders", database_roles=("orders_app",), principals=("orders-svc",))
BILLING = producer("billing", event_types=("*",), tenants=("*",), database_roles=("billing_app",))
LISTED = list_producers((ORDERS, BILLING))
OPEN = list_producers(())


def judged(name="default", role=None, kind="order.paid", tenant="north", rule=LISTED):
    return judge_producer(rule, Writer(name, role), kind, tenant)


def said(verdict):
    assert isinstance(verdict, Refusal)
    assert verdict.reasons == (Reason.PRODUCER_NOT_ALLOWED,)
    assert not verdict.is_hold
    return verdict.detail


def test_where_no_producer_is_listed_there_is_no_rule():
    assert judged("anybody", rule=OPEN) == "anybody"
    assert judged("anybody", "some_role", "no.such", "any", rule=OPEN) == "anybody"
    assert producer_of_principal(OPEN, "svc", "order.paid", "north") == "svc"


def test_a_producer_may_enqueue_its_event_types_for_its_tenants():
    assert judged("orders") == "orders"
    assert judged("orders", "orders_app") == "orders"
    assert producer_of_principal(LISTED, "orders-svc", "order.paid", "north") == "orders"


def test_a_star_stands_for_every_event_type_and_every_tenant():
    assert judged("billing", kind="a.b", tenant="south") == "billing"


def test_a_role_is_judged_by_itself_whatever_name_it_gives():
    assert judged("billing", "orders_app") == "orders"
    assert "'stranger' is no producer" in said(judged("orders", "stranger"))
    assert "may not enqueue order.sent" in said(judged("billing", "orders_app", "order.sent"))


def test_a_name_is_no_role_and_a_role_no_name():
    said(judged("orders_app"))
    said(judged("orders", "orders"))
    said(producer_of_principal(LISTED, "orders", "order.paid", "north"))
    said(producer_of_principal(LISTED, "orders_app", "order.paid", "north"))


@pytest.mark.parametrize("role", [None, "orders_app"])
def test_what_a_producer_was_not_given_is_refused(role):
    assert "may not enqueue order.sent" in said(judged("orders", role, "order.sent"))
    assert "for this tenant" in said(judged("orders", role, tenant="south"))
    # A star is a word of the registry, never of an event.
    said(judged("orders", role, kind="*"))
    said(judged("orders", role, tenant="*"))


def test_whoever_is_not_listed_is_refused_however_it_is_known():
    assert "'default' is no producer" in said(judged())
    said(judged("orders", ""))
    said(judged(""))
    said(producer_of_principal(LISTED, "ada", "order.paid", "north"))
