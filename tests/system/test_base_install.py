"""What a product service installs: the base package alone. It enqueues, and tests what is seen."""

import json
import os
import sqlite3
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.integrations import write_integrations

ROOT = Path(__file__).parents[2]
SERVER_ONLY = (
    "pydantic",
    "aiohttp",
    "aiodns",
    "aiosqlite",
    "asyncpg",
    "alembic",
    "click",
    "rich",
    "structlog",
    "prometheus_client",
    "tenacity",
    "idna",
    "publicsuffixlist",
)
IMPORT = f"""
import json, sys
import dispatcher.producer, dispatcher.receiver.opening
import dispatcher.testing.exposure, dispatcher.testing.partners
print(json.dumps([name for name in {SERVER_ONLY!r} if name in sys.modules]))
"""
USE = """
import sys
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from dispatcher.producer import EnqueueRefused, enqueue
engine = create_engine(sys.argv[1])
with Session(engine) as session:
    first = enqueue(session, "order.placed", {"id": "o1"}, tenant="shop", subjects=["ann"])
    enqueue(session, "order.placed", {"id": "o2"}, tenant="shop", subjects=[])
    try:
        enqueue(session, "order.placed", {"id": 7}, tenant="shop", subjects=[])
    except EnqueueRefused as refused:
        print(refused.reason)
    session.commit()
print(first)
"""
TEST = """
import sys
from pathlib import Path
from dispatcher.testing.exposure import assert_no_new_personal_fields
from dispatcher.testing.files import read_registry
from dispatcher.testing.partners import Partners
folder = Path(sys.argv[1])
partners = Partners(read_registry(folder))
view = partners["acme-orders"].sees("order.paid", partners.sample("order.paid"))
view.assert_hides("$.customer.phone")
assert_no_new_personal_fields(before=folder, after=folder)
print(view.report())
"""

pytestmark = pytest.mark.timeout(600)


def run(*command: str | Path, **surroundings: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(word) for word in command],
        env=clean | surroundings,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is published, built by the environment the tests run in."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with nothing but the base package."""
    home = tmp_path_factory.mktemp("base") / "env"
    venv.create(home)
    python = home / "bin" / "python"
    # By the pip that is here: a second one, and compiling what a few tests import, takes longer.
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    install = (*pip, "install", "-q", "--no-compile")
    run(*install, "--require-hashes", "-r", ROOT / "requirements" / "base.txt")
    run(*install, "--no-deps", wheel)
    return python


def test_the_wheel_carries_both_histories(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    for plane in ("registry", "outbox"):
        assert f"dispatcher/_migrations/{plane}/env.py" in names
        assert any(
            name.startswith(f"dispatcher/_migrations/{plane}/versions/0001") for name in names
        )


def test_nothing_of_the_server_is_installed(python: Path):
    listed = json.loads(
        run(sys.executable, "-m", "pip", "--python", python, "list", "--format", "json")
    )
    installed = {each["name"].lower().replace("-", "_") for each in listed}
    assert not installed & set(SERVER_ONLY)
    assert installed >= {"dispatcher", "sqlalchemy", "msgspec", "jsonschema_rs", "cryptography"}


def test_a_product_service_enqueues_with_the_base_package_alone(python: Path, sqlite_url: str):
    file = sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(file) as connection:
        schema = '{"type":"object","properties":{"id":{"type":"string"}}}'
        connection.execute(
            "INSERT INTO dispatcher_catalogue (event_type, schema, payload_bytes_max, revision)"
            " VALUES ('order.placed', ?, 1000, 1)",
            (schema,),
        )
    connection.close()
    reason, first = run(python, "-c", USE, sqlite_url).split()
    connection = sqlite3.connect(file)
    events = connection.execute("SELECT id FROM dispatcher_events ORDER BY seq")
    (one,), _ = events.fetchall()
    (new,) = connection.execute("SELECT count(*) FROM dispatcher_deliveries").fetchone()
    connection.close()
    assert reason == "schema_invalid"
    assert one == first
    assert new == 2


def test_a_product_service_tests_what_partners_see_with_the_base_package_alone(
    python: Path, tmp_path: Path
):
    report = run(python, "-c", TEST, write_integrations(tmp_path / "integrations"))
    assert "leaves   $.id" in report
    assert "the leak guard is not installed" in report


def test_pytest_finds_the_plugin(python: Path):
    found = "from importlib.metadata import entry_points as e; print(e(group='pytest11'))"
    assert "value='dispatcher.testing.plugin'" in run(python, "-c", found)


def test_importing_the_producer_loads_nothing_of_the_server_even_where_it_is_installed():
    assert json.loads(run(sys.executable, "-c", IMPORT)) == []


def test_importing_the_producer_in_the_base_environment_loads_only_what_is_there(python: Path):
    assert json.loads(run(python, "-c", IMPORT)) == []
