"""A change of schemas or registry tells which personal fields it brings, and who would see them."""

import copy
import json

import pytest

from dispatcher.testing.exposure import (
    News,
    assert_no_new_personal_fields,
    find_new_personal_fields,
)
from tests.support.integrations import ORDER, PERSONAL, REGISTRY, write_integrations
from tests.unit.stages.builders import leaf, record


@pytest.fixture
def before(tmp_path):
    return write_integrations(tmp_path / "before")


def changed(**customer):
    """Give the schema with other members of the customer; `None` takes one out."""
    schema = copy.deepcopy(ORDER)
    schema["properties"]["customer"]["properties"] |= customer
    return schema


@pytest.fixture
def compare(before, tmp_path):
    def ask(schema=ORDER, registry=REGISTRY, **named):
        after = write_integrations(tmp_path / "after", schema, registry)
        return find_new_personal_fields(before=before, after=after)

    return ask


def said(before, after, **named):
    with pytest.raises(AssertionError) as caught:
        assert_no_new_personal_fields(before=before, after=after, **named)
    return str(caught.value)


def test_nothing_is_told_where_nothing_changed(before, compare):
    assert () == compare()
    assert_no_new_personal_fields(before=before, after=before)


@pytest.mark.parametrize(
    ("node", "what"),
    [
        (leaf(**PERSONAL), "confidential contact"),
        (leaf(category="pii", level="public"), "public pii"),
        (leaf(category="health", level="internal"), "internal health"),
        (leaf(level="confidential"), "confidential other"),
        (leaf(category="credential", level="public"), "public credential"),
    ],
)
def test_a_new_personal_or_sensitive_field_is_told_even_if_nobody_sees_it(compare, node, what):
    [found] = compare(changed(nick=node))
    assert ("order.paid $.customer.nick", News.FIELD, what) == (found.name, found.news, found.what)
    assert () == found.seen_by


@pytest.mark.parametrize("level", ["public", "internal"])
def test_a_new_field_that_is_neither_is_not(compare, level):
    assert () == compare(changed(tier=leaf(level=level)))


def test_who_would_see_it_is_told_with_the_action(compare):
    registry = REGISTRY.replace('["$.id", "$.lines', '["$.customer.nick mask(first=1)", "$.lines')
    [found] = compare(changed(nick=leaf(**PERSONAL)), registry)
    assert ("acme-orders (mask(first=1))",) == found.seen_by
    assert (
        "order.paid $.customer.nick: new field (confidential contact); "
        "seen by acme-orders (mask(first=1))" == str(found)
    )


@pytest.mark.parametrize(
    "node", [{"type": "string"}, {}, True, {"anyOf": [leaf()]}, {"type": "string", "enum": ["a"]}]
)
def test_a_place_without_a_class_is_told(compare, node):
    [found] = compare(changed(nick=node))
    assert News.UNCLASSIFIED is found.news


def test_a_class_that_is_taken_away_is_told(compare):
    [found] = compare(changed(email={"type": "string"}))
    assert ("order.paid $.customer.email", News.UNCLASSIFIED) == (found.name, found.news)


def test_a_class_that_is_lowered_is_told_with_what_it_was(compare):
    [found] = compare(changed(born=leaf(category="pii", level="confidential")))
    assert ("$.customer.born", News.LOWERED) == (found.path, found.news)
    assert "confidential pii, was restricted pii" == found.what
    assert ("acme-thin (pass)",) == found.seen_by


def test_a_personal_field_that_is_called_none_is_told(compare):
    [found] = compare(changed(phone=leaf(["string", "null"], level="confidential")))
    assert News.LOWERED is found.news


def test_a_field_that_becomes_personal_is_told(before, compare):
    schema = copy.deepcopy(ORDER)
    schema["properties"]["country"] = leaf(category="pii", level="internal")
    [found] = compare(schema)
    assert ("$.country", News.CLASS) == (found.path, found.news)


def test_a_class_that_is_raised_from_personal_to_more_is_not(compare):
    assert () == compare(changed(email=leaf(category="contact", level="restricted")))


@pytest.mark.parametrize(
    ("old", "new", "path", "seen_by"),
    [
        ('"@subject"]', '"@subject", "$.customer.phone"]', "$.customer.phone", "pass"),
        ("email pseudonym(customer)", "email", "$.customer.email", "pass"),
        ('"@subject"', '"@subject pass"', "@subject", "pass"),
    ],
)
def test_a_personal_field_that_a_partner_newly_sees_is_told(compare, old, new, path, seen_by):
    [found] = compare(registry=REGISTRY.replace(old, new, 1))
    assert (path, News.SEEN) == (found.path, found.news)
    assert (f"acme-orders ({seen_by})",) == found.seen_by


def test_a_clearance_that_is_raised_tells_what_it_lets_through(compare):
    [found] = compare(registry=REGISTRY.replace('"confidential"', '"restricted"', 1))
    assert ("$.customer.born", News.SEEN, ("acme-thin (pass)",)) == (
        found.path,
        found.news,
        found.seen_by,
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (', "$.customer.email pseudonym(customer)"', ""),
        ("pseudonym(customer)", 'const(\\"hidden\\")'),
        ('"$.id", "$.lines', '"$.total", "$.lines'),
    ],
)
def test_what_narrows_or_is_not_personal_is_not_told(compare, old, new):
    assert () == compare(registry=REGISTRY.replace(old, new, 1))


def test_every_delicate_field_of_a_new_event_type_is_told(before, tmp_path):
    after = write_integrations(tmp_path / "after")
    schema = json.dumps(record(mail=leaf(**PERSONAL), id=leaf()))
    (after / "schemas" / "order.sent.json").write_text(schema)
    more = '[[event_type]]\nname = "order.sent"\nschema = "schemas/order.sent.json"\n'
    (after / "more.toml").write_text(more)
    [found] = find_new_personal_fields(before=before, after=after)
    assert "order.sent $.mail" == found.name


def test_schemas_alone_can_be_compared(before, tmp_path):
    after = write_integrations(tmp_path / "after", changed(nick=leaf(**PERSONAL)))
    for place in ("schemas", "schemas/order.paid.json"):
        text = said(before / place, after / place)
        assert (
            "order.paid $.customer.nick: new field (confidential contact); seen by nobody yet"
            in (text)
        )


def test_a_field_that_was_looked_at_is_accepted_and_no_other(before, tmp_path):
    schema = changed(nick=leaf(**PERSONAL), mobile=leaf(**PERSONAL))
    after = write_integrations(tmp_path / "after", schema)
    both = ["order.paid $.customer.nick", "order.paid $.customer.mobile"]
    assert_no_new_personal_fields(before=before, after=after, accept=both)
    text = said(before, after, accept=both[:1])
    assert text.startswith("1 field to look at:")
    assert "$.customer.mobile" in text
    assert "$.customer.nick" not in text


def test_a_field_that_is_accepted_and_not_new_is_told(before):
    text = said(before, before, accept=["order.paid $.customer.nick"])
    assert "order.paid $.customer.nick: accepted, and there is nothing new of it" in text
