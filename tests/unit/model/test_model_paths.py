"""Paths, targets and endpoints: the small grammars of the model."""

import pytest

from dispatcher.model.path import format_path, parse_path
from dispatcher.model.switch import Target, TargetKind


@pytest.mark.parametrize(
    "text", ["$.a", "$.a.b-c", "$.lines[*].sku", "$['odd key'][*]", "$.a[*][*]"]
)
def test_a_path_survives_reading_and_writing(text):
    assert text == format_path(parse_path(text))


@pytest.mark.parametrize(
    "text", ["", "a", "$", "$[*]", "$.", "$..a", "$.a[0]", "$.a[1:2]", "$.a[?@.b]", "$.a,b", "$.1a"]
)
def test_what_is_not_in_the_path_grammar_is_refused(text):
    with pytest.raises(ValueError, match=r"path|understood"):
        parse_path(text)


@pytest.mark.parametrize("text", ["everything", "tenant:a", "host:a.example", "event-type:a.b"])
def test_a_target_survives_reading_and_writing(text):
    assert text == str(Target.parse(text))


def test_a_target_may_hold_a_colon_in_its_name():
    assert Target(TargetKind.TENANT, "a:b") == Target.parse("tenant:a:b")


@pytest.mark.parametrize("text", ["", "tenant", "tenant:", "everything:x", "nothing:x", "Tenant:x"])
def test_a_target_that_is_none_is_refused_with_the_kinds_there_are(text):
    with pytest.raises(ValueError, match="connector:NAME"):
        Target.parse(text)
