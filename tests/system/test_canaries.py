"""Planted values appear nowhere: on no wire, in no log, metric, record, error or file.

A company lives through a bad day with events full of canaries: partners that fail and echo what
they were sent, a dead letter, letters that are parked, one for a leak, payloads that are refused, a
hold and a release, replays, a summary, a ticket that is fetched with, a preview, a fault in the
making of letters. Then everything that was written anywhere is searched. Traces are not: none are
made yet.
"""

import base64
import http.client
import json
import random
import re
import ssl
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from dispatcher.model.errors import EnqueueRefused
from dispatcher.producer import enqueue
from dispatcher.stages.shaping.checksums import is_card
from dispatcher.store.tables import OUTBOX_TABLES, REGISTRY_TABLES
from tests.support.canaries import canary, find
from tests.support.certificates import write_identity
from tests.support.signing import pem_of_key, sign_get
from tests.support.world_home import Done, Home, until
from tests.support.world_nursery import Child

LEAKS = {"order", "kept", "sku", "text", "ticket"}
"""What is granted as it is: these are on the wire, and show that the search can find."""
FETCHED = {"order", "kept", "sku"}


def leaf(category: str = "other", kind: str = "string", level: str = "confidential") -> Any:
    return {"type": kind, "x-data-classification": {"category": category, "sensitivity": level}}


def members(**inner: Any) -> dict[str, Any]:
    return {"type": "object", "properties": inner}


SCHEMA = members(
    order=leaf(),
    kept=leaf(),
    note=leaf(),
    secret=leaf("secret"),
    number=leaf(kind="integer"),
    person=members(email=leaf("contact"), name=leaf("pii"), phone=leaf("contact"), id=leaf("pii")),
    inside=members(deep=members(note=leaf())),
    lines={"type": "array", "items": members(sku=leaf(), cost=leaf())},
    rates={"type": "object", "additionalProperties": members(note=leaf())},
    filler=leaf(),
    code=leaf(),
    memo=leaf(),
)
NOTE = members(text=leaf(), memo=leaf(), amount=leaf(kind="integer"))
GRANTS = (
    "$.order",
    "$.kept",
    "$.lines[*].sku",
    "$.person.email pseudonym(email)",
    "$.person.name vault(name)",
    "$.person.phone mask(last=2)",
    "$.person.id pseudonym(subject)",
    "$.code siv(code)",
    "@subject",
)
PARTNERS = {
    "flaky": ("/parrot/2", ""),
    "dead": ("/parrot/99", ""),
    "few": ("/ok/few", "records_max = 1"),
    "short": ("/ok/short", "body_bytes_max = 1024"),
    "thin": ("/ok/thin", 'style = "thin"'),
    "cloud": ("/ok/cloud", 'format = "cloudevents"'),
}
NOTED = {
    "free": ("/ok/free", "$.text", ""),
    "sums": (
        "/ok/sums",
        "$.amount sum",
        'style = "summary"\nwindow_seconds = 86400\ngroup_min = 2',
    ),
}
"""Partners of the other event type: one is sent free text as it is, one what a day comes to."""
BASE_URL = "https://events.north.example"
KEY = Ed25519PrivateKey.generate()
OURS = trustme.CA()
PARTNER_PORT = re.compile(r'"address": "127\.0\.0\.1:(\d+)"')


@dataclass
class Day:
    """The company, what was planted, and all that anybody was told."""

    home: Home
    words: dict[str, str] = field(default_factory=dict)
    said: list[bytes] = field(default_factory=list)
    fetched: list[bytes] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)

    def plant(self, label: str, word: str = "") -> str:
        return self.words.setdefault(label, word or canary())

    def plant_card(self, label: str) -> str:
        """Plant the number of a card, which adds up as such a number does."""
        first = f"4{random.randrange(10**14):014}"
        return self.plant(label, next(n for d in range(10) if is_card(n := f"{first}{d}")))

    def note(self, text: str, amount: str) -> dict[str, Any]:
        """An event of free text, with an amount that is told as part of a sum alone."""
        number = self.plant(amount, str(random.randrange(10**14, 10**15)))
        return {"text": text, "memo": self.plant_card("card in memo"), "amount": int(number)}

    def hear(self, done: Done) -> Done:
        self.said.append((done.out + done.err).encode())
        return done

    def payload(self) -> dict[str, Any]:
        """An event with another canary in every place there is."""
        plant = self.plant
        return {
            "order": plant("order"),
            "kept": plant("kept"),
            "note": plant("note"),
            "secret": plant("secret"),
            plant("undeclared name"): plant("undeclared value"),
            "added": {"deep": [plant("undeclared below")]},
            "person": {
                "email": plant("pseudonym"),
                "name": plant("vault"),
                "phone": plant("mask"),
                "id": plant("subject"),
                "added": plant("undeclared beside"),
            },
            "inside": {"deep": {"note": plant("deep")}, "above": plant("undeclared above")},
            "lines": [
                {"sku": plant("sku"), "cost": plant("in list"), "new": plant("new in list")},
                {"cost": plant("in list")},
            ],
            "rates": {plant("name in map"): {"note": plant("in map"), "new": plant("new in map")}},
            "filler": plant("filler") * 60,
            "code": plant("siv"),
            "memo": f"pay by card {self.plant_card('ungranted card')}",
        }


def registry(port: int) -> str:
    lines = [
        f'[[event_type]]\nname = "{name}"\nschema = "{file}"\n'
        for name, file in (("order.paid", "schema.json"), ("note.taken", "note.json"))
    ]
    for name, (path, more) in PARTNERS.items():
        grants = [*GRANTS, "$.filler"] if name == "short" else GRANTS
        lines.append(partner(name, port, path, more, "order.paid", json.dumps(grants)))
    for name, (path, grant, more) in NOTED.items():
        lines.append(partner(name, port, path, more, "note.taken", f"[{json.dumps(grant)}]"))
    return "".join(lines)


def partner(name: str, port: int, path: str, more: str, kind: str, grants: str) -> str:
    caller = f"""
[[connector.callers]]
kid = "thin-key"
kind = "signature"
key = '''{pem_of_key(KEY)}'''
"""
    return f"""
[[connector]]
name = "{name}"
owner = "ada"
contact = "ada@{name}.example"
owner_confirmed_until = 2099-12-31
agreement = {{ reference = "A-1", until = 2099-12-31 }}
clearance = "confidential"
tenants = ["north"]
[[connector.purposes]]
name = "fulfilment"
categories = ["other", "pii", "contact"]
legal_basis = "contract"
{caller if name == "thin" else ""}
[[connector.destinations]]
host = "127.0.0.1"
scheme = "http"
port = {port}
reason = "orders"
[[subscription]]
name = "{name}-orders"
connector = "{name}"
purpose = "fulfilment"
url = "http://127.0.0.1:{port}{path}"
retry_seconds = [0.1, 0.1, 0.1]
{more}
[subscription.scope]
"{kind}" = {grants}
"""


@pytest.fixture(params=["sqlite_home", "postgres_home"])
def day(request: pytest.FixtureRequest) -> Day:
    home: Home = request.getfixturevalue(request.param)
    home.files.mkdir()
    (home.files / "schema.json").write_text(json.dumps(SCHEMA))
    (home.files / "note.json").write_text(json.dumps(NOTE))
    (home.files / "registry.toml").write_text(registry(home.mailboxes[0].port))
    identity = write_identity(home.folder, OURS.issue_cert("127.0.0.1"))
    home.settings["partner"] = {
        "port": 0,
        "base_url": BASE_URL,
        "certificate": identity.certificate,
        "key": identity.key,
    }
    home.write_config()
    made = home.run("apply", str(home.files), "--json").json["secrets"]
    keys = {name: secret.encode() for name, secret in made.items()}
    raw = {f"raw {name}": base64.b64decode(key.partition(b"_")[2]) for name, key in keys.items()}
    return Day(home, secrets=keys | raw)


def test_planted_values_appear_nowhere_on_a_bad_day(day: Day) -> None:
    home = day.home
    serving = start_all(home)
    home.run("principal", "add", "ada", "--kind", "human", *roles("admin"))
    token = home.run("principal", "add", "svc", "--kind", "service", *roles("producer"), "--json")
    reader = home.run("principal", "add", "sre", "--kind", "human", *roles("sre"), "--json")
    url = serving.said().partition("listening ")[2].split()[0]
    day.secrets |= {"svc": token.json["token"].encode(), "sre": reader.json["token"].encode()}

    home.hold("connector:cloud")
    place(day)
    take_notes(day)
    rest = Counter(delivered=3, dead=1, parked=3, waiting=2)
    until(lambda: at_rest(home) == rest, home.voices)
    home.release("connector:cloud")
    home.write("UPDATE {windows} SET closes_us = 1")
    home.write("UPDATE {deliveries} SET due_us = 1 WHERE window_id > 0")
    rest = Counter(delivered=5, dead=1, parked=3)
    until(lambda: at_rest(home) == rest, home.voices)

    fetch(day, int(PARTNER_PORT.findall(serving.said())[0]))
    replay(day, url, reader.json["token"])
    rest += Counter(delivered=1, dead=1)
    until(lambda: at_rest(home) == rest, home.voices)

    refuse(day, url, token.json["token"])
    insert_clear(day, b'{"order": {"%s": 1}}' % day.plant("mistyped").encode())
    rest["parked"] += 1
    until(lambda: at_rest(home) == rest, home.voices)
    look(day, url, reader.json["token"])
    day.said.append(get(f"{url}/metrics"))
    serving.kill()

    broken = home.nursery.start(
        "worker", "--config", str(home.config), "--break-shaping", folder=home.folder
    )
    home.children.append(broken)
    place(day)
    rest["parked"] += len(PARTNERS)
    until(lambda: at_rest(home) == rest, home.voices)
    broken.kill()
    assert '"courier_failed"' in broken.said()

    search(day)


def roles(*names: str) -> list[str]:
    return [word for name in names for word in ("--role", name)]


def start_all(home: Home) -> Child:
    child = home.start("run")
    until(lambda: "ready " in child.out.read_text() or not child.is_running, child.said)
    assert child.is_running, child.said()
    return child


def at_rest(home: Home) -> Counter[str]:
    found = home.states()
    del found["leased"]
    return found


def place(day: Day) -> None:
    with day.home.transaction() as connection:
        enqueue(
            connection,
            "order.paid",
            day.payload(),
            tenant="north",
            subjects=[day.plant("subject")],
            ordering_key=day.plant("ordering key"),
        )


def take_notes(day: Day) -> None:
    """Put two notes in: one leaks a card in the text that is granted, both come to one sum."""
    leaking = f"charge card {day.plant_card('leaked card')}"
    with day.home.transaction() as connection:
        for who, payload in (
            ("noted who", day.note(leaking, "amount")),
            ("other who", day.note(day.plant("text"), "other amount")),
        ):
            subjects = [day.plant(who)]
            enqueue(connection, "note.taken", payload, tenant="north", subjects=subjects)


def fetch(day: Day, port: int) -> None:
    """Fetch as the partner does what the thin letter names."""
    (letter,) = [json.loads(r.body) for r in day.home.mailboxes[0].received if "thin" in r.path]
    ref, ticket = letter["ref"], day.plant("ticket", letter["ticket"])
    context = ssl.create_default_context()
    OURS.configure_trust(context)
    for key in (KEY, Ed25519PrivateKey.generate()):
        signed = sign_get(BASE_URL + ref, ticket, key, kid="thin-key", created=int(time.time()))
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        connection.request("GET", ref, headers=signed)
        with connection.getresponse() as answer:
            told = str(answer.headers).encode() + answer.read()
            (day.fetched if answer.status == 200 else day.said).append(told)
        connection.close()


def replay(day: Day, url: str, token: str) -> None:
    """Send again what was delivered after failures, and what is dead; be refused the rest."""
    sql = "SELECT id FROM {deliveries} WHERE subscription = :name"
    found = {
        name: [row[0] for row in day.home.rows(sql, name=f"{name}-orders")] for name in PARTNERS
    }
    body = {"deliveries": found["flaky"] + found["dead"], "reason": "a bad day", "new_ids": True}
    ask(day, f"{url}/v1/replays", token, body)
    body["deliveries"] = found["short"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(day, f"{url}/v1/replays", token, body)
    day.said.append(refused.value.read())


def ask(day: Day, url: str, token: str, body: Any = None) -> bytes:
    """Ask the API, and keep what it said."""
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        told: bytes = answer.read()
    day.said.append(told)
    return told


def refuse(day: Day, url: str, token: str) -> None:
    """Hand in what does not fit, at every door, and keep what was said of it."""
    bad = day.payload() | {"number": day.plant("refused"), "note": [day.plant("refused too")]}
    with (
        pytest.raises(EnqueueRefused) as refused,
        day.home.transaction() as connection,
    ):
        enqueue(connection, "order.paid", bad, tenant="north", subjects=[day.plant("refused who")])
    day.said.append(repr((str(refused.value), refused.value.args)).encode())
    order = ("enqueue", "order.paid", "--tenant", "north")
    assert day.hear(day.home.command(*order, given=json.dumps(bad).encode())).status
    assert day.hear(day.home.command(*order, given=json.dumps(bad).encode()[:-9])).status
    for body in (
        {"type": "order.paid", "tenant": "north", "subjects": [], "payload": bad},
        {"type": "order.paid", "tenant": "north", "subjects": [bad], "payload": {}},
        {"type": "order.paid", "tenant": "north", "strange": bad},
        [bad],
    ):
        request = urllib.request.Request(f"{url}/v1/events", json.dumps(body).encode())
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", "application/json")
        with pytest.raises(urllib.error.HTTPError) as told:
            urllib.request.urlopen(request)
        day.said.append(told.value.read() + str(told.value.headers).encode())
        assert told.value.code in (400, 422)


def insert_clear(day: Day, payload: bytes) -> None:
    day.home.write(
        "INSERT INTO {events} (id, tenant, type, producer, subjects, payload, is_sealed,"
        " occurred_us, enqueued_us)"
        " VALUES ('evt_hand', 'north', 'order.paid', 'by-hand', '[]', :payload, false, 1, 1)",
        payload=payload,
    )


def look(day: Day, url: str, token: str) -> None:
    """Look at what happened in every way there is, as somebody who may not see values."""
    home = day.home
    ((event,), *_) = home.rows("SELECT id FROM {events} ORDER BY seq")
    asked = {"DISPATCHER_URL": url, "DISPATCHER_TOKEN": token}
    for words in (
        ["preview", "flaky-orders", "--recent", "--json"],
        ["preview", "cloud-orders", "--recent", "--against", "flaky-orders"],
        ["switches", "--json"],
        ["audit", "log", "--json"],
        ["schema", "triage", "--json"],
        ["plan", str(home.files)],
    ):
        day.hear(home.command(*words, env=asked))
    shown = home.nursery.start(
        "dispatcher", "preview", "flaky-orders", "--recent", folder=home.folder
    )
    assert shown.wait() == 0
    assert "mistyped" in found_in(day, shown.out.read_bytes()), "whoever may see values sees them"
    shown.out.unlink()
    home.run("export", str(home.folder / "exported"))
    day.hear(home.command("audit", "verify", "--json"))
    for noun in ("deliveries", "disclosures", "findings"):
        told = ask(day, f"{url}/v1/{noun}", token)
    assert [(f["detector"], f["path"]) for f in json.loads(told)["items"]] == [("card", "$.text")]
    ask(day, f"{url}/v1/events/{event}", token)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        found: bytes = answer.read()
        return found


def search(day: Day) -> None:
    """Search everything that was written, and say where and how a word was found."""
    home = day.home
    received = home.mailboxes[0].received
    assert {each.path for each in received} == {
        path for name, (path, *_) in (PARTNERS | NOTED).items() if name not in ("few", "short")
    }
    wire = b"\n".join(json.dumps([r.path, r.headers, r.body]).encode() for r in received)
    assert found_in(day, wire) == LEAKS, "what is granted is found there, and nothing else"
    assert found_in(day, b"\n".join(day.fetched)) == FETCHED, "and so it is in what was fetched"
    total = sum(int(day.words[label]) for label in ("amount", "other amount"))
    assert str(total).encode() in wire, "what two people's amounts come to is told"
    assert found_in(day, said(day)) == set()
    stored = {where: found_in(day, hay) for where, hay in stores(home)}
    assert {where: labels for where, labels in stored.items() if labels} == {}
    everywhere = wire + b"".join(hay for _, hay in stores(home))
    assert [name for name, secret in day.secrets.items() if secret in everywhere] == []


def found_in(day: Day, hay: bytes) -> set[str]:
    return {label for label, _ in find(day.words, hay)}


def said(day: Day) -> bytes:
    """All logs, answers, exported files and configuration: everything but database and inbox."""
    logs = day.home.folder.parent / f"{day.home.folder.name}.logs"
    files = [path for path in (*logs.iterdir(), *day.home.folder.rglob("*")) if path.is_file()]
    kept = [path for path in files if not path.name.startswith("inbox-") and path.suffix != ".in"]
    assert len(kept) > 20
    return b"\n".join([*day.said, *(path.read_bytes() for path in kept)])


def stores(home: Home) -> Iterator[tuple[str, bytes]]:
    """Give every table as PostgreSQL and SQLite tell it, and every byte of an embedded file."""
    prefix = "dispatcher_" if home.dialect == "sqlite" else "dispatcher."
    with home.engine.connect().execution_options(reads_only=True) as connection:
        for table in (*OUTBOX_TABLES, *REGISTRY_TABLES):
            rows = connection.execute(text(f"SELECT * FROM {prefix}{table}")).all()
            told = [
                bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                for row in rows
                for value in row
            ]
            yield table, b"\n".join(told)
    if home.dialect == "sqlite":
        file = Path(home.url.removeprefix("sqlite:///"))
        for path in file.parent.glob(f"{file.name}*"):
            yield "file", path.read_bytes()
