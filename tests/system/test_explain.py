"""`dispatcher explain` as somebody types it: from an empty folder, with lists, with mistakes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.world_nursery import ROOT

# Any socket, lookup or connection ends the process: a list is judged without one.
WATCHED = """
import sys
def watch(event, arguments):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.exec"):
        print("WENT OUT:", event, file=sys.stderr)
        sys.stderr.flush()
        import os
        os._exit(99)
from dispatcher.cli.main import main
sys.addaudithook(watch)
sys.argv = ["dispatcher", *sys.argv[1:]]
main()
"""


def explain(folder: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", WATCHED, "explain", *words],
        check=False,
        cwd=folder,
        input=given,
        capture_output=True,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)},
    )


def line(number: int, url: str, *addresses: str, **entry: Any) -> bytes:
    host = f"h{number}.example.com"
    document = {
        "id": number,
        "url": url.replace("HOST", host),
        "dns": {host: list(addresses)} if addresses else None,
        "allow_entry": {"host": host, "port": 443} | entry,
    }
    return json.dumps(document).encode() + b"\n"


def verdicts(done: subprocess.CompletedProcess[bytes]) -> Iterator[dict[str, Any]]:
    return map(json.loads, done.stdout.splitlines())


def test_a_list_gets_one_verdict_a_line_and_sends_nothing(tmp_path: Path) -> None:
    lines = [
        line(1, "https://HOST/in", "8.8.8.8"),
        line(2, "https://HOST/in", "8.8.8.8", "169.254.169.254"),
        line(3, "https://HOST/in"),
        line(4, "https://other.example.com/in", "8.8.8.8"),
        line(5, "https://HOST@evil.example.com/", "8.8.8.8"),
        line(6, "https://HOST/in", "10.20.0.1", cidr="10.20.0.0/16"),
    ]
    (tmp_path / "urls").write_bytes(b"".join(lines))
    done = explain(tmp_path, "--batch", "urls")
    assert done.returncode == 0, done.stderr
    found = list(verdicts(done))
    assert [set(each) for each in found] == [{"id", "verdict", "code", "rule"}] * 6
    assert [(each["id"], each["verdict"], each["code"]) for each in found] == [
        (1, "allow", "allowed"),
        (2, "block", "address_forbidden"),
        (3, "block", "address_none"),
        (4, "block", "destination_unlisted"),
        (5, "block", "url_invalid"),
        (6, "allow", "allowed"),
    ]
    assert b"2 allowed, 4 blocked" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "urls"]


def test_a_check_fails_where_something_is_blocked(tmp_path: Path) -> None:
    blocked = line(1, "https://other.example.com/", "8.8.8.8")
    assert explain(tmp_path, "--batch", "-", "--check", given=blocked).returncode == 1
    allowed = line(1, "https://HOST/", "8.8.8.8")
    assert explain(tmp_path, "--batch", "-", "--check", given=allowed).returncode == 0


def test_a_line_that_cannot_be_read_is_blocked_and_said_and_the_others_are_judged(
    tmp_path: Path,
) -> None:
    given = b"nonsense\n\n" + line(2, "https://HOST/", "8.8.8.8")
    done = explain(tmp_path, "--batch", "-", given=given)
    assert done.returncode == 2
    assert [each["verdict"] for each in verdicts(done)] == ["block", "allow"]
    assert b"1 of them could not be read (first: not a JSON object on one line)" in done.stderr


def test_translators_of_the_configuration_count(tmp_path: Path) -> None:
    given = line(1, "https://HOST/", "64:ff9b::808:808") + line(
        2, "https://HOST/", "64:ff9b::a00:1"
    )
    done = explain(tmp_path, "--batch", "-", given=given)
    assert [each["verdict"] for each in verdicts(done)] == ["block", "block"]
    (tmp_path / "dispatcher.toml").write_text('[network]\nnat64_prefixes = ["64:ff9b::/96"]\n')
    done = explain(tmp_path, "--batch", "-", given=given)
    assert [each["verdict"] for each in verdicts(done)] == ["allow", "block"]


@pytest.mark.parametrize(
    "words",
    [(), ("--batch", "nowhere"), ("--batch", "-", "https://a.example/"), ("--check", "https://x/"),
     ("https://a.example/", "--resolve", "a.example")],
)  # fmt: skip
def test_a_mistake_is_told_with_its_remedy(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = explain(tmp_path, *words)
    assert done.returncode == 2
    assert b"fix:" in done.stderr
    assert done.stdout == b""


def test_a_long_list_is_judged_line_by_line(tmp_path: Path) -> None:
    """How fast is for the bench to say; here the lines come out whole and in order."""
    count = 20_000
    given = b"".join(line(number, "https://HOST/in", "8.8.8.8") for number in range(count))
    began = time.monotonic()
    done = explain(tmp_path, "--batch", "-", given=given)
    assert [each["id"] for each in verdicts(done)] == list(range(count))
    assert time.monotonic() - began < 60
