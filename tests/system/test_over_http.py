"""The same commands over HTTP, as whoever has the token; and the record, held to what was kept."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.desk import Desk
from tests.support.world_home import until


@pytest.fixture
def desk(company: Desk, tmp_path: Path) -> Iterator[Desk]:
    """The company, with an API that its commands are told to ask."""
    opened = company.copy(tmp_path / "company")
    config = opened.folder / "dispatcher.toml"
    config.write_text(f"{config.read_text()}\n[api]\nport = 0\n")
    serving = opened.nursery.start("dispatcher", "api", folder=opened.folder)
    until(lambda: "listening http" in serving.said(), serving.said)
    opened.env["DISPATCHER_URL"] = serving.said().partition("listening ")[2].split()[0]
    yield opened
    serving.kill()


def test_a_partner_becomes_active_by_two_people_who_see_no_database(desk: Desk, tmp_path: Path):
    afar = Desk(tmp_path / "afar", desk.nursery)
    afar.folder.mkdir()
    afar.tokens, afar.env = desk.tokens, desk.env
    afar.write()
    assert afar.run("plan", "integrations", by="pat", status=3).startswith("  + ")
    afar.run("apply", "integrations", "--reason", "PART-7", by="pat", status=3)
    assert afar.ask("approve", "1", "--hash", "0" * 64, by="pat", status=4)["code"] == (
        "self_approval"
    )
    assert "revision 1 is active" in afar.run("approve", "1", by="bea", given="y\n")
    afar.run("export", "exported", by="bea")
    assert "Nothing would change" in afar.run("plan", "exported", by="pat")
    held = afar.ask("hold", "connector:acme", "--reason", "INC-1", by="bea")
    assert (held["target"], held["lanes"]) == ("connector:acme", 1)
    assert "INC-1" in afar.run("switches", by="pat")
    assert afar.ask("release", "connector:acme", by="bea", status=4)["code"] == "forbidden"
    kinds = [each["kind"] for each in afar.ask("audit", "log", "--limit", "4", by="bea")]
    assert kinds == ["refused", "switch.tripped", "revision.activated", "change_set.approved"]
    made = afar.ask("token", "issue", "bea", "--tenant", "north", by="ada")
    afar.tokens["north"] = made["token"]
    assert afar.ask("changes", by="north", status=4)["code"] == "tenant_scoped"
    assert afar.ask("token", "revoke", made["id"], by="ada")["revoked"]
    assert afar.ask("changes", by="north", status=2)["code"] == "token_revoked"


def test_who_has_no_token_is_told_and_local_needs_none(desk: Desk):
    assert desk.ask("changes", status=2)["code"] == "token_missing"
    assert desk.ask("changes", "--local") == []
    assert desk.ask("changes", "--config", "dispatcher.toml") == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("dispatcher.example.com", "url_invalid"),
        ("ftp://127.0.0.1", "url_invalid"),
        ("http://bea:secret@127.0.0.1", "url_invalid"),
        ("http://127.0.0.1:99999", "url_invalid"),
        ("http://dispatcher.example.com", "url_insecure"),
        ("http://127.0.0.1:1", "api_unreachable"),
    ],
)
def test_an_address_that_is_none_of_ours_is_refused(company: Desk, url: str, code: str):
    refused = company.ask("switches", by="bea", status=2, DISPATCHER_URL=url)
    assert refused["code"] == code
    assert refused["fix"]
    assert "secret" not in str(refused)


@contextmanager
def stranger(status: int, body: bytes) -> Iterator[str]:
    """Something else that speaks HTTP at the address of the API."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>welcome</html>"), (502, b"bad gateway"), (302, b""), (404, b"{}")],
)
def test_what_is_not_the_api_is_not_taken_for_it(company: Desk, status: int, body: bytes):
    with stranger(status, body) as url:
        refused = company.ask("switches", by="bea", status=2, DISPATCHER_URL=url)
    assert refused["code"] == "api_unreachable"


def test_the_record_is_good_until_somebody_touches_it(company: Desk, tmp_path: Path):
    desk = company.copy(tmp_path / "company")
    good = desk.run("audit", "verify")
    assert good.startswith("good")
    kept = desk.folder / "kept-elsewhere"
    kept.write_text((desk.folder / "dispatcher-data" / "audit-checkpoints").read_text())
    with closing(sqlite3.connect(desk.folder / "dispatcher-data" / "dispatcher.db")) as database:
        altered = (
            "UPDATE dispatcher_audit_log SET entry = replace(entry, 'principal bea', 'nobody')"
        )
        database.execute(altered)
        database.commit()
    found = desk.ask("audit", "verify", "--checkpoint", str(kept), status=1)
    assert (found["is_good"], found["first_bad"]) == (False, 4)
    assert "first bad entry: 4" in desk.run("audit", "verify", status=1)
    missing = desk.ask("audit", "verify", "--checkpoint", "nowhere", status=2)
    assert missing["code"] == "config_unreadable"


def test_anybody_with_the_key_verifies_a_log_they_were_given(company: Desk, tmp_path: Path):
    desk = company.copy(tmp_path / "company")
    key = desk.run("audit", "checkpoint", "--key").strip()
    assert key == desk.ask("audit", "checkpoint")["key"]
    notes = desk.folder / "dispatcher-data" / "audit-checkpoints"
    log = tmp_path / "log"
    desk.run("audit", "export", str(log))
    assert desk.ask("audit", "export", str(log), status=2)["code"] == "file_exists"
    auditor = Desk(tmp_path / "auditor", desk.nursery)
    auditor.folder.mkdir()
    words = ("audit", "verify", "--log", str(log), "--checkpoint", str(notes))
    good = auditor.ask(*words, "--key", key)
    assert (good["is_good"], good["size"]) == (True, len(log.read_text().splitlines()) - 6)
    assert auditor.ask("audit", "verify", "--log", str(log), "--key", key)["is_good"]
    assert auditor.ask(*words, status=2)["code"] == "usage"
    assert auditor.ask(*words, "--key", key[:-3] + "AAA", status=2)["code"] == "key_malformed"
    log.write_text(log.read_text().replace('"actor":"ada"', '"actor":"eve"', 1))
    bad = auditor.ask(*words, "--key", key, status=1)
    assert (bad["is_good"], bad["first_bad"]) == (False, 0)
    log.write_text(log.read_text() + "hello\n")
    assert auditor.ask(*words, "--key", key, status=2)["code"] == "log_unreadable"


def test_a_checkpoint_file_that_cannot_be_written_stops_nothing_and_is_told(
    company: Desk, tmp_path: Path
):
    desk = company.copy(tmp_path / "company")
    (desk.folder / "dispatcher-data" / "audit-checkpoints").unlink()
    (desk.folder / "dispatcher-data" / "audit-checkpoints").mkdir()
    words = ("hold", "everything", "--reason", "drill", "--json")
    child = desk.nursery.start("dispatcher", *words, folder=desk.folder)
    assert child.wait() == 0
    assert json.loads(child.out.read_text())["target"] == "everything"
    told = json.loads(child.err.read_text().splitlines()[0])
    assert (told["event"], told["level"]) == ("checkpoint_not_kept", "warning")


def test_a_shell_completes_commands_and_values(company: Desk):
    words = {"COMP_WORDS": "dispatcher a", "COMP_CWORD": "1"}
    found = company.run(_DISPATCHER_COMPLETE="bash_complete", **words)
    assert {"plain,apply", "plain,approve", "plain,audit", "plain,api"} == set(found.split())
    words = {"COMP_WORDS": "dispatcher principal add x --role p", "COMP_CWORD": "5"}
    found = company.run(_DISPATCHER_COMPLETE="bash_complete", **words)
    assert set(found.split()) == {"plain,producer", "plain,platform", "plain,privacy"}
    for shell in ("bash", "zsh", "fish"):
        assert "_DISPATCHER_COMPLETE" in company.run("completion", shell)


def test_a_checkpoint_printed_is_a_checkpoint_kept(company: Desk, tmp_path: Path):
    kept = tmp_path / "kept"
    kept.write_text(company.run("audit", "checkpoint") * 2)
    found = company.ask("audit", "verify", "--checkpoint", str(kept))
    assert (found["is_good"], found["checkpoints"]) == (True, 2)


def test_a_header_that_no_header_can_be_is_refused_before_it_is_sent(company: Desk):
    words = ("enqueue", "order.paid", "--tenant", "north", "--idempotency-key", "\u2014")
    url = {"DISPATCHER_URL": "http://127.0.0.1:1"}
    assert company.ask(*words, by="bea", given="{}", status=2, **url)["code"] == "malformed"
