"""Two partners cannot join their copies, nor one those of two tenants; one partner can its own.

Everything that two partners received about the same event and person is laid side by side, every
scalar of the bodies and every header, in all styles and formats. What both were granted raw is in
both, and so is what every letter bears; nothing else is.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dispatcher.producer import enqueue
from tests.support.world_home import Home, Received, until

STYLES = ("", 'style = "thin"', 'format = "cloudevents"', 'style = "thin"\nformat = "cloudevents"')
GRANTS = (
    "$.order",
    "$.email pseudonym(email)",
    "$.name vault(name)",
    "$.number pseudonym(number)",
    "$.code siv(code)",
    "@subject",
)
SHARED = {
    *("order.paid", "application/json", "application/cloudevents+json", "1.0", "identity"),
    "R-1",
}
"""What is told of every event of this type alike, and what both were granted raw."""
ALIKE = {"timestamp", "time", "webhook-timestamp", "content-length", "host", "user-agent"}
"""Members and headers that are no names of anything. The moment of an event is the same for all."""


def leaf(category: str = "other", kind: str = "string") -> Any:
    return {
        "type": kind,
        "x-data-classification": {"category": category, "sensitivity": "internal"},
    }


SCHEMA = {
    "type": "object",
    "properties": {
        "order": leaf(),
        "email": leaf("contact"),
        "name": leaf("pii"),
        "number": leaf(kind="integer"),
        "code": leaf(),
    },
}
PAYLOAD = {"order": "R-1", "email": "ann@x.example", "name": "Ann", "number": 77, "code": "C-1"}


def connector(name: str, port: int) -> str:
    head = f"""
[[connector]]
name = "{name}"
owner = "ada"
contact = "ada@{name}.example"
owner_confirmed_until = 2099-12-31
agreement = {{ reference = "A-1", until = 2099-12-31 }}
tenants = ["north", "south"]
[[connector.purposes]]
name = "fulfilment"
categories = ["other", "pii", "contact"]
legal_basis = "contract"
[[connector.destinations]]
host = "127.0.0.1"
scheme = "http"
port = {port}
reason = "orders"
"""
    subscriptions = (
        f"""
[[subscription]]
name = "{name}-{number}"
connector = "{name}"
purpose = "fulfilment"
url = "http://127.0.0.1:{port}/ok/{name}/{number}"
{style}
[subscription.scope]
"order.paid" = {json.dumps(GRANTS)}
"""
        for number, style in enumerate(STYLES)
    )
    return head + "".join(subscriptions)


@pytest.fixture(params=["sqlite_home", "postgres_home"])
def home(request: pytest.FixtureRequest) -> Home:
    found: Home = request.getfixturevalue(request.param)
    found.files.mkdir()
    (found.files / "schema.json").write_text(json.dumps(SCHEMA))
    port = found.mailboxes[0].port
    head = '[[event_type]]\nname = "order.paid"\nschema = "schema.json"\n'
    (found.files / "registry.toml").write_text(
        head + connector("acme", port) + connector("brook", port)
    )
    found.run("apply", str(found.files))
    found.start_ready()
    return found


def received(home: Home, tenant: str) -> dict[str, list[Received]]:
    """Enqueue the event for a tenant, and give the letters about it, by connector."""
    before = home.mailboxes[0].count
    with home.transaction() as connection:
        enqueue(connection, "order.paid", PAYLOAD, tenant=tenant, subjects=["ann-1"])
    wanted = before + 2 * len(STYLES)
    until(lambda: home.mailboxes[0].count == wanted, home.voices)
    fresh = home.mailboxes[0].received[before:]
    return {name: [r for r in fresh if f"/{name}/" in r.path] for name in ("acme", "brook")}


def told(letters: list[Received]) -> set[str]:
    """Give everything in these letters by which one could know another again."""
    found: set[str] = set()
    for letter in letters:
        found |= {v for k, v in letter.headers.items() if k not in ALIKE}
        found |= set(scalars(json.loads(letter.body)))
    return found - SHARED


def scalars(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, inner in node.items():
            if name not in ALIKE:
                yield from scalars(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from scalars(inner)
    else:
        yield str(node)


def tokens(letters: list[Received]) -> set[str]:
    return {text for text in told(letters) if text.startswith(("tok_", "siv_", "vlt_"))}


def test_copies_join_within_one_partner_and_tenant_and_nowhere_else(home: Home) -> None:
    first, again = received(home, "north"), received(home, "north")
    elsewhere = received(home, "south")
    for letters in (first, again, elsewhere):
        assert told(letters["acme"]) & told(letters["brook"]) == set()
        assert len(tokens(letters["acme"])) == 5, "all styles of one partner bear the same tokens"
    for name in ("acme", "brook"):
        assert told(first[name]) & told(elsewhere[name]) <= sources(first[name])
        assert tokens(first[name]) == tokens(again[name])
        assert told(first[name]) & told(again[name]) <= sources(first[name]) | tokens(first[name])


def sources(letters: list[Received]) -> set[str]:
    """The names of a partner's own subscriptions, which it knows anyhow."""
    return {str(json.loads(letter.body).get("source")) for letter in letters}
