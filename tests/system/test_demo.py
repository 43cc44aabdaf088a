"""`dispatcher demo`: the real command keeps its promises, and its checks find a broken one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dispatcher.model.errors import InvalidInput
from dispatcher.showcase import demo_disclosure
from dispatcher.showcase.demo import EVENTS, perform
from dispatcher.showcase.demo_checks import judge
from dispatcher.showcase.demo_display import Display
from dispatcher.showcase.demo_evidence import Evidence
from dispatcher.showcase.demo_report import Report
from dispatcher.showcase.demo_terms import Fate
from dispatcher.showcase.inbox import Inbox, Received

COUNTS = {
    "enqueued",
    "rolled_back",
    "delivered",
    "parked",
    "held_then_released",
    "retried",
    "duplicates",
    "signatures_verified",
}
NOTHING = {"scope_violations", "unlisted_connections", "lost"}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command in a folder, with a place of its own for temporary files."""
    temporary = folder.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    elsewhere = f"sqlite:///{folder.parent}/elsewhere.db"
    return subprocess.Popen(
        [sys.executable, "-m", "dispatcher", "demo", *arguments],
        cwd=folder,
        env=os.environ
        | {
            "TMPDIR": str(temporary),
            # Meant for a real installation: the demonstration must not follow it.
            "DISPATCHER__OUTBOX__URL": elsewhere,
            "DISPATCHER__REGISTRY__URL": elsewhere,
            "DISPATCHER_TOKEN": "of somebody there",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    with process:
        return process.communicate(timeout=60)


@pytest.fixture
def empty_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def test_the_demonstration_keeps_every_promise(empty_folder: Path) -> None:
    command = start(empty_folder, "--json", "--keep", "kept")
    said, complained = finish(command)
    assert (command.returncode, complained) == (0, "")
    report = json.loads(said)
    assert [check for check in report["checks"] if not check["ok"]] == []
    assert report["ok"] is True
    assert {name: report[name] for name in NOTHING} == dict.fromkeys(NOTHING, 0)
    assert all(report[name] > 0 for name in COUNTS)
    assert report["enqueued"] == EVENTS
    assert 0 < report["hold_confirmed_ms"] < 10_000
    assert 0 < report["seconds"] < 30
    kept = empty_folder / "kept"
    assert json.loads((kept / "report.json").read_text()) == report
    assert {"dispatcher.db", "dispatcher.toml", "registry"} <= {one.name for one in kept.iterdir()}
    assert not (empty_folder.parent / "elsewhere.db").exists()
    assert counts(kept) == {
        "delivered": report["delivered"],
        "parked": report["parked"],
        "waiting": report["waiting"],
    }


def counts(kept: Path) -> dict[str, int]:
    """Ask the command line about what was kept, as a person would."""
    asked = subprocess.run(
        [sys.executable, "-m", "dispatcher", "deliveries", "--counts", "--json"],
        cwd=kept,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(asked.stdout)
    return {
        state: sum(row["rows"] for row in rows if row["state"] == state)
        for state in {row["state"] for row in rows}
    }


def test_a_folder_that_is_not_empty_is_refused(empty_folder: Path) -> None:
    (empty_folder / "letter.txt").write_text("mine")
    command = start(empty_folder, "--json", "--keep", ".")
    said, complained = finish(command)
    assert (command.returncode, said) == (2, "")
    assert json.loads(complained)["error"]["code"] == "folder_not_empty"
    assert [one.name for one in empty_folder.iterdir()] == ["letter.txt"]


def test_ctrl_c_leaves_nothing_behind(empty_folder: Path) -> None:
    # Where tests run in a shell's background, all they start is deaf to it, unless they hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = start(empty_folder)
    assert command.stdout is not None
    assert "setting up" in command.stdout.readline()
    assert "trading" in command.stdout.readline()
    command.send_signal(signal.SIGINT)
    _, complained = finish(command)
    assert (command.returncode, complained.strip()) == (130, "stopped")
    assert list(empty_folder.iterdir()) == []
    assert list((empty_folder.parent / "temporary").iterdir()) == []


def test_without_the_verifier_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_disclosure, "VERIFIER", "a_package_nobody_has")
    with pytest.raises(InvalidInput, match="not installed") as refused:
        demo_disclosure.require_verifier()
    assert refused.value.reason == "extra_missing"
    assert "pip install" in refused.value.fix


async def test_an_inbox_keeps_a_request_as_it_was_on_the_wire() -> None:
    async with Inbox("partner") as inbox:
        reader, writer = await asyncio.open_connection("127.0.0.1", inbox.port)
        before_us = time.time_ns() // 1000
        writer.write(b"POST /in HTTP/1.1\r\nA: 1\r\nContent-")
        await writer.drain()
        await asyncio.sleep(0.1)
        after_us = time.time_ns() // 1000
        writer.write(b"Length: 5\r\n\r\nhelloPOST /again HTTP/1.1\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        writer.close()
        await writer.wait_closed()
    first, second = inbox.received
    assert (first.target, first.body, first.headers["a"]) == ("/in", b"hello", "1")
    assert before_us - 1000 <= first.received_us < after_us
    assert (second.target, second.body, inbox.connections) == ("/again", b"", 1)


# The checks, shown a record in which one thing is wrong.


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """What an honest demonstration left behind."""
    folder = tmp_path_factory.mktemp("demo")
    return asyncio.run(perform(folder, Display(is_quiet=True), events=EVENTS))


def failed(evidence: Evidence) -> tuple[Report, set[str]]:
    report = judge(evidence, lambda: 1.0)
    return report, {check.name for check in report.checks if not check.ok}


def with_letter(evidence: Evidence, change: Callable[[Received], Received]) -> Evidence:
    """Change one letter that tells a parcel carrier of an order."""
    at = next(at for at, one in enumerate(evidence.received) if b"order.placed" in one.body)
    received = list(evidence.received)
    received[at] = change(received[at])
    return replace(evidence, received=tuple(received))


def with_data(received: Received, **more: Any) -> Received:
    document = json.loads(received.body)
    return replace(received, body=json.dumps(document | {"data": document["data"] | more}).encode())


def test_an_honest_record_passes(evidence: Evidence) -> None:
    report, names = failed(evidence)
    assert names == set()
    assert report.ok
    assert {terms.fate for terms in evidence.terms.values()} == set(Fate)


def test_an_ungranted_field_is_found(evidence: Evidence) -> None:
    doctored = with_letter(evidence, lambda one: with_data(one, risk={"score": 0.5}))
    report, names = failed(doctored)
    assert report.scope_violations == 1
    assert "fields outside the subscription's scope" in names
    assert "signatures verified by standardwebhooks" in names
    assert "ledger rows naming other fields than left" in names
    assert "in the ledger before received" in names


def test_a_forbidden_text_is_found_even_in_a_granted_field_or_a_header(evidence: Evidence) -> None:
    secret = next(one for one in evidence.committed if one.type == "order.placed").payload
    text = secret["payment"]["iban"]
    for change in (
        lambda one: with_data(one, order_id=text),
        lambda one: replace(one, head=one.head[:-2] + f"x-note: {text}\r\n\r\n".encode()),
    ):
        _, names = failed(with_letter(evidence, change))
        assert "planted texts where they were not granted" in names


def test_a_name_that_two_partners_share_is_found(evidence: Evidence) -> None:
    named = {
        one.target: json.loads(one.body)["subject"]
        for one in evidence.received
        if b'"subject"' in one.body
    }
    (_, name), (there, _) = sorted(named.items())
    received = list(evidence.received)
    at = next(
        at for at, one in enumerate(received) if one.target == there and b'"subject"' in one.body
    )
    document = json.loads(received[at].body) | {"subject": name}
    received[at] = replace(received[at], body=json.dumps(document).encode())
    _, names = failed(replace(evidence, received=tuple(received)))
    assert "names of people that two partners could match" in names


def test_a_value_that_should_have_been_masked_is_found(evidence: Evidence) -> None:
    letters, _ = demo_disclosure.open_letters(evidence)
    letter = next(each for each in letters if "$.customer.phone" in each.actions)
    order, shown = letter.told.payload, json.loads(letter.received.body)["data"]["customer"]
    received = list(evidence.received)
    at = received.index(letter.received)
    phone = {"phone": order["customer"]["phone"]}
    received[at] = with_data(received[at], customer=shown | phone)
    _, names = failed(replace(evidence, received=tuple(received)))
    assert "granted fields missing or changed" in names
    assert "planted texts where they were not granted" in names


def test_an_undeclared_field_is_found(evidence: Evidence) -> None:
    _, names = failed(with_letter(evidence, lambda one: with_data(one, margin_note="x")))
    assert "undeclared fields on any wire" in names


def test_a_broken_signature_is_found(evidence: Evidence) -> None:
    def break_it(received: Received) -> Received:
        signature = received.headers["webhook-signature"].encode()
        flipped = signature[:-5] + (b"A" if signature[-5:-4] != b"A" else b"B") + signature[-4:]
        return replace(received, head=received.head.replace(signature, flipped))

    report, names = failed(with_letter(evidence, break_it))
    assert names == {"signatures verified by standardwebhooks"}
    assert report.signatures_verified == len(evidence.received) - 1


def test_a_missing_delivery_is_found(evidence: Evidence) -> None:
    gone = evidence.received[0].webhook_id
    kept = tuple(one for one in evidence.received if one.webhook_id != gone)
    report, names = failed(replace(evidence, received=kept))
    assert report.lost == 1
    assert "owed to a partner and lost" in names


def test_a_letter_to_the_wrong_partner_is_found(evidence: Evidence) -> None:
    def misdirect(received: Received) -> Received:
        target = "/ledger-works/shipments" if "parcel" in received.target else "/parcel-post/orders"
        return replace(
            received, head=received.head.replace(received.target.encode(), target.encode())
        )

    _, names = failed(with_letter(evidence, misdirect))
    assert {"received, and meant for somebody else", "owed to a partner and lost"} <= names


def test_a_request_during_the_hold_is_found(evidence: Evidence) -> None:
    hold = evidence.hold
    at = next(
        at
        for at, one in enumerate(evidence.received)
        if hold.connector in one.target and one.received_us > hold.released_us
    )
    received = list(evidence.received)
    received[at] = replace(received[at], received_us=hold.confirmed_us + 1)
    _, names = failed(replace(evidence, received=tuple(received)))
    assert f"{hold.connector}: begun during the hold" in names


def test_a_duplicate_nobody_can_explain_is_found(evidence: Evidence) -> None:
    delivered = {
        row.webhook_id for row in evidence.ledger if row.attempt == 1 and row.outcome == "delivered"
    }
    again = next(one for one in evidence.received if one.webhook_id in delivered)
    report, names = failed(replace(evidence, received=(*evidence.received, again)))
    assert report.duplicates == len(evidence.received) + 1 - len(
        {one.webhook_id for one in evidence.received}
    )
    assert {"duplicates the ledger explains", "in the ledger before received"} <= names


def test_a_body_without_an_earlier_ledger_row_is_found(evidence: Evidence) -> None:
    some = evidence.received[0].webhook_id
    later = tuple(
        replace(row, begun_us=row.begun_us + 10**9) if row.webhook_id == some else row
        for row in evidence.ledger
    )
    _, names = failed(replace(evidence, ledger=later))
    assert "in the ledger before received" in names


def test_a_rolled_back_event_in_the_outbox_is_found(evidence: Evidence) -> None:
    undone = evidence.rolled_back[0].id
    _, names = failed(replace(evidence, events=(*evidence.events[1:], undone)))
    assert names == {"rolled-back events left a trace"}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"trap_connections": 1}, "unlisted destination: connections"),
        ({"peers": (("10.20.30.40", 443),)}, "dialled or looked up, and no inbox"),
        ({"peers": ()}, "dialled or looked up, and no inbox"),
        ({"closed": {}}, "unlisted destination: lanes closed for it"),
        ({"readable_marks": 1}, "planted texts legible in database or log"),
        ({"rolled_back": ()}, "rolled-back events left a trace"),
        ({"received": ()}, "owed to a partner and lost"),
    ],
)
def test_one_wrong_fact_fails_its_check(
    evidence: Evidence, change: dict[str, Any], name: str
) -> None:
    report, names = failed(replace(evidence, **change))
    assert name in names
    assert not report.ok


def test_being_late_is_found(evidence: Evidence) -> None:
    report = judge(evidence, lambda: 30.5)
    assert [check.name for check in report.checks if not check.ok] == ["seconds taken"]
