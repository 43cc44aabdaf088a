"""What the doctor says of clocks: never set, or apart from a database's."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from dispatcher.app import doctor
from dispatcher.app.clock import SystemClock
from dispatcher.app.config import load_config
from dispatcher.app.finding import Finding, Remark
from dispatcher.model.errors import ConfigInvalid, StoreUnavailable
from dispatcher.store.identities import revoke_identities
from tests.support.certificates import write_identity
from tests.support.databases import migrate_now

HOUR_US = 3_600_000_000


@pytest.fixture
def config(tmp_path: Path):
    migrate_now(f"sqlite:///{tmp_path}/d.db")
    url = f'url = "sqlite:///{tmp_path}/d.db"'
    (tmp_path / "dispatcher.toml").write_text(f"[registry]\n{url}\n[outbox]\n{url}\n")
    return load_config(tmp_path / "dispatcher.toml")


async def test_a_remark_fails_nothing_and_keeps_its_code_and_fix():
    async def look() -> Remark:
        return Remark("ends_soon", "ends in 3 days", "put a new one")

    found = await doctor._finding("identity", look)
    assert found == Finding("identity", True, "ends in 3 days", "put a new one", "ends_soon")


async def test_a_clock_that_agrees_with_the_databases_is_well(config):
    assert await doctor._look_at_clock(config) == "within 0.0 s of the databases"


async def test_a_clock_that_was_never_set_is_told(config, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SystemClock, "wall_us", lambda _: HOUR_US)
    with pytest.raises(ConfigInvalid, match="never set"):
        await doctor._look_at_clock(config)


async def test_a_clock_far_from_a_databases_is_told(config, monkeypatch: pytest.MonkeyPatch):
    async def ahead(_database: object) -> int:
        return SystemClock().wall_us() + HOUR_US

    monkeypatch.setattr(doctor, "database_us", ahead)
    with pytest.raises(ConfigInvalid, match="registry database are 3600 s apart"):
        await doctor._look_at_clock(config)


async def test_a_clock_without_a_database_to_compare_it_with_is_not_called_good(
    config, monkeypatch: pytest.MonkeyPatch
):
    async def away(_database: object) -> int:
        raise StoreUnavailable("away", where="here")

    monkeypatch.setattr(doctor, "database_us", away)
    assert await doctor._look_at_clock(config) == "not compared: see the databases"


def with_identity(tmp_path: Path, days: int):
    """Give a configuration with a client certificate that ends in so many days."""
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    issued = trustme.CA().issue_cert("us.example", not_after=ends)
    found = write_identity(tmp_path, issued)
    file = tmp_path / "dispatcher.toml"
    named = f'certificate = "{found.certificate}"\nkey = "{found.key}"'
    file.write_text(f"{file.read_text()}[network.identities.acme]\n{named}\n")
    return load_config(file)


def with_next_identity(tmp_path: Path):
    """Give the configuration a certificate that follows the one it has."""
    following = write_identity(tmp_path, trustme.CA().issue_cert("us.example"), "next")
    file = tmp_path / "dispatcher.toml"
    named = f'next_certificate = "{following.certificate}"\nnext_key = "{following.key}"'
    file.write_text(f"{file.read_text()}{named}\n")
    return load_config(file)


@pytest.mark.usefixtures("config")
async def test_a_client_certificate_is_named_with_its_end(tmp_path: Path):
    said = await doctor._look_at_identities(with_identity(tmp_path, 90))
    assert re.fullmatch(r"acme [0-9a-f]{16}, ends in 90 days", said)


@pytest.mark.usefixtures("config")
async def test_a_client_certificate_that_ends_soon_is_reminded_of(tmp_path: Path):
    said = await doctor._look_at_identities(with_identity(tmp_path, 12))
    assert said.endswith("ends in 12 days: replace it soon")


@pytest.mark.usefixtures("config")
async def test_a_client_certificate_that_has_ended_is_a_fault(tmp_path: Path):
    with pytest.raises(ConfigInvalid, match="has ended"):
        await doctor._look_at_identities(with_identity(tmp_path, -3))


@pytest.mark.usefixtures("config")
async def test_a_client_certificate_that_was_revoked_is_a_fault_unless_another_is_there(
    tmp_path: Path,
):
    revoked = with_identity(tmp_path, 90)
    fingerprint = (await doctor._look_at_identities(revoked)).split()[1].rstrip(",")
    database = doctor._open(revoked, "registry")
    async with database.begin() as connection:
        await revoke_identities(database, connection, [fingerprint])
    await database.aclose()
    with pytest.raises(ConfigInvalid, match=f"of identity acme was revoked .{fingerprint}"):
        await doctor._look_at_identities(revoked)
    said = await doctor._look_at_identities(with_next_identity(tmp_path))
    assert said.startswith("acme ")
    assert fingerprint not in said


@pytest.mark.usefixtures("config")
async def test_a_client_certificate_that_has_ended_is_none_where_the_next_one_is_there(
    tmp_path: Path,
):
    with_identity(tmp_path, -3)
    said = await doctor._look_at_identities(with_next_identity(tmp_path))
    assert re.match(r"acme [0-9a-f]{16} and [0-9a-f]{16}, ends in ", said)
