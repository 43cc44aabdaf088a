"""Keys as operators and partners meet them: the commands, real workers, the reference verifier."""

import re
import time

import pytest
import trustme
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.certificates import write_identity
from tests.support.world_home import Home, Partner, Received, until

NAME = "acme-orders"


@pytest.fixture(params=["sqlite_home", "postgres_home"])
def home(request: pytest.FixtureRequest) -> Home:
    """A company on each engine in turn."""
    found: Home = request.getfixturevalue(request.param)
    return found


def apply(home: Home, path: str = "/ok", concurrency: int = 8) -> str:
    """Bring the partner in, and give the secret they are told."""
    home.write_registry(Partner(path, concurrency=concurrency))
    return str(home.run("apply", str(home.files), "--json").json["secrets"][NAME])


def keys(home: Home, *words: str) -> dict:
    return home.run("keys", *words, "--reason", "drill", "--json").json


def verifies(letter: Received, secret: str) -> bool:
    try:
        Webhook(secret).verify(letter.body, letter.headers)
    except WebhookVerificationError:
        return False
    return True


def letters(home: Home) -> list[Received]:
    """What the partner got of events: while two keys sign, challenges come beside."""
    return [each for each in home.mailboxes[0].received if "ownership_challenge" not in each.body]


def signed_by(home: Home, count: int, *secrets: str) -> list[bool]:
    """Wait for so many letters, and say which secrets the last one verifies with."""
    until(lambda: len(letters(home)) >= count, home.voices)
    return [verifies(letters(home)[count - 1], secret) for secret in secrets]


def assert_it_is_told_why_letters_wait(home: Home, code: str) -> None:
    """Ask as somebody does at night: which wait, why, and what the hint says."""
    waiting = home.run("deliveries", "--state", "waiting", "--json").json
    assert [each["closed_by"] for each in waiting] == [[code]] * 3
    told = home.run("trace", waiting[0]["event_id"]).out
    assert f"    its lane is closed: {code}\n" in told
    hint = re.search(r"'dispatcher (preview .*)' says more", told)
    assert hint is not None
    more = home.command(*hint[1].split())
    assert (more.status, code in more.out) == (4, True)
    assert code in home.run("deliveries").out


def test_letters_bear_both_keys_in_the_overlap_then_the_new_one_and_none_that_is_revoked(
    home: Home,
) -> None:
    old = apply(home)
    home.start_ready()
    home.hold("connector:acme")
    home.enqueue()
    made = keys(home, "rotate", NAME, "--overlap", "7d")
    new = made["secret"]
    home.release("connector:acme")
    assert signed_by(home, 1, old, new) == [True, True]
    (ending,) = made["ending"]
    keys(home, "retire", ending["name"])
    until(home.is_obeyed, home.voices)
    home.enqueue()
    assert signed_by(home, 2, old, new) == [False, True]
    revoked = keys(home, "revoke", made["fingerprint"])
    assert (revoked["workers_confirmed"], revoked["unsigned"]) == (1, [NAME])
    home.enqueue(3)
    home.until_states(delivered=2, waiting=3)
    time.sleep(0.5)
    home.until_states(delivered=2, waiting=3)
    assert not home.rows("SELECT id FROM {deliveries} WHERE failures > 0")
    assert_it_is_told_why_letters_wait(home, "signing_key_missing")
    newest = keys(home, "rotate", NAME)["secret"]
    assert signed_by(home, 5, old, new, newest) == [False, False, True]
    kept = b"".join(path.read_bytes() for path in home.folder.rglob("*.db*"))
    said = home.voices() + str(home.registry_rows("SELECT entry FROM {audit_log}"))
    for secret in (old, new, newest):
        bare = secret.removeprefix("whsec_")
        assert bare.encode() not in kept
        assert bare not in said


def test_no_letter_begins_with_a_revoked_key_once_the_revocation_is_answered(
    postgres_home: Home,
) -> None:
    home = postgres_home
    secrets = [apply(home, "/slow/50", concurrency=2)]
    for _ in range(2):
        home.start_ready()
    until(lambda: len(home.registry_rows("SELECT id FROM {workers}")) == 2, home.voices)
    home.enqueue(250)
    answered: list[int] = []
    for number in (1, 2):
        until(lambda: len(letters(home)) >= number * 30, home.voices)  # noqa: B023
        made = keys(home, "rotate", NAME, "--overlap", "1h")
        assert keys(home, "revoke", made["ending"][-1]["name"])["workers_confirmed"] == 2
        answered.append(time.time_ns())
        secrets.append(made["secret"])
        home.enqueue(25)
    home.until_states(delivered=300)
    received = letters(home)
    for secret, then in zip(secrets, answered, strict=False):
        late = [each for each in received if each.first_byte_ns > then]
        assert late
        assert not any(verifies(each, secret) for each in late)
    assert all(any(verifies(each, secret) for secret in secrets) for each in received)
    # Nobody spent a retry on it.
    assert all(row[0] == 0 for row in home.rows("SELECT max(failures) FROM {deliveries}"))


def test_a_leak_is_answered_by_one_command_and_undone_by_a_new_key_and_a_release(
    sqlite_home: Home,
) -> None:
    home = sqlite_home
    old = apply(home)
    home.start_ready()
    done = keys(home, "revoke", "--connector", "acme")
    assert (done["held"], done["tickets"], len(done["keys"])) == ("connector:acme", 0, 1)
    home.enqueue()
    new = keys(home, "rotate", NAME)["secret"]
    until(home.is_obeyed, home.voices)
    home.until_states(waiting=1)
    home.release("connector:acme")
    assert signed_by(home, 1, old, new) == [False, True]
    said = home.run("keys", "list").out
    assert "active" in said
    assert "revoked" in home.run("keys", "list", "--ended").out
    refused = home.command("keys", "revoke", done["keys"][0], "--reason", "again")
    assert (refused.status, "key_revoked" in refused.err) == (2, True)


def test_client_certificates_stand_beside_the_keys_and_are_revoked_like_them(
    sqlite_home: Home,
) -> None:
    home = sqlite_home
    files = write_identity(home.folder, trustme.CA().issue_cert("us.example"))
    home.settings["network.identities.acme"] = {"certificate": files.certificate, "key": files.key}
    apply(home)
    home.write_config()
    listed = home.run("keys", "list", "--json").json
    (shown,) = [each for each in listed if each["kind"] == "certificate"]
    assert shown["name"] == f"acme/{shown['fingerprint']}"
    assert "acme/" in home.run("keys", "list").out
    done = home.run("keys", "revoke", "--identity", shown["fingerprint"], "--reason", "drill").out
    assert f"acme/{shown['fingerprint']}" in done
    left = {each["kind"] for each in home.run("keys", "list", "--json").json}
    assert left == {"hmac"}


def test_a_stored_header_goes_with_every_letter_until_the_endpoint_is_another(
    sqlite_home: Home,
) -> None:
    home = sqlite_home
    apply(home)
    home.start_ready()
    words = ("keys", "set-header", NAME, "Authorization", "--reason", "their gateway")
    said = home.run(*words, given=b"Bearer CANARY-4711\n").out
    assert "is stored for http://127.0.0.1:" in said
    until(home.is_obeyed, home.voices)
    home.enqueue()
    until(lambda: home.mailboxes[0].count == 1, home.voices)
    assert home.mailboxes[0].received[0].headers["authorization"] == "Bearer CANARY-4711"
    assert "sent" in home.run("keys", "headers").out
    apply_anew(home, "/ok/elsewhere")
    home.enqueue()
    home.until_states(delivered=1, waiting=1)
    assert "unbound" in home.run("keys", "headers").out
    home.run(*words, given=b"Bearer CANARY-4712")
    until(lambda: home.mailboxes[0].count == 2, home.voices)
    assert home.mailboxes[0].received[1].headers["authorization"] == "Bearer CANARY-4712"
    home.run("keys", "remove-header", NAME, "authorization", "--reason", "no longer wanted")
    until(home.is_obeyed, home.voices)
    home.enqueue()
    until(lambda: home.mailboxes[0].count == 3, home.voices)
    assert "authorization" not in home.mailboxes[0].received[2].headers
    kept = b"".join(path.read_bytes() for path in home.folder.rglob("*.db*"))
    said = home.voices() + str(home.registry_rows("SELECT entry FROM {audit_log}"))
    assert b"CANARY-47" not in kept
    assert "CANARY-47" not in said


def apply_anew(home: Home, path: str) -> None:
    home.write_registry(Partner(path))
    home.run("apply", str(home.files))
    until(home.is_obeyed, home.voices)
