"""A folder of registry files as a product team keeps them beside its code."""

import json
from pathlib import Path
from typing import Any

from tests.unit.stages.builders import leaf, record

PERSONAL = {"category": "contact", "level": "confidential"}
ORDER = record(
    id=leaf(level="internal"),
    total=leaf("integer", level="internal"),
    country=leaf(),
    customer=record(
        email=leaf(**PERSONAL),
        phone=leaf(["string", "null"], **PERSONAL),
        born=leaf(category="pii", level="restricted"),
        password=leaf(category="secret", level="restricted"),
    ),
    lines={"type": "array", "items": record(sku=leaf(), note=leaf(level="internal"))},
) | {"required": ["id"]}
PAYLOAD: dict[str, Any] = {
    "id": "o-1",
    "total": 4200,
    "country": "DE",
    "customer": {"email": "ann@acme.org", "phone": "+4915112345", "born": "1980-03-04"},
    "lines": [{"sku": "s-1", "note": "fragile"}],
}
REGISTRY = """
[[event_type]]
name = "order.paid"
schema = "schemas/order.paid.json"

[[event_type]]
name = "order.lost"
schema = "schemas/order.lost.json"

[[connector]]
name = "acme"
owner = "team-orders"
contact = "orders@north.example"
tenants = ["north"]
clearance = "confidential"

[[connector.purposes]]
name = "fulfilment"
categories = ["other", "contact", "pii"]
legal_basis = "contract"

[[connector.destinations]]
host = "hooks.acme.example"
reason = "orders"
expires = 2020-01-31

[[connector]]
name = "left"
state = "retired"
owner = "team-orders"
contact = "orders@north.example"
tenants = ["north"]
purposes = [{ name = "fulfilment" }]
destinations = []

[[subscription]]
name = "acme-orders"
connector = "acme"
purpose = "fulfilment"
url = "https://hooks.acme.example/in"

[subscription.scope]
"order.paid" = ["$.id", "$.lines[*].sku", "$.customer.email pseudonym(customer)", "@subject"]

[[subscription]]
name = "acme-thin"
connector = "acme"
purpose = "fulfilment"
url = "https://hooks.acme.example/thin"
style = "thin"
subjects_max = 2
scope = { "order.paid" = ["$.id", "$.customer.born"] }

[[subscription]]
name = "left-orders"
connector = "left"
purpose = "fulfilment"
url = "https://left.example/in"
scope = { "order.paid" = ["$.id"] }
"""


def write_integrations(folder: Path, schema: Any = ORDER, registry: str = REGISTRY) -> Path:
    """Write the folder: by default with a partner in full, one of thin letters, one that left."""
    schemas = folder / "schemas"
    schemas.mkdir(parents=True)
    (folder / "partners.toml").write_text(registry)
    (schemas / "order.paid.json").write_text(json.dumps(schema, indent=2))
    (schemas / "order.lost.json").write_text(json.dumps(record(id=leaf())))
    return folder
