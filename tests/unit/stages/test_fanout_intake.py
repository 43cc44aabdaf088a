"""Which payloads are taken in."""

import json
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.schema import has_twins
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.fanout.intake import check_payload, check_subjects
from tests.support import payloads
from tests.unit.stages import builders

TOTALS = {"properties": {"id": {"type": "string"}, "total": {"type": "integer"}}}


class Members(list[tuple[str, Any]]):
    """The members of an object as they are written, namesakes too."""


def is_doubled(node: object) -> bool:
    if isinstance(node, Members):
        names = [name for name, _ in node]
        return len(set(names)) < len(names) or any(is_doubled(each) for _, each in node)
    return isinstance(node, list) and any(map(is_doubled, node))


def written(node: object, chance: Random) -> str:
    """Write a document with blanks and escapes wherever they may stand."""
    if isinstance(node, Members):
        members = (
            f"{written(name, chance)}{chance.choice(['', ' '])}:{written(inner, chance)}"
            for name, inner in node
        )
        return f"{{{','.join(members)}}}"
    if isinstance(node, list):
        return f"[{', '.join(written(each, chance) for each in node)}]"
    text = json.dumps(node)
    return text.replace(":", chance.choice([":", "\\u003a", "\\u003A"]))


def refusal_of(payload: bytes, schema=None, **more) -> Refusal:
    verdict = check_payload(payload, builders.event_type(schema=schema, **more))
    assert isinstance(verdict, Refusal)
    return verdict


def test_a_payload_that_keeps_to_its_schema_is_taken_in():
    payload = b'{"id":"o1","total":5,"lines":[{"sku":"s","qty":1}]}'
    assert check_payload(payload, builders.event_type()) is None


def test_a_payload_over_the_limit_is_refused_with_both_sizes():
    verdict = refusal_of(b'{"id":"o1"}', payload_bytes_max=10)
    assert ("payload_too_large", "11 bytes, at most 10") == (verdict.code, verdict.detail)


def test_a_payload_of_exactly_the_limit_is_taken_in():
    assert check_payload(b'{"id":"o1"}', builders.event_type(payload_bytes_max=11)) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800 "}',
        b'{"a":"\xff"}',
        b'{"\xff":1}',
        b'{"a":1e999}',
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_what_is_not_strict_json_is_refused(payload):
    verdict = refusal_of(payload)
    assert ((Reason.SCHEMA_INVALID,), "not JSON") == (verdict.reasons, verdict.detail)


@pytest.mark.parametrize("payload", [b"[]", b'"x"', b"1", b"null"])
def test_a_payload_must_be_an_object(payload):
    assert "not a JSON object" == refusal_of(payload).detail


def test_nesting_is_capped_at_64():
    schema = {"type": "object"}
    at_cap = b'{"a":' * 63 + b"[]" + b"}" * 63
    assert check_payload(at_cap, builders.event_type(schema=schema)) is None
    beyond = b'{"a":' * 64 + b"[1]" + b"}" * 64
    assert "nested deeper than 64" == refusal_of(beyond, schema).detail


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (b'{"id":5}', "$.id: type"),
        (b'{"customer":{"email":["x@canary"]}}', "$.customer.email: type"),
        (b'{"lines":[{"sku":"a"},{"sku":7}]}', "$.lines[*].sku: type"),
        (b'{"rates":{"canary":"canary"}}', "$.rates[*]: type"),
    ],
)
def test_a_refusal_names_the_place_and_the_keyword(payload, detail):
    assert detail == refusal_of(payload).detail


@pytest.mark.parametrize(
    ("schema", "payload", "detail"),
    [
        ({"required": ["id"]}, b"{}", "$.id: required"),
        ({"additionalProperties": False}, b'{"canary":1}', "$[*]: falseSchema"),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            b'{"canary":1}',
            "$: additionalProperties",
        ),
        ({"properties": {"a": {"enum": ["x"]}}}, b'{"a":"canary"}', "$.a: enum"),
        ({"properties": {"a": {"pattern": "^x$"}}}, b'{"a":"canary"}', "$.a: pattern"),
        ({"anyOf": [{"required": ["x"]}]}, b'{"canary":"canary"}', "$: anyOf"),
        ({"propertyNames": {"maxLength": 1}}, b'{"canary":1}', "$: propertyNames"),
        ({"patternProperties": {"c": {"type": "null"}}}, b'{"canary":1}', "$[*]: type"),
        (
            {"properties": {"properties": {"type": "null"}}},
            b'{"properties":1}',
            "$.properties: type",
        ),
    ],
)
def test_a_refusal_never_repeats_the_data(schema, payload, detail):
    verdict = refusal_of(payload, schema)
    assert detail == verdict.detail
    assert "canary" not in verdict.detail


def test_a_format_is_not_asserted():
    schema = {"properties": {"a": {"type": "string", "format": "email"}}}
    assert check_payload(b'{"a":"no address"}', builders.event_type(schema=schema)) is None


def test_an_integer_beyond_64_bits_is_an_integer():
    schema = {"properties": {"a": {"type": "integer"}}}
    payload = b'{"a":18446744073709551617}'
    assert check_payload(payload, builders.event_type(schema=schema)) is None


@pytest.mark.parametrize("case", payloads.REFUSED)
def test_what_readers_of_json_read_differently_is_refused(case):
    payload, detail = payloads.REFUSED[case]
    assert detail == refusal_of(payload, TOTALS).detail


@pytest.mark.parametrize("payload", payloads.EXACT)
def test_what_can_be_kept_to_the_digit_is_taken_in(payload):
    assert check_payload(payload, builders.event_type(schema=TOTALS)) is None


NAMES = st.text(st.sampled_from('a:"\\u003 '), max_size=4)
MEMBERS = st.recursive(
    st.one_of(NAMES, st.none(), st.integers()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.tuples(NAMES, inner), max_size=3).map(Members),
    ),
)


@given(MEMBERS, st.randoms(use_true_random=False))
def test_a_name_given_twice_is_found_however_the_text_is_written(node, chance):
    text = written(node, chance).encode()
    assert has_twins(text, msgspec.json.decode(text)) is is_doubled(node)


@pytest.mark.parametrize(
    ("most", "count", "is_taken"), [(2, 2, True), (2, 3, False), (0, 1, False)]
)
def test_an_event_is_about_so_many_at_most(most, count, is_taken):
    verdict = check_subjects(count, builders.event_type(subjects_max=most))
    assert (verdict is None) is is_taken
    if verdict is not None:
        assert ("too_many_subjects", f"{count} subjects, at most {most}") == (
            verdict.code,
            verdict.detail,
        )


def test_a_broken_schema_takes_nothing_in():
    assert "the schema of order.paid is broken" == refusal_of(b"{}", {"type": "nonsense"}).detail
