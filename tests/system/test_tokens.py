"""Tokens as partners and privacy officers meet them: real workers, the commands, an erasure."""

import json
import time

import pytest

from dispatcher.producer import enqueue
from tests.support.world_home import Done, Home, Partner, until

GRANTS = ("$.order siv(order)", "$.note vault(note)")
ENGINES = ("sqlite_home", "postgres_home")
CANARY = "CANARY-note"


@pytest.fixture(params=ENGINES)
def home(request: pytest.FixtureRequest) -> Home:
    """A company on each engine in turn, with one partner that is given tokens."""
    found: Home = request.getfixturevalue(request.param)
    found.apply(Partner("/ok", fields=GRANTS))
    return found


def place(home: Home, *subjects: str, note: str = CANARY, count: int = 1) -> None:
    with home.transaction() as connection:
        for number in range(count):
            payload = {"order": number, "note": note}
            enqueue(connection, "order.paid", payload, tenant="north", subjects=subjects)


def received(home: Home, count: int) -> list[dict[str, str]]:
    """Wait for so many letters, and give what is in each."""
    until(lambda: home.mailboxes[0].count >= count, home.voices)
    return [each.data for each in home.mailboxes[0].received]


def detokenise(home: Home, token: str, *more: str) -> Done:
    return home.command("detokenise", token, "--connector", "acme", "--reason", "r", *more)


def erase(home: Home, subject: str) -> Done:
    return home.run("erase", "--tenant", "north", "--subject", subject, "--reason", "r", "--json")


def code(done: Done) -> str:
    assert done.status == 2, done
    return str(json.loads(done.err)["error"]["code"])


def test_a_token_is_turned_back_until_its_person_is_erased_or_its_partner_retired(
    home: Home,
) -> None:
    home.start_ready()
    place(home, "ann-1")
    (before,) = received(home, 1)
    assert detokenise(home, before["note"]).out == f"{CANARY}\n"
    assert detokenise(home, before["order"], "--json").json["value"] == 0
    erased = erase(home, "ann-1").json
    assert (erased["tokens"], erased["workers"]) == (1, 1)
    assert erase(home, "ann-1").json["tokens"] == 0
    assert code(detokenise(home, before["note"], "--json")) == "partner_token_erased"
    place(home, "ann-1")
    _, after = received(home, 2)
    assert (after["order"], after["note"] == before["note"]) == (before["order"], False)
    assert detokenise(home, after["note"]).out == f"{CANARY}\n"

    file = home.files / "registry.toml"
    file.write_text(
        file.read_text().replace('name = "acme"', 'name = "acme"\nstate = "retired"', 1)
    )
    assert "token keys are destroyed" in home.run("plan", str(home.files)).out
    home.run("apply", str(home.files))
    for token in (*after.values(), before["note"]):
        assert code(detokenise(home, token, "--json")) == "connector_retired"
    until(lambda: not home.rows("SELECT token FROM {vault_tokens}"), home.voices)
    assert not home.rows("SELECT token FROM {vault_subjects}")
    assert home.command("audit", "verify").status == 0
    kept = [path.read_bytes() for path in home.folder.rglob("*.db*")]
    assert CANARY.encode() not in b"".join(kept)
    assert CANARY not in home.voices() + str(home.rows("SELECT entry FROM {audit_log}"))


def test_no_letter_begins_with_an_erased_token_once_the_erasure_is_answered(
    postgres_home: Home,
) -> None:
    home = postgres_home
    home.apply(Partner("/jitter/20", fields=GRANTS, concurrency=4))
    for _ in range(2):
        home.start_ready()
    until(lambda: len(home.registry_rows("SELECT id FROM {workers}")) == 2, home.voices)
    place(home, "ann-1", count=1200)
    rounds: list[tuple[int, set[str]]] = []
    for number in range(1, 5):
        received(home, number * 150)
        until(home.is_obeyed, home.voices)
        known = {row[0] for row in home.rows("SELECT token FROM {vault_tokens}")}
        assert erase(home, "ann-1").json["workers"] == 2
        rounds.append((time.time_ns(), known))
    home.until_states(delivered=1200)
    letters = home.mailboxes[0].received
    assert len({each.data["note"] for each in letters}) == len(rounds) + 1
    for answered, erased in rounds:
        late = [each for each in letters if each.first_byte_ns > answered]
        assert late
        assert not {each.data["note"] for each in late} & erased
    # Nobody spent a retry on it.
    assert all(row[0] == 1 for row in home.rows("SELECT max(failures) + 1 FROM {deliveries}"))
