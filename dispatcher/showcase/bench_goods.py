"""What travels on the bench's road: one partner, one subscription, 15 grants, 1 KiB bodies.

Written as the registry files a user would apply, and as payloads whose granted part makes bodies of
exactly 1 KiB while several fields of every payload are withheld. Used by `bench_house`; no
value here is anybody's. `bench_shaping` takes its events and their schema from here too.
"""

import json
from pathlib import Path
from typing import Any, Final

TENANT: Final = "acme"
EVENT_TYPE: Final = "order.shipped"
INBOX_PATH: Final = "/inbox"
_NOTE_CHARACTERS: Final = 377
"""Fills the body up to 1,024 bytes; a test looks at what really arrives."""

GRANTS: Final = (
    "$.order.id",
    "$.order.number",
    "$.order.placed_at",
    "$.order.currency",
    "$.order.total",
    "$.customer.reference",
    "$.customer.name",
    "$.customer.email",
    "$.shipment.carrier",
    "$.shipment.tracking",
    "$.shipment.note",
    "$.address.city",
    "$.address.country",
    "$.lines[*].sku",
    "$.lines[*].quantity",
)
_CATEGORIES: Final = {"email": "contact", "name": "pii", "street": "pii", "birth_date": "pii"}
_TYPES: Final = {str: "string", int: "integer", float: "number"}
_REGISTRY: Final = """\
[[event_type]]
name = "{event_type}"
schema = "order.json"

[[connector]]
name = "freight"
owner = "the bench"
contact = "bench@example.com"
owner_confirmed_until = 2099-12-31
tenants = ["{tenant}"]
clearance = "confidential"
[connector.agreement]
reference = "BENCH-1"
until = 2099-12-31
[[connector.purposes]]
name = "shipping"
categories = ["other", "pii", "contact"]
legal_basis = "contract"
[[connector.destinations]]
host = "127.0.0.1"
port = {port}
scheme = "http"
reason = "the bench's own inbox"

[[subscription]]
name = "freight-orders"
connector = "freight"
purpose = "shipping"
url = "http://127.0.0.1:{port}{path}"
concurrency = {window}
[subscription.scope]
"{event_type}" = [{grants}]
"""


def write_registry(folder: Path, port: int, window: int) -> None:
    """Write the registry files of a partner whose inbox is on this loopback port."""
    folder.mkdir()
    schema = schema_of("", payload(0))
    (folder / "order.json").write_text(json.dumps(schema), encoding="utf-8")
    text = _REGISTRY.format(
        event_type=EVENT_TYPE,
        tenant=TENANT,
        port=port,
        path=INBOX_PATH,
        window=window,
        grants=", ".join(json.dumps(path) for path in GRANTS),
    )
    (folder / "bench.toml").write_text(text, encoding="utf-8")


def subject(number: int) -> str:
    """Name the person an event is about."""
    return f"customer-{number % 100_000:08d}"


def payload(number: int) -> dict[str, Any]:
    """Make the payload of one event; all have the same length and their own values."""
    return {
        "order": {
            "id": f"ord_{number:012d}",
            "number": f"A-{number:010d}",
            "placed_at": "2026-01-31T09:30:00Z",
            "currency": "EUR",
            "total": 129.5,
            "margin": 31.25,
        },
        "customer": {
            "reference": f"cus_{number % 100_000:08d}",
            "name": "Ada Example",
            "email": f"customer{number % 100_000:08d}@example.com",
            "birth_date": "1980-05-17",
            "loyalty_tier": "silver",
        },
        "shipment": {
            "carrier": "Example Freight",
            "tracking": f"EF{number:014d}",
            "note": "n" * _NOTE_CHARACTERS,
            "warehouse": "north-4",
        },
        "address": {"street": "1 Sample Street", "city": "Springfield", "country": "DE"},
        "lines": [
            {"sku": f"SKU-{line:05d}", "quantity": line + 1, "cost": 12.75} for line in range(5)
        ],
    }


def schema_of(name: str, value: object) -> dict[str, Any]:
    """Describe an example: every leaf classified, every object open to its members alone."""
    if isinstance(value, dict):
        members = {key: schema_of(key, inner) for key, inner in value.items()}
        return {"type": "object", "properties": members}
    if isinstance(value, list):
        return {"type": "array", "items": schema_of(name, value[0])}
    return {
        "type": _TYPES[type(value)],
        "x-data-classification": {
            "category": _CATEGORIES.get(name, "other"),
            "sensitivity": "confidential",
        },
    }
