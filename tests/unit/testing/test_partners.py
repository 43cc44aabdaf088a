"""What a product's tests are told that each partner would see."""

import json
import re
from dataclasses import replace

import pytest

from dispatcher.model.errors import InvalidInput, NotFound, RegistryInvalid
from dispatcher.model.partner_key import PartnerKey
from dispatcher.testing.files import read_registry
from dispatcher.testing.partners import Partners
from tests.support.integrations import PAYLOAD, write_integrations


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    return read_registry(write_integrations(tmp_path_factory.mktemp("integrations") / "files"))


@pytest.fixture(scope="module")
def partners(registry):
    return Partners(registry)


@pytest.fixture
def view(partners):
    return partners["acme-orders"].sees("order.paid", PAYLOAD, subjects=["ann"])


def said(call, *args, **named):
    with pytest.raises(AssertionError) as caught:
        call(*args, **named)
    return str(caught.value)


def test_the_data_is_what_is_granted_and_nothing_else(view):
    email = view.data["customer"]["email"]
    assert re.fullmatch("tok_1_[a-z2-7]{26}", email)
    assert {"id": "o-1", "customer": {"email": email}, "lines": [{"sku": "s-1"}]} == view.data
    assert json.loads(view.body)["data"] == view.data
    assert re.fullmatch("tok_1_[a-z2-7]{26}", json.loads(view.body)["subject"])


def test_what_leaves_is_told_as_grants_and_what_stays_with_its_reason(view):
    assert (
        "$.customer.email pseudonym(customer)",
        "$.id",
        "$.lines[*].sku",
        "@subject pseudonym(subject)",
    ) == view.sees
    assert {
        "$.total": ("ungranted",),
        "$.country": ("ungranted",),
        "$.customer.phone": ("ungranted",),
        "$.customer.born": ("ungranted", "over_clearance"),
        "$.lines[*].note": ("ungranted",),
    } == view.withheld


def test_a_test_that_says_what_is_so_passes(view):
    view.assert_sees("$.id")
    view.assert_sees(
        only=["$.id", "$.lines[*].sku", "$.customer.email pseudonym(customer)", "@subject"]
    )
    view.assert_hides("$.customer.phone", "$.customer.born", "$.total")
    view.assert_lacks("ann@acme.org", "+4915112345")


def test_a_field_more_than_listed_is_named_with_its_class_and_action(view):
    text = said(view.assert_sees, only=["$.id", "$.lines[*].sku", "@subject"])
    assert (
        "acme-orders (connector acme) sees $.customer.email (confidential contact, "
        "pseudonym(customer)), which the test does not list" in text
    )
    assert "ann@acme.org" not in text


def test_a_field_that_leaves_otherwise_than_said_is_named(view):
    text = said(view.assert_sees, "$.customer.email")
    assert "pseudonym(customer)), and the test says pass" in text


def test_a_field_that_does_not_leave_is_named_with_the_reason(view):
    text = said(view.assert_sees, "$.customer.born", "$.total")
    assert "does not see $.customer.born (ungranted, over_clearance)" in text
    assert "does not see $.total (ungranted)" in text


def test_a_field_that_is_not_in_the_event_is_not_seen(view):
    assert "does not see $.customer.password (not in this event)" in said(
        view.assert_sees, "$.customer.password"
    )


@pytest.mark.parametrize("path", ["$.customer.email", "$.customer"])
def test_what_is_to_be_hidden_counts_below_its_path_and_as_a_token_too(view, path):
    text = said(view.assert_hides, path)
    assert "sees $.customer.email (confidential contact, pseudonym(customer))" in text
    assert "which the test hides" in text


@pytest.mark.parametrize("ask", ["assert_hides", "assert_sees"])
def test_a_path_that_nobody_declared_fails_and_the_nearest_is_named(view, ask):
    text = said(getattr(view, ask), "$.customer.emial")
    assert "order.paid has no $.customer.emial" in text
    assert "did you mean $.customer.email?" in text


def test_a_path_that_cannot_be_read_fails(view):
    assert "is not understood" in said(view.assert_hides, "customer..email")


def test_an_undeclared_field_of_the_event_stays_and_may_be_asked_about(partners):
    view = partners["acme-orders"].sees("order.paid", PAYLOAD | {"note": "Ann"})
    view.assert_hides("$.note")
    assert ("undeclared",) == view.withheld["$.note"]


def test_a_text_that_is_part_of_another_is_found(partners):
    view = partners["acme-orders"].sees("order.paid", {"id": "order-of-ann@acme.org"})
    text = said(view.assert_lacks, "ann@acme.org", "bob")
    assert "sees 1 of the texts" in text
    assert "ann@acme.org" not in text


def test_the_report_lists_every_field_and_no_value(view):
    report = view.report()
    for path in ("$.id", "$.customer.born", "$.lines[*].note"):
        assert path in report
    assert "leaves   $.customer.email confidential contact, pseudonym(customer)" in report
    assert not [value for value in ("o-1", "4200", "ann@", "s-1", "fragile") if value in report]


def test_what_a_thin_letter_lets_fetch_counts_as_seen(partners):
    view = partners["acme-thin"].sees("order.paid", PAYLOAD)
    assert "data" not in json.loads(view.body)
    assert {"id": "o-1"} == view.data
    view.assert_sees(only=["$.id"])
    assert ("over_clearance",) == view.withheld["$.customer.born"]


def test_tokens_join_for_one_partner_and_not_for_two(registry):
    other = replace(registry.connectors[0], name="other")
    held = replace(
        registry,
        connectors=(*registry.connectors, other),
        subscriptions=(
            *registry.subscriptions,
            replace(registry.subscriptions[0], name="other-orders", connector="other"),
        ),
    )
    partners = Partners(held)

    def token(name, order):
        payload = PAYLOAD | {"id": order}
        return partners[name].sees("order.paid", payload).data["customer"]["email"]

    assert token("acme-orders", "o-1") == token("acme-orders", "o-2")
    assert token("acme-orders", "o-1") != token("other-orders", "o-1")


def test_a_field_is_encrypted_only_where_the_partner_gave_the_key(registry):
    acme, orders = registry.connectors[0], registry.subscriptions[0]
    scope = {"order.paid": ("$.customer.email encrypt(their-key)",)}
    for keys, is_sent in ((), False), ((PartnerKey(kid="their-key", jwk="{}"),), True):
        held = replace(
            registry,
            connectors=(replace(acme, keys=keys), registry.connectors[1]),
            subscriptions=(replace(orders, scope=scope),),
        )
        view = Partners(held)["acme-orders"].sees("order.paid", PAYLOAD)
        assert is_sent == ("customer" in view.data)
        view.assert_lacks("ann@acme.org")


def test_the_leak_guard_looks_too(partners):
    acme = partners["acme-orders"]
    acme.sees("order.paid", PAYLOAD).assert_no_leak()
    view = acme.sees("order.paid", {"id": "mail ann@acme.org"})
    text = said(view.assert_no_leak)
    assert "acme-orders (connector acme) would get what looks like email in $.id (alert)" in text
    assert "ann@acme.org" not in text
    view = acme.sees("order.paid", {"id": "sk_live_" + "a1B2" * 6})
    view.assert_refused("leak_suspected")
    assert "what looks like api_key in $.id (park)" in said(view.assert_no_leak)


def test_without_the_leak_guard_nothing_is_said_to_be_clean(registry, monkeypatch):
    monkeypatch.setattr("dispatcher.testing.partners.IS_INSTALLED", False)
    view = Partners(registry)["acme-orders"].sees("order.paid", {"id": "sk_live_" + "a1B2" * 6})
    view.assert_sees(only=["$.id"])
    assert "the leak guard is not installed" in said(view.assert_no_leak)
    assert "the leak guard is not installed" in view.report()


@pytest.mark.parametrize(
    ("payload", "named", "reason"),
    [
        ({"id": 7}, {}, "schema_invalid"),
        (b"{", {}, "schema_invalid"),
        ({"id": "x" * 70_000}, {}, "payload_too_large"),
        (PAYLOAD, {"tenant": "south"}, "tenant_not_served"),
    ],
)
def test_a_letter_that_would_not_be_sent_is_refused_and_hides_nothing(
    partners, payload, named, reason
):
    view = partners["acme-orders"].sees("order.paid", payload, **named)
    assert view.data is None
    view.assert_refused(reason)
    for ask in (view.assert_hides, view.assert_sees):
        assert (
            f"is sent nothing of this event\n\nacme-orders of order.paid:\n  not sent: {reason}"
            in (said(ask, "$.id").replace("(connector acme) ", ""))
        )
    assert "is sent nothing" in said(view.assert_lacks, "x")


def test_a_ceiling_refuses_as_on_the_road(partners):
    view = partners["acme-thin"].sees("order.paid", PAYLOAD, subjects=["a", "b", "c"])
    view.assert_refused("too_many_subjects")
    assert "is not refused for body_too_large" in said(view.assert_refused, "body_too_large")


def test_an_event_about_more_people_than_its_type_allows_is_refused(registry):
    types = tuple(replace(each, subjects_max=1) for each in registry.event_types)
    partner = Partners(replace(registry, event_types=types))["acme-orders"]
    partner.sees("order.paid", PAYLOAD, subjects=["a", "b"]).assert_refused("too_many_subjects")


def test_a_letter_that_is_sent_is_not_refused(view):
    assert "the test says it is refused" in said(view.assert_refused)


def test_an_event_type_that_a_partner_does_not_receive_is_refused(partners):
    view = partners["acme-orders"].sees("order.lost", {"id": "o-1"})
    view.assert_refused("event_type_not_subscribed")


def test_partners_are_found_by_name_and_by_event_type(partners):
    assert ["acme-orders", "acme-thin"] == [each.name for each in partners.of("order.paid")]
    assert () == partners.of("order.lost")
    assert 2 == len(partners)
    with pytest.raises(NotFound, match="name a subscription: acme-orders, acme-thin"):
        partners["left-orders"]
    with pytest.raises(NotFound, match=r"no event type 'order\.piad'"):
        partners.of("order.piad")


def test_a_payload_is_held_against_the_schema(partners):
    partners.assert_schema_accepts("order.paid", PAYLOAD)
    text = said(partners.assert_schema_accepts, "order.paid", {"id": 1, "total": "Ann"})
    assert "order.paid refuses the payload: schema_invalid" in text
    assert "Ann" not in text
    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        partners.assert_schema_accepts("order.paid", {"id": object()})


def test_a_sample_can_be_enqueued_and_is_always_the_same(partners):
    for seed in "abc":
        partners.assert_schema_accepts("order.paid", partners.sample("order.paid", seed))
    assert partners.sample("order.paid", "a") == partners.sample("order.paid", "a")


def test_a_subscription_that_does_not_hold_together_is_told_of(registry):
    lost = replace(registry.subscriptions[0], connector="nobody")
    with pytest.raises(RegistryInvalid, match="'acme-orders' does not hold together"):
        Partners(replace(registry, subscriptions=(lost,)))
