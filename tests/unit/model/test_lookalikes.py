"""What a reviewer is told of a name that is not what it looks like (egress spec N4)."""

import pytest

from dispatcher.model.host import parse_host
from dispatcher.model.lookalikes import describe, shapes_of


def test_n4_a_plain_name_takes_no_words():
    assert describe("hooks.acme.example", shapes_of(["hooks.acme.example", "other.example"])) == ()


def test_n4_letters_of_another_script_and_mixtures_are_named():
    typed = "p\u0430ypal.example"
    notes = describe(parse_host(typed), shapes_of([]))
    assert notes[0] == f"{parse_host(typed)} is written {typed}"
    assert "Cyrillic and Latin letters, mixed" in notes[1]
    assert describe(parse_host("bücher.example"), shapes_of([]))[1:] == ()


@pytest.mark.parametrize(
    "host", ["\u0430cme.example", "acmе.example", "äcme.example", "acrne.example", "ac-me.example"]
)
def test_n4_a_look_alike_of_a_listed_host_is_pointed_out(host):
    notes = describe(parse_host(host), shapes_of(["acme.example", parse_host(host)]))
    assert notes[-1].endswith("looks like acme.example, which is listed, and is another host")
