"""The exact plaintext of a delivery."""

from dataclasses import replace

import msgspec
import pytest

from dispatcher.model.letter import Shaped
from dispatcher.model.path import format_path
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.shaping import shape as shaping
from dispatcher.stages.shaping.envelope import format_moment
from tests.unit.stages.builders import ORDER, TOKENS, admitted, leaf, record


def shape(letter):
    return shaping.shape(letter, TOKENS)


def data_of(payload: bytes, *paths: str, schema=None):
    shaped = shape(admitted(payload, *paths, schema=schema))
    assert isinstance(shaped, Shaped)
    return msgspec.json.decode(shaped.plaintext)["data"]


def disclosed_by(payload: bytes, *paths: str):
    shaped = shape(admitted(payload, *paths, schema=ORDER))
    assert isinstance(shaped, Shaped)
    return [format_path(field.path) for field in shaped.disclosed]


def test_the_body_is_the_envelope_and_the_granted_fields():
    shaped = shape(admitted(b'{"id":"o1","total":7,"new":1}', "$.id"))
    assert isinstance(shaped, Shaped)
    assert (
        b'{"id":"msg_1","type":"order.paid","timestamp":"2023-11-14T22:13:20.000000Z",'
        b'"data":{"id":"o1"}}' == shaped.plaintext
    )


def test_without_a_grant_the_envelope_leaves_alone():
    assert {} == data_of(b'{"id":"o1"}')


def test_the_payload_is_not_in_the_repr_of_a_letter():
    assert "canary" not in repr(shape(admitted(b'{"id":"canary"}', "$.id")))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"{}", {}),
        (b'{"customer":{}}', {}),
        (b'{"customer":null}', {}),
        (b'{"customer":"x"}', {}),
        (b'{"customer":[{"name":"n"}]}', {}),
        (b'{"customer":{"name":null}}', {}),
        (b'{"customer":{"name":{"first":"n"}}}', {}),
        (b'{"customer":{"name":["n"]}}', {}),
        (b'{"customer":{"name":5}}', {}),
        (b'{"customer":{"name":"","more":1}}', {"customer": {"name": ""}}),
    ],
)
def test_only_a_scalar_of_the_granted_type_is_taken(payload, expected):
    assert expected == data_of(payload, "$.customer.name")


@pytest.mark.parametrize(
    ("kind", "text", "is_taken"),
    [
        ("integer", b"1", True),
        ("integer", b"true", False),
        ("integer", b"1.5", False),
        ("integer", b"1.0", True),
        ("integer", b"340282366920938463463374607431768211457", True),
        ("number", b"1", True),
        ("number", b"1.5", True),
        ("number", b"false", False),
        ("boolean", b"false", True),
        ("boolean", b"0", False),
        ("string", b"null", False),
        (["string", "null"], b"null", True),
        ("null", b"null", True),
        ("null", b"0", False),
    ],
)
def test_types_are_those_of_json_schema(kind, text, is_taken):
    data = data_of(b'{"a":' + text + b"}", "$.a", schema=record(a=leaf(kind)))
    assert ({"a": msgspec.json.decode(text)} if is_taken else {}) == data


def test_a_big_integer_keeps_every_digit():
    shaped = shape(admitted(b'{"total":340282366920938463463374607431768211457}', "$.total"))
    assert isinstance(shaped, Shaped)
    assert b"340282366920938463463374607431768211457" in shaped.plaintext


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b'[{"sku":"a","qty":1},{"sku":"b"}]', [{"sku": "a"}, {"sku": "b"}]),
        (b'[{"qty":1},{"sku":"b"}]', [{}, {"sku": "b"}]),
        (b'["x",{"sku":"b"},[1]]', [{}, {"sku": "b"}, {}]),
        (b'[{"qty":1},{}]', None),
        (b"[]", None),
        (b'{"sku":"a"}', None),
    ],
)
def test_elements_keep_their_places_when_one_of_them_has_a_granted_field(lines, expected):
    data = data_of(b'{"lines":' + lines + b"}", "$.lines[*].sku")
    assert expected == data.get("lines")


def test_entries_of_a_map_are_taken_and_an_array_in_its_place_is_not():
    assert {"rates": {"EUR": 1.5}} == data_of(b'{"rates":{"EUR":1.5,"x":"y"}}', "$.rates[*]")
    assert {} == data_of(b'{"rates":[1.5]}', "$.rates[*]")


def test_an_object_in_the_place_of_an_array_is_not_taken():
    schema = record(tags={"type": "array", "items": leaf()})
    assert {} == data_of(b'{"tags":{"ssn":"canary"}}', "$.tags[*]", schema=schema)
    assert {"tags": ["a"]} == data_of(b'{"tags":["a",1]}', "$.tags[*]", schema=schema)


def test_only_fields_that_really_left_are_listed_as_disclosed():
    paths = ("$.id", "$.customer.name", "$.lines[*].sku", "$.rates[*]")
    assert ["$.id", "$.lines[*].sku"] == disclosed_by(
        b'{"id":"o","customer":{"name":1},"lines":[{},{"sku":"s"}],"rates":{}}', *paths
    )
    assert [] == disclosed_by(b'{"lines":[{},{}]}', *paths)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"1", b'{"a":"\\ud800 "}', b"[" * 9999])
def test_an_unreadable_payload_is_refused(payload):
    verdict = shape(admitted(payload, "$.id"))
    assert isinstance(verdict, Refusal)
    assert (Reason.PAYLOAD_UNREADABLE,) == verdict.reasons


@pytest.mark.parametrize(
    ("moment_us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_000_001, "2023-11-14T22:13:20.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_a_moment_always_has_six_decimals(moment_us, text):
    assert text == format_moment(moment_us)


@pytest.mark.parametrize("moment_us", [-(2**63), 2**63 - 1, 10**30, 253_402_300_800_000_000])
def test_a_row_whose_moment_cannot_be_written_is_refused(moment_us):
    letter = admitted(b'{"id":"o1"}', "$.id")
    leased = letter.cleared.leased
    moved = replace(leased, event=replace(leased.event, occurred_us=moment_us))
    refused = shape(replace(letter, cleared=replace(letter.cleared, leased=moved)))
    assert isinstance(refused, Refusal)
    assert (Reason.EVENT_UNREADABLE,) == refused.reasons
    assert not refused.is_hold
