"""`dispatcher preview` as somebody types it: what is printed, and how it exits."""

import json

import pytest

from tests.support.world_home import Home, Partner

PAYLOAD = b'{"order": 18446744073709551617, "secret": "s-canary", "vip": true}'


@pytest.fixture
def home(sqlite_home: Home) -> Home:
    """A company whose two partners are granted different fields."""
    sqlite_home.apply(
        Partner("/ok/acme", fields=("$.order",)), Partner("/ok/globex", "globex", fields=())
    )
    return sqlite_home


def test_a_payload_of_ones_own_is_shown_beside_what_leaves_of_it(home: Home) -> None:
    done = home.run("preview", "acme-orders", "--event", "-", given=PAYLOAD)
    said = done.out
    assert "acme-orders of acme: would be sent" in said
    assert '+   "order": 18446744073709551617' in said
    assert '-   "secret": "s-canary"' in said
    assert "secret: never" in said
    assert "no schema declares it" in said
    assert "POST /ok/acme HTTP/1.1" in said
    assert home.mailboxes[0].count == 0


def test_what_is_printed_as_json_is_the_answer_of_the_api(home: Home) -> None:
    (event,) = home.enqueue()
    done = home.run("preview", "acme-orders", "--recent", "--against", "globex-orders", "--json")
    found = done.json
    assert found["event"]["id"] == event
    acme, globex = found["recipients"]
    assert json.loads(acme["letter"]["body"])["data"] == {"order": 0}
    assert json.loads(globex["letter"]["body"])["data"] == {}


def test_a_synthetic_event_needs_nobodys_data(home: Home) -> None:
    done = home.run("preview", "acme-orders", "--synthetic", "--seed", "7", "--json")
    assert done.json["event"]["source"] == "synthetic"
    assert "order" in json.loads(done.json["event"]["payload"])


def test_two_partners_are_printed_beside_each_other(home: Home) -> None:
    done = home.run(
        "preview", "acme-orders", "--event", "-", "--against", "globex-orders", given=PAYLOAD
    )
    _, _, compared = done.out.partition("beside each other")
    (order,) = [each.split() for each in compared.splitlines() if "$.order" in each]
    assert order == ["$.order", "+", "pass", "-", "withheld"]


def test_a_stop_is_told_and_exits_as_refused(home: Home) -> None:
    home.enqueue()
    home.hold("connector:acme")
    done = home.command("preview", "acme-orders")
    assert done.status == 4
    assert "would not be sent today" in done.out
    assert "waits  switch_on: connector:acme" in done.out
    assert '"data"' in done.out


def test_a_delivery_is_shown_with_its_own_id(home: Home) -> None:
    home.enqueue()
    home.start_ready()
    home.until_states(delivered=2)
    rows = home.rows("SELECT id, webhook_id FROM {deliveries} WHERE subscription = 'acme-orders'")
    number = str(rows[0].id)
    said = " ".join(home.run("preview", "acme-orders", "--delivery", number).out.split())
    assert f"delivery {number}, delivered" in said
    done = home.run("preview", "acme-orders", "--delivery", number, "--json")
    body = json.loads(done.json["recipients"][0]["letter"]["body"])
    assert body["id"] == rows[0].webhook_id
    (received,) = [each for each in home.mailboxes[0].received if each.path == "/ok/acme"]
    assert done.json["recipients"][0]["letter"]["body"] == received.body


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("nobody",), "subscription_unknown"),
        (("acme-orders", "--recent", "--delivery", "1"), "usage"),
        (("acme-orders", "--event", "gone.json"), "payload_unreadable"),
        (("acme-orders",), "event_unknown"),
    ],
)
def test_what_cannot_be_shown_says_why(home: Home, words: tuple[str, ...], code: str) -> None:
    done = home.command("preview", *words)
    assert done.status == 2
    assert code in done.err
    assert "fix" in done.err
