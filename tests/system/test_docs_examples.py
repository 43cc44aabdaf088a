"""The examples in the documentation work as they are printed."""

import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from standardwebhooks import Webhook

from dispatcher.stages.sealing.standard_webhooks import format_secret
from tests.support.world_nursery import Nursery

DOCS = Path(__file__).parents[2] / "docs"
DISPATCHER = Path(sys.executable).with_name("dispatcher")
LEAF = {"x-data-classification": {"category": "other", "sensitivity": "internal"}}
SCHEMA = {
    "type": "object",
    "properties": {
        "order": {
            "type": "object",
            "properties": {
                "id": {"type": "string", **LEAF},
                "total_cents": {"type": "integer", **LEAF},
            },
        },
        "lines": {
            "type": "array",
            "items": {"type": "object", "properties": {"sku": {"type": "string", **LEAF}}},
        },
    },
}


def block(page: str, language: str) -> str:
    """Give the first fenced block of a language on a page."""
    found = re.search(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert found, f"{page} has no {language} block"
    return found[1]


def run(nursery: Nursery, folder: Path, *words: str, **variables: str) -> str:
    done = nursery.start("dispatcher", *words, folder=folder, env=variables)
    assert done.wait() == 0, done.said()
    return done.out.read_text()


def write_registry(folder: Path) -> Path:
    """Write the page's registry with a schema where it names one."""
    registry = folder / "integrations"
    (registry / "schemas").mkdir(parents=True)
    (registry / "acme.toml").write_text(block("registry.md", "toml"))
    (registry / "schemas" / "order.paid.json").write_text(json.dumps(SCHEMA))
    return registry


@pytest.fixture
def folder(clear_folder: Path, nursery: Nursery) -> Path:
    run(nursery, clear_folder, "init", "--dev")
    run(nursery, clear_folder, "migrate")
    write_registry(clear_folder)
    run(nursery, clear_folder, "apply", "integrations")
    return clear_folder


def test_the_registry_page_can_be_applied(folder: Path, nursery: Nursery) -> None:
    assert "already says so" in run(nursery, folder, "apply", "integrations")


def test_the_registry_page_shows_a_class_that_schemas_accept() -> None:
    leaf = json.loads(block("registry.md", "json"))
    assert set(leaf["x-data-classification"]) == {"category", "sensitivity"}


def test_the_readme_enqueues_from_standard_input(folder: Path, nursery: Nursery) -> None:
    done = subprocess.run(
        [DISPATCHER, "enqueue", "order.paid", "--tenant", "north"],
        cwd=folder,
        input='{"order": {"id": "o-1"}}',
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    event = done.stdout.strip()
    assert f"{event}  order.paid  tenant north" in run(nursery, folder, "trace", event)


def test_the_python_example_enqueues_in_the_callers_transaction(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    engine = create_engine("sqlite:///dispatcher-data/dispatcher.db")
    order: Any = type("Order", (), {"id": "o-7", "total_cents": 1200, "customer_id": "user-7"})()
    names: dict[str, Any] = {"Session": Session, "engine": engine, "order": order}
    source = block("outbox.md", "python").replace("    session.add(order)\n", "")
    exec(compile(source, "outbox.md", "exec"), names)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, is_sealed FROM dispatcher_events")).all()
    engine.dispose()
    assert [(names["event_id"], 1)] == [tuple(row) for row in rows]


async def test_the_sql_example_enqueues_on_postgresql(
    postgres_url: str, clear_folder: Path, nursery: Nursery
) -> None:
    urls = {f"DISPATCHER__{plane}__URL": postgres_url for plane in ("REGISTRY", "OUTBOX")}
    run(nursery, clear_folder, "init", "--dev")
    run(nursery, clear_folder, "apply", str(write_registry(clear_folder)), **urls)
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        event = await connection.fetchval(block("outbox.md", "sql"))
        again = await connection.fetchval(block("outbox.md", "sql"))
    finally:
        await connection.close()
    assert event.startswith("evt_")
    assert event == again


def test_the_wire_page_shows_headers_in_the_form_that_libraries_make() -> None:
    page = (DOCS / "wire.md").read_text()
    shown = dict(re.findall(r"^(webhook-[a-z]+): (.+)$", page, re.MULTILINE))
    made_at = datetime.fromtimestamp(int(shown["webhook-timestamp"]), UTC)
    signature = Webhook(format_secret(b"k" * 32)).sign(shown["webhook-id"], made_at, "{}")
    assert re.sub(r"[A-Za-z0-9+/]{43}=", "…", signature) == re.sub(
        r"[A-Za-z0-9+/]{43}=", "…", shown["webhook-signature"]
    )


def test_the_documented_registry_is_valid_toml() -> None:
    assert set(tomllib.loads(block("registry.md", "toml"))) == {
        "event_type",
        "connector",
        "subscription",
        "policy",
    }
