"""Paths, targets and endpoints: the small grammars of the model."""

import pytest

from dispatcher.model.endpoint import parse_endpoint
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


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://A.Example", "https://a.example:443/"),
        ("https://a.example.:8443/x?y=1", "https://a.example:8443/x?y=1"),
        ("http://[::0001]:80/", "http://[::1]:80/"),
        ("https://8.8.8.8/", "https://8.8.8.8:443/"),
    ],
)
def test_an_endpoint_has_one_form(url, shown):
    assert shown == str(parse_endpoint(url))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "//a.example/",
        "https://user@a.example/",
        "https://a.example/#x",
        "https://a.example/ x",
        "https://a.example/\n",
        "https://a.example\\@b.example/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:+80/",
        "https://a%2eexample/",
        "https://ä.example/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://127.1/",
        "https://010.0.0.1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1].example/",
        "https://[v1.a]/",
        "https://a..example/",
        "https://-a.example/",
        "https://" + "a" * 64 + ".example/",
        "https://a.example/" + "x" * 2048,
    ],
)
def test_an_ambiguous_url_is_refused(url):
    with pytest.raises(ValueError, match=r".+"):
        parse_endpoint(url)
