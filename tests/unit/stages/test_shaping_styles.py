"""How a letter looks: styles, formats, the person it names, ceilings, and what actions make."""

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat

from dispatcher.model.letter import Shaped
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.path import format_path
from dispatcher.model.registry import Style, WireFormat
from dispatcher.model.token import write_value
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.shaping.shape import shape
from dispatcher.stages.shaping.tokens import TokensWanted
from tests.unit.stages.builders import ORDER, TOKENS, admitted, leaf, record

PAYLOAD = (
    b'{"id":"o1","total":7,"customer":{"name":"Ada","email":"ada@example.com"},'
    b'"lines":[{"sku":"a","qty":1},{"sku":"b","qty":2}]}'
)


def shaped(*grants: str, payload: bytes = PAYLOAD, **more) -> Shaped:
    letter = shape(admitted(payload, *grants, **more), TOKENS)
    assert isinstance(letter, Shaped)
    return letter


def body(*grants: str, **more):
    return json.loads(shaped(*grants, **more).plaintext)


def fields(letter: Shaped) -> list[str]:
    return [f"{format_path(field.path)} {field.action}" for field in letter.disclosed]


def test_an_action_is_done_to_what_leaves():
    grants = ("$.id", "$.customer.email mask(first=1)", "$.total generalise(bucket=5)")
    assert body(*grants)["data"] == {"id": "o1", "customer": {"email": "a***"}, "total": 5}


def test_a_token_is_the_same_wherever_the_value_stands():
    data = body("$.customer.email pseudonym(a)", "$.customer.name pseudonym(a)")["data"]
    assert data["customer"]["email"].startswith("tok_1")
    assert data["customer"]["email"] != data["customer"]["name"]
    assert data == body("$.customer.email pseudonym(a)", "$.customer.name pseudonym(a)")["data"]


def test_what_an_action_is_not_made_for_is_dropped_and_told():
    letter = shaped("$.id generalise(year)", "$.total")
    assert json.loads(letter.plaintext)["data"] == {"total": 7}
    assert ["$.id"] == [format_path(field.path) for field in letter.dropped]
    assert ["$.total pass"] == fields(letter)


def test_a_wrong_type_is_dropped_and_told():
    letter = shaped("$.id", "$.customer.name", payload=b'{"id":5,"customer":["Ada"]}')
    assert json.loads(letter.plaintext)["data"] == {}
    assert {"$.id", "$.customer.name"} == {format_path(field.path) for field in letter.dropped}


def test_what_is_absent_or_null_is_not_dropped():
    letter = shaped("$.id", "$.customer.name", payload=b'{"customer":null}')
    assert letter.dropped == ()


def test_a_constant_does_not_tell_that_there_is_null():
    schema = record(born=leaf(["string", "null"]))
    for payload in (b'{"born":null}', b'{"born":"1990"}'):
        assert body('$.born const("x")', schema=schema, payload=payload)["data"] == {"born": "x"}


def test_null_stays_null_under_an_action_that_makes_something_of_a_value():
    schema = record(born=leaf(["string", "null"]))
    data = body("$.born generalise(year)", schema=schema, payload=b'{"born":null}')["data"]
    assert data == {"born": None}


def test_a_field_for_the_partner_alone_needs_its_key():
    jwk = '{"kty":"OKP","crv":"X25519","x":"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"}'
    keys = (PartnerKey(kid="k1", jwk=jwk),)
    # The tokens of this test hold no key of the partner: nothing is sent in its place.
    letter = shaped("$.id encrypt(k1)", keys=keys)
    assert json.loads(letter.plaintext)["data"] == {}
    assert ["$.id"] == [format_path(field.path) for field in letter.dropped]


def test_random_tokens_are_asked_for_before_anything_is_shaped():
    wanted = shape(admitted(PAYLOAD, "$.customer.email vault(mail)", "$.id"), TOKENS)
    assert wanted == TokensWanted(frozenset({("mail", "sada@example.com")}))
    assert "ada" not in repr(wanted)


def test_no_token_is_asked_for_where_the_letter_would_be_too_large_anyway():
    payload = json.dumps({"lines": [{"sku": f"s{at}"} for at in range(5)]}).encode()
    refused = shape(admitted(payload, "$.lines[*].sku vault(a)", records_max=4), TOKENS)
    assert isinstance(refused, Refusal)
    assert (Reason.TOO_MANY_RECORDS,) == refused.reasons


def test_the_person_is_named_only_where_that_is_granted():
    assert "subject" not in body("$.id", subjects=("user-1",))


def test_the_person_is_named_by_a_pseudonym():
    found = body("@subject", subjects=("user-1",))
    assert found["subject"] == TOKENS.pseudonym("subject", write_value("user-1"))
    assert list(found) == ["id", "type", "timestamp", "subject", "data"]
    assert ["@subject pseudonym(subject)"] == fields(shaped("@subject", subjects=("user-1",)))


def test_the_raw_id_of_a_person_leaves_by_an_exception():
    assert body("@subject pass", subjects=("user-1",))["subject"] == "user-1"


def test_several_people_are_named_in_a_list():
    found = body("@subject", subjects=("user-1", "user-2"))
    assert "subject" not in found
    assert [
        TOKENS.pseudonym("subject", write_value(each)) for each in ("user-1", "user-2")
    ] == found["subjects"]


def test_an_event_about_nobody_names_nobody():
    letter = shaped("@subject")
    assert not {"subject", "subjects"} & json.loads(letter.plaintext).keys()
    assert fields(letter) == []


def test_a_field_of_that_name_is_another_thing():
    schema = record(subject=leaf())
    found = body("$.subject", schema=schema, payload=b'{"subject":"x"}', subjects=("user-1",))
    assert found["data"] == {"subject": "x"}
    assert "subject" not in found


def test_a_thin_letter_names_the_event_and_where_to_fetch_it():
    letter = shaped("$.id", "@subject", style=Style.THIN, subjects=("user-1",))
    found = json.loads(letter.plaintext)
    assert list(found) == ["id", "type", "timestamp", "subject", "ref", "ticket"]
    assert found["ref"] == "/v1/refs/msg_1"
    assert found["ticket"] == TOKENS.ticket("msg_1")
    assert ["@subject pseudonym(subject)"] == fields(letter)


def test_a_structured_cloudevent_is_one_to_a_library_of_the_cncf():
    letter = shaped("$.id", "@subject", format=WireFormat.CLOUDEVENTS, subjects=("user-1",))
    message = HTTPMessage({"content-type": letter.content_type}, letter.plaintext)
    event = from_structured_event(message, JSONFormat())
    assert event.get_id() == "msg_1"
    assert event.get_type() == "order.paid"
    assert event.get_source() == "urn:dispatcher:acme-orders"
    assert event.get_subject() == TOKENS.pseudonym("subject", write_value("user-1"))
    assert event.get_time() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert event.get_data() == {"id": "o1"}
    assert letter.content_type == "application/cloudevents+json"


def test_a_thin_cloudevent_holds_only_attributes():
    letter = shaped("$.id", format=WireFormat.CLOUDEVENTS, style=Style.THIN)
    message = HTTPMessage({"content-type": letter.content_type}, letter.plaintext)
    event = from_structured_event(message, JSONFormat())
    assert event.get_extension("ref") == "/v1/refs/msg_1"
    assert event.get_data() is None


def test_an_attribute_of_a_cloudevent_names_no_list_of_people():
    letter = shaped("@subject", format=WireFormat.CLOUDEVENTS, subjects=("user-1", "user-2"))
    assert not {"subject", "subjects"} & json.loads(letter.plaintext).keys()
    assert fields(letter) == []


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"subjects_max": 1}, Reason.TOO_MANY_SUBJECTS),
        ({"records_max": 1}, Reason.TOO_MANY_RECORDS),
    ],
)
def test_a_letter_beyond_a_ceiling_is_parked_and_never_cut(limit, reason):
    letter = admitted(PAYLOAD, "$.lines[*].sku", subjects=("user-1", "user-2"), **limit)
    refused = shape(letter, TOKENS)
    assert isinstance(refused, Refusal)
    assert (reason,) == refused.reasons
    assert "2" in refused.detail
    assert not refused.is_hold


def test_a_body_beyond_its_ceiling_is_parked_and_never_cut():
    payload = json.dumps({"id": "x" * 1024}).encode()
    refused = shape(admitted(payload, "$.id", body_bytes_max=1024), TOKENS)
    assert isinstance(refused, Refusal)
    assert (Reason.BODY_TOO_LARGE,) == refused.reasons
    assert "xx" not in repr(refused)


def test_the_entries_of_a_map_count_as_records():
    payload = b'{"rates":{"a":1,"b":2}}'
    refused = shape(admitted(payload, "$.rates[*]", schema=ORDER, records_max=1), TOKENS)
    assert isinstance(refused, Refusal)
    assert (Reason.TOO_MANY_RECORDS,) == refused.reasons
