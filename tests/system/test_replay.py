"""A person has letters sent again: the same message, later, and never more than there was."""

import json
from typing import Any

from dispatcher.producer import enqueue
from tests.support.world_home import Home, Partner, Received, until

BOTH = ("$.order", "$.note")
WHY = ("--reason", "they lost it", "--json")


def put(home: Home) -> None:
    with home.transaction() as connection:
        payload = {"order": 1, "note": "ring twice"}
        enqueue(connection, "order.paid", payload, tenant="north", subjects=[])


def replay(home: Home, *words: str) -> dict[str, Any]:
    (filed,) = home.run("replay", *words, *WHY).json["filed"]
    return dict(filed)


def received(home: Home, count: int) -> Received:
    until(lambda: home.mailboxes[0].count == count, home.voices)
    return home.mailboxes[0].received[-1]


def test_a_replay_is_the_same_message_waits_for_its_lane_and_only_narrows(postgres_home: Home):
    home = postgres_home
    home.apply(Partner("/ok/acme", fields=BOTH))
    home.start_ready()
    put(home)
    first = received(home, 1)
    home.until_states(delivered=1)

    filed = replay(home, "1")
    assert (filed["replay_of"], filed["webhook_id"]) == (1, first.id)
    again = received(home, 2)
    assert (again.id, again.sha256) == (first.id, first.sha256)
    home.until_states(delivered=2)

    home.apply(Partner("/ok/acme", fields=("$.order",)))
    home.hold("subscription:acme-orders")
    replay(home, "1")
    refused = home.command("replay", "1", *WHY)
    assert refused.status == 2
    assert json.loads(refused.err)["error"]["code"] == "delivery_moving"
    assert home.states() == {"delivered": 2, "waiting": 1}
    home.release("subscription:acme-orders")
    assert received(home, 3).data == {"order": 1}
    home.until_states(delivered=3)

    home.apply(Partner("/ok/acme", fields=BOTH))
    replay(home, "1", "--new-id")
    other = received(home, 4)
    assert other.id != first.id
    assert other.data == {"order": 1}, "what went out narrower once does not go out wider again"
    home.until_states(delivered=4)
    story = home.run("trace", str(home.rows("SELECT id FROM {events}")[0][0])).out
    assert story.count("delivered, delivery ") == 4
    assert story.count(", replay of 1\n") == 3


def test_what_died_of_a_partners_bad_day_is_sent_again_by_one_command(sqlite_home: Home):
    home = sqlite_home
    home.apply(Partner("/status/500/acme", retry_seconds=(0.05,)))
    home.start_ready()
    home.enqueue(3)
    home.until_states(dead=3)
    home.write("UPDATE {events} SET payload = NULL WHERE seq = 1")
    home.apply(Partner("/ok/acme"))
    ended = ("replay", "--subscription", "acme-orders", "--since", "1h", *WHY)
    told = {(each["code"], each["count"]) for each in home.run(*ended, "--dry-run").json["kinds"]}
    assert told == {(None, 2), ("payload_gone", 1)}
    assert home.states() == {"dead": 3}
    assert len(home.run(*ended).json["filed"]) == 2
    home.until_states(dead=3, delivered=2)
    gone = home.command("replay", "1", *WHY)
    assert gone.status == 2
    assert json.loads(gone.err)["error"] == {
        "code": "payload_gone",
        "why": "its payload is gone: its retention ended, or it was shredded",
        "where": "delivery 1",
        "fix": "enqueue the event anew",
    }
