"""Large documents, and such as readers of JSON disagree about, on the whole road."""

import json
import time
from typing import Any

import pytest

from dispatcher.model.errors import EnqueueRefused
from dispatcher.producer import enqueue
from tests.support.world_home import Home, Partner, until

MB = 1024 * 1024
INTEGERS = (
    *(2**63, 2**64, 2**64 + 1, -(2**63) - 1, 2**200 + 1, -(10**400), 10**4299 + 1),
    *(0, 2**53 + 1),
)
REFUSED = {
    "a member twice": b'{"order": 1, "order": 2}',
    "a member twice, once escaped": b'{"order": 1, "\\u006frder": 2}',
    "a member twice, deep in what nobody declared": b'{"order": 1, "x": [{"a": 1, "a": 1}]}',
    "a lone surrogate": b'{"order": 1, "note": "\\ud800"}',
    "a lone surrogate as a name": b'{"order": 1, "\\udfff": 1}',
    "bytes that are no UTF-8": b'{"order": 1, "note": "\xed\xa0\x80"}',
    "NaN": b'{"order": NaN}',
    "Infinity": b'{"order": 1, "x": -Infinity}',
    "a number no double holds": b'{"order": 1, "x": 1e400}',
    "an integer of 4,301 digits": b'{"order": ' + b"7" * 4301 + b"}",
    "arrays 2,000 deep": b'{"order": 1, "x": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    "objects 2,000 deep": b'{"order": 1, "x": ' + b'{"a":' * 2000 + b"1" + b"}" * 2001,
    "arrays 100,000 deep": b'{"order": 1, "x": ' + b"[" * 100_000,
    "two documents": b'{"order": 1}{"order": 2}',
    "a byte order mark": b'\xef\xbb\xbf{"order": 1}',
}


@pytest.fixture(params=["sqlite_home", "postgres_home"])
def home(request: pytest.FixtureRequest) -> Home:
    """A company whose partner may get up to 16 MB."""
    found: Home = request.getfixturevalue(request.param)
    found.write_registry(
        Partner("/ok", fields=("$.order", "$.note"), attempt_seconds=30.0),
        payload_bytes_max=16 * MB,
    )
    file = found.files / "registry.toml"
    file.write_text(
        file.read_text().replace("attempt_seconds", f"body_bytes_max = {16 * MB}\nattempt_seconds")
    )
    found.run("apply", str(found.files))
    found.start_ready()
    return found


def place(home: Home, payload: bytes) -> None:
    with home.transaction() as connection:
        enqueue(connection, "order.paid", payload, tenant="north", subjects=[])


def test_every_digit_of_an_integer_arrives(home: Home) -> None:
    for number in INTEGERS:
        place(home, b'{"order": %d}' % number)
    until(lambda: home.mailboxes[0].count == len(INTEGERS), home.voices)
    bodies = [json.loads(each.body, parse_int=str) for each in home.mailboxes[0].received]
    arrived = [body["data"]["order"] for body in bodies]
    assert sorted(arrived) == sorted(map(str, INTEGERS))


def test_what_is_read_in_two_ways_is_refused_at_the_door_and_parked_behind_it(home: Home) -> None:
    for what, payload in REFUSED.items():
        with pytest.raises(EnqueueRefused) as refused:
            place(home, payload)
        assert refused.value.reason in ("schema_invalid", "argument_invalid"), what
    for number, payload in enumerate(REFUSED.values()):
        insert(home, number, payload)
    place(home, b'{"order": 1}')
    home.until_states(parked=len(REFUSED), delivered=1)
    codes = {row[0] for row in home.rows("SELECT code FROM {deliveries} WHERE state = 'parked'")}
    assert codes == {"schema_invalid"}
    assert home.mailboxes[0].count == 1


def insert(home: Home, number: int, payload: bytes) -> None:
    home.write(
        "INSERT INTO {events} (id, tenant, type, producer, subjects, payload, is_sealed,"
        " occurred_us, enqueued_us)"
        " VALUES (:id, 'north', 'order.paid', 'by-hand', '[]', :payload, false, 1, 1)",
        id=f"evt_{number}",
        payload=payload,
    )


def test_ten_megabytes_arrive_whole_and_hold_nobody_up_for_long(home: Home) -> None:
    texts: list[dict[str, Any]] = [
        {"order": 1, "note": "0123456789abcdef\u00e9\n" * (10 * MB // 20)},
        {"order": 2, "note": "n", "x": [{"a": n, "b": "b" * 20} for n in range(200_000)]},
    ]
    began = time.monotonic()
    for text in texts:
        place(home, json.dumps(text, ensure_ascii=False).encode())
    place(home, b'{"order": 3}')
    until(lambda: home.mailboxes[0].count == 3, home.voices, 60.0)
    assert time.monotonic() - began < 45
    arrived = sorted((r.data for r in home.mailboxes[0].received), key=lambda data: data["order"])
    assert arrived == [texts[0], {"order": 2, "note": "n"}, {"order": 3}]
