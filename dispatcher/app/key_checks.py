"""Has every subscription a key that signs, and which keys have signed for long?

Asked by `doctor`, of what the registry holds. No secret is read, and nothing is changed.
"""

from collections.abc import Iterable
from typing import Final

from dispatcher.app.clock import SystemClock
from dispatcher.app.config import Config
from dispatcher.app.finding import Remark, list_names
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.errors import ConfigInvalid, StoreUnavailable
from dispatcher.model.keys import KeyState
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Connector, Registry, Subscription
from dispatcher.model.switch import Target
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.lanes import lane_targets
from dispatcher.stages.sealing.rotation import unsigned
from dispatcher.store.database import open_database
from dispatcher.store.revisions import read_active
from dispatcher.store.signing_keys import StoredKey, keys_in_use, read_signing_keys
from dispatcher.store.switches import read_switches

_FIX: Final = "give it one: dispatcher keys rotate SUBSCRIPTION --reason WHY"


async def look_at_signing_keys(config: Config) -> str | Remark:
    """Count the keys that sign, and name the old ones and who has none.

    Whoever has none is sent nothing, which is a fault; where a switch holds it as well, as after a
    leak, it is a remark.
    """
    clock = SystemClock()
    url = config.database_url(config.registry)
    database, now_us = open_database(url, clock.wall_us, name="registry", pool=1), clock.wall_us()
    try:
        async with database.view() as connection:
            registry = (await read_active(database, connection)).registry
            keys = keys_in_use(await read_signing_keys(database, connection), registry)
            switches = await read_switches(database, connection)
    except StoreUnavailable:
        return "not read: see the registry database"
    finally:
        await database.aclose()
    said = _say_ages(keys, now_us, config.keys.remind_after_days)
    lacking = unsigned(registry, ((key.subscription, key.kind, key.times) for key in keys), now_us)
    waiting, held = sort_lacking(registry, lacking, (each.target for each in switches))
    if held:
        said += f"; no key signs for {list_names(held)}, held by a switch"
    if waiting:
        why = f"{said}; no key signs for {list_names(waiting)}, so what is for it waits"
        raise ConfigInvalid(why, fix=_FIX, code=Reason.SIGNING_KEY_MISSING)
    return Remark(Reason.SIGNING_KEY_MISSING, said, f"before its release {_FIX}") if held else said


def _say_ages(keys: Iterable[StoredKey], now_us: int, days: int) -> str:
    active = [key for key in keys if key.times.state(now_us) is KeyState.ACTIVE]
    old = [key.name for key in active if key.times.age_days(now_us) >= days]
    told = f"; older than {days} days, so rotate: {list_names(old)}" if old else ""
    return f"{len(active)} active{told}"


def sort_lacking(
    registry: Registry, lacking: Iterable[str], switches: Iterable[Target]
) -> tuple[list[str], list[str]]:
    """Give those of these subscriptions for which letters wait, and those held by switches.

    A connector that is a draft or retired is sent nothing anyway, and so is a subscription to
    nothing.
    """
    connectors = {
        each.name: each for each in registry.connectors if each.state is ConnectorState.ACTIVE
    }
    stopping = frozenset(switches)
    names = frozenset(lacking)
    waiting: list[str] = []
    held: list[str] = []
    for each in registry.subscriptions:
        if each.name in names and each.scope and each.connector in connectors:
            is_held = _is_held(each, connectors[each.connector], stopping)
            (held if is_held else waiting).append(each.name)
    return waiting, held


def _is_held(subscription: Subscription, connector: Connector, stopping: frozenset[Target]) -> bool:
    """Tell whether switches stop every lane of a subscription."""
    host = parse_endpoint(subscription.url).host
    return all(
        stopping.intersection(
            lane_targets(connector.name, subscription.name, host, event_type, connector.tenants)
        )
        for event_type in subscription.scope
    )
