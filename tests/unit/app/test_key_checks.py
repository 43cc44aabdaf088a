"""What the doctor says of signing keys: who has none, who is held meanwhile, and which are old."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from dispatcher.app.clock import SystemClock
from dispatcher.app.config import Config, load_config
from dispatcher.app.finding import Remark
from dispatcher.app.key_checks import look_at_signing_keys, sort_lacking
from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.keys import SigningProfile
from dispatcher.model.paper import ConnectorState
from dispatcher.model.switch import Target
from dispatcher.store.database import Database, open_database
from tests.support.databases import migrate_now
from tests.support.letters import change
from tests.support.planes import EVERYBODY, control_of
from tests.unit.stages.builders import connector, event_type, registry, subscription

DAY_US = 86_400_000_000


@pytest.fixture
def config(tmp_path: Path) -> Config:
    migrate_now(f"sqlite:///{tmp_path}/d.db")
    url = f'url = "sqlite:///{tmp_path}/d.db"'
    (tmp_path / "dispatcher.toml").write_text(f"[registry]\n{url}\n[outbox]\n{url}\n")
    return load_config(tmp_path / "dispatcher.toml")


@pytest.fixture
async def database(config: Config) -> AsyncIterator[Database]:
    found = open_database(
        config.database_url(config.registry), SystemClock().wall_us, name="registry", pool=1
    )
    yield found
    await found.aclose()


async def revoke(database: Database, kind: str = "hmac") -> None:
    sql = "UPDATE {signing_keys} SET revoked_us = 1, sealed = NULL WHERE kind = :kind"
    await change(database, sql, kind=kind)


async def test_a_subscription_without_a_key_fails_the_check_and_is_named_with_the_fix(
    config: Config, database: Database
):
    await control_of(database, 1).propose(registry(), by=EVERYBODY, reason="r", where="files")
    assert await look_at_signing_keys(config) == "1 active"
    await revoke(database)
    with pytest.raises(ConfigInvalid) as raised:
        await look_at_signing_keys(config)
    assert raised.value.reason == "signing_key_missing"
    assert raised.value.why.startswith("0 active; no key signs for acme-orders, so")
    assert "dispatcher keys rotate SUBSCRIPTION --reason" in raised.value.fix


async def test_one_kind_of_two_is_not_enough(config: Config, database: Database):
    held = registry(subscriptions=(subscription(signing=SigningProfile.V1_V1A),))
    await control_of(database, 1).propose(held, by=EVERYBODY, reason="r", where="files")
    assert await look_at_signing_keys(config) == "2 active"
    await revoke(database, "ed25519")
    with pytest.raises(ConfigInvalid, match="1 active; no key signs for acme-orders"):
        await look_at_signing_keys(config)


async def test_a_subscription_that_is_held_as_well_is_a_warning(config: Config, database: Database):
    control = control_of(database, 1)
    await control.propose(registry(), by=EVERYBODY, reason="r", where="files")
    await revoke(database)
    target = Target.parse("connector:acme")
    await control.registry.trip(target, reason="INC-7", actor="sre")
    found = await look_at_signing_keys(config)
    assert isinstance(found, Remark)
    assert found.code == "signing_key_missing"
    assert found.said == "0 active; no key signs for acme-orders, held by a switch"
    assert "before its release" in found.fix
    await control.registry.release(target, reason="INC-7 is over", actor="sre")
    with pytest.raises(ConfigInvalid):
        await look_at_signing_keys(config)


async def test_keys_that_have_signed_for_too_long_are_named(config: Config, database: Database):
    assert await look_at_signing_keys(config) == "0 active"
    await control_of(database, 1).propose(registry(), by=EVERYBODY, reason="r", where="files")
    await change(database, "UPDATE {signing_keys} SET until_us = 1")
    old = SystemClock().wall_us() - 91 * DAY_US
    rows = [
        ("acme-orders", "0a", old, None, "acme"),
        ("acme-orders", "0b", old, 1, "acme"),
        ("acme-orders", "0c", old + DAY_US, 1, "acme"),
        ("acme-orders", "0d", old, None, "brook"),
        ("gone", "0e", old, None, "acme"),
    ]
    for subscribed, name, created_us, until_us, connector_name in rows:
        await change(
            database,
            "INSERT INTO {signing_keys}"
            " (subscription, fingerprint, created_us, until_us, connector)"
            " VALUES (:subscription, :name, :created_us, :until_us, :connector)",
            subscription=subscribed,
            name=name,
            created_us=created_us,
            until_us=until_us,
            connector=connector_name,
        )
    said = await look_at_signing_keys(config)
    assert said == "1 active; older than 90 days, so rotate: acme-orders/0a"


async def test_a_database_that_is_not_there_is_told_by_its_own_check(tmp_path: Path):
    (tmp_path / "dispatcher.toml").write_text(f'[registry]\nurl = "sqlite:///{tmp_path}/gone.db"')
    config = load_config(tmp_path / "dispatcher.toml")
    assert str(await look_at_signing_keys(config)).startswith("not read")


TWO_TYPES = registry(
    event_types=(event_type(), event_type("order.sent")),
    subscriptions=(subscription(scope={"order.paid": (), "order.sent": ()}),),
)


@pytest.mark.parametrize(
    ("targets", "is_held"),
    [
        ((), False),
        (("everything",), True),
        (("connector:acme",), True),
        (("subscription:acme-orders",), True),
        (("host:HOOKS.acme.example",), True),
        (("tenant:north",), True),
        (("event-type:order.paid", "event-type:order.sent"), True),
        (("event-type:order.paid",), False),
        (("connector:brook", "tenant:south"), False),
    ],
)
def test_only_what_is_stopped_whole_is_held(targets: tuple[str, ...], is_held: bool):
    waiting, held = sort_lacking(TWO_TYPES, {"acme-orders"}, map(Target.parse, targets))
    assert (waiting, held) == (([], ["acme-orders"]) if is_held else (["acme-orders"], []))


@pytest.mark.parametrize("state", [ConnectorState.DRAFT, ConnectorState.RETIRED])
def test_a_connector_that_is_sent_nothing_lacks_nothing(state: ConnectorState):
    idle = replace(TWO_TYPES, connectors=(connector(state=state),))
    assert sort_lacking(idle, {"acme-orders"}, ()) == ([], [])


def test_a_subscription_to_nothing_lacks_nothing():
    idle = replace(TWO_TYPES, subscriptions=(subscription(scope={}),))
    assert sort_lacking(idle, {"acme-orders"}, ()) == ([], [])
