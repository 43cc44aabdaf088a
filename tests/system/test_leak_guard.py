"""The leak guard as people meet it: what is stopped, what they can read of it, what never shows."""

import pytest

from dispatcher.producer import enqueue
from tests.support.world_home import Home, Partner, until

KEY = "sk_live_exampleexampleexample00"
MAIL = "ada@example.com"
PARTNER = Partner("/ok/leak", fields=("$.order", "$.note"))


@pytest.fixture(params=("sqlite_home", "postgres_home"))
def home(request: pytest.FixtureRequest) -> Home:
    """A company on each engine in turn."""
    found: Home = request.getfixturevalue(request.param)
    return found


def put(home: Home, *notes: str) -> list[str]:
    terms = {"tenant": "north", "subjects": []}
    with home.transaction() as connection:
        return [
            enqueue(connection, "order.paid", {"order": n, "note": note}, **terms)
            for n, note in enumerate(notes)
        ]


def test_a_leak_is_parked_told_of_and_let_go_by_an_exception(home: Home) -> None:
    home.apply(PARTNER)
    worker = home.start_ready()
    key, mail, _ = put(home, f"use {KEY}", f"write to {MAIL}", "ring twice")
    home.until_states(parked=1, delivered=2)
    ((code,),) = home.rows("SELECT code FROM {deliveries} WHERE state = 'parked'")
    assert code == "leak_suspected"
    listed = home.run("findings", "--json").json
    told = {(row["event_id"], row["detector"], row["path"], row["action"]) for row in listed}
    assert told == {(key, "api_key", "$.note", "park"), (mail, "email", "$.note", "alert")}
    shown = home.run("findings", "--detector", "email").out
    assert shown.startswith(f"alert  email in $.note\n       {mail} for acme-orders, ")
    said = worker.said()
    assert said.count('"leak_found"') == 2
    home.apply(
        PARTNER,
        policy="[[policy.leak_rules]]\ndetector = 'api_key'\naction = 'park'\n"
        "exceptions = ['order.paid $.note']",
    )
    home.until_states(delivered=3)
    assert [each.data["note"] for each in home.mailboxes[0].received].count(f"use {KEY}") == 1
    for text in (said, home.run("findings", "--json").out, home.run("audit", "log", "--json").out):
        assert KEY not in text
        assert MAIL not in text
    for row in home.rows("SELECT * FROM {findings}"):
        assert not any(KEY in str(value) or MAIL in str(value) for value in row)


def test_a_blocked_letter_is_dead_at_once_and_a_masked_one_leaves_without_the_match(
    home: Home,
) -> None:
    rules = (("api_key", "block"), ("email", "mask"))
    policy = "\n".join(
        f"[[policy.leak_rules]]\ndetector = '{name}'\naction = '{action}'" for name, action in rules
    )
    home.apply(PARTNER, policy=policy)
    worker = home.start_ready()
    put(home, KEY, f"write to {MAIL}.")
    home.until_states(dead=1, delivered=1)
    ((code, failures),) = home.rows("SELECT code, failures FROM {deliveries} WHERE state = 'dead'")
    assert (code, failures) == ("leak_blocked", 0)
    (received,) = home.mailboxes[0].received
    assert received.data["note"] == "write to ***."
    until(lambda: worker.said().count('"leak_found"') == 2, worker.said)
