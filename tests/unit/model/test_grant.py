"""Grants as they stand in registry files."""

import pytest

from dispatcher.model.grant import parse_grant
from dispatcher.model.path import SUBJECT, format_path, parse_path


@pytest.mark.parametrize(
    ("text", "path", "action"),
    [
        ("$.order.id", "$.order.id", "pass"),
        ("$.order.id pass", "$.order.id", "pass"),
        ("$.lines[*].sku truncate(2)", "$.lines[*].sku", "truncate(2)"),
        ("$['odd key'] mask(last=4)", "$['odd key']", "mask(last=4)"),
        ("$['a pass']", "$['a pass']", "pass"),
        ('$.a const("b c")', "$.a", 'const("b c")'),
        ("@subject", "@subject", "pseudonym(subject)"),
        ("@subject pass", "@subject", "pass"),
        ("@subject vault(person)", "@subject", "vault(person)"),
    ],
)
def test_a_grant_is_a_path_and_an_action(text, path, action):
    grant = parse_grant(text)
    assert (path, action) == (format_path(grant.path), str(grant.action))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$",
        " $.a",
        "$.a ",
        "$.a  pass",
        "$.a pass pass",
        "$.a\tpass",
        "$.a,pass",
        "$.a|pass",
        "@subject.name",
        "@other",
        "@subject ",
        "@subjects",
        "@",
        "$..a",
        "$.a[0] pass",
        "pass",
    ],
)
def test_what_is_no_grant_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_grant(text)


def test_no_path_into_a_document_is_the_subject():
    for text in ("$.subject", "$['@subject']", "$['']"):
        try:
            assert parse_path(text) != SUBJECT
        except ValueError:
            continue
