"""What a product service hands in is brought into one form before the database is touched."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from dispatcher.model.errors import EnqueueRefused
from dispatcher.producer.submission import Submission, submit


def make(event_type: Any = "order.placed", payload: Any = None, **changed: Any) -> Submission:
    terms: dict[str, Any] = {
        "tenant": "shop",
        "subjects": ["ann"],
        "producer": "default",
        "idempotency_key": None,
        "ordering_key": None,
        "occurred_at": None,
        "traceparent": None,
    }
    return submit(event_type, {"id": "o"} if payload is None else payload, **terms | changed)


def test_a_mapping_becomes_compact_json_that_keeps_every_digit():
    assert make(payload={"total": 2**63, "price": Decimal("1.10")}).payload == (
        b'{"total":9223372036854775808,"price":"1.10"}'
    )


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_taken_as_they_are(kind: Any):
    assert make(payload=kind(b'{ "id" : 1 }')).payload == b'{ "id" : 1 }'


@pytest.mark.parametrize("subjects", [["ann", "bob"], ("ann", "bob")])
def test_subjects_keep_their_order(subjects: Any):
    assert make(subjects=subjects).subjects == '["ann","bob"]'


def test_whoever_is_named_twice_is_one_subject():
    made = make(subjects=["ann", "bob", "ann"])
    assert (made.subjects, made.subject_count) == ('["ann","bob"]', 2)


def test_a_null_that_was_meant_is_kept():
    assert make(payload={"a": None, "b": 1.5}).payload == b'{"a":null,"b":1.5}'


def test_an_event_about_nobody_says_so():
    assert make(subjects=[]).subjects == "[]"


def test_a_moment_becomes_microseconds_to_the_last_digit():
    assert make(occurred_at=datetime(2262, 4, 11, 23, 47, 16, 854775, UTC)).occurred_us == (
        9_223_372_036_854_775
    )
    assert make(occurred_at=datetime(1970, 1, 1, tzinfo=UTC)).occurred_us == 0
    assert make(occurred_at=datetime.max.replace(tzinfo=UTC)).occurred_us == 253402300799999999


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_a_moment_that_no_envelope_can_write_is_refused(moment: datetime):
    with pytest.raises(EnqueueRefused) as caught:
        make(occurred_at=moment)
    assert caught.value.reason == "occurred_at_invalid"


@pytest.mark.parametrize("payload", [{"a": 1j}, {1: object()}, {"n": "\udfff"}])
def test_what_json_cannot_hold_is_refused_without_being_quoted(payload: Any):
    with pytest.raises(EnqueueRefused) as caught:
        make(payload=payload)
    assert caught.value.reason == "schema_invalid"
    assert caught.value.__cause__ is None


def test_a_payload_is_in_no_repr():
    assert "secret" not in repr(make(payload={"id": "secret"}))


def test_a_payload_that_holds_itself_is_refused():
    loop: dict[str, Any] = {}
    loop["again"] = loop
    with pytest.raises(EnqueueRefused):
        make(payload=loop)
