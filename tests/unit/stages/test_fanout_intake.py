"""Which payloads are taken in."""

import pytest

from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.fanout.intake import check_payload
from tests.unit.stages import builders


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


def test_a_broken_schema_takes_nothing_in():
    assert "the schema of order.paid is broken" == refusal_of(b"{}", {"type": "nonsense"}).detail
