"""Fields that nobody classed are counted, listed, and struck out when a schema classes them."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from dispatcher.model.snapshot import Snapshot
from dispatcher.store.database import Database
from dispatcher.store.triage import TriageStore
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.triage import PLACES_MAX, WRITE_SECONDS, Triage
from tests.support.letters import change
from tests.support.planes import Caller, means_of
from tests.unit.stages import builders
from tests.unit.stages.builders import leaf, record

SMALL = record(id=leaf(), note={"type": "string"})


class Clock:
    now = 0.0

    def boot(self) -> float:
        return self.now


class Watch:
    """The triage of one worker, and what it works on."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.metrics = Metrics(CollectorRegistry())
        kit: Any = SimpleNamespace(
            clock=self.clock, metrics=self.metrics, triage=TriageStore(database)
        )
        self.triage = Triage(kit)
        self.under(SMALL)

    def under(self, schema: Any, revision: int = 1) -> None:
        kinds = (builders.event_type(name, schema) for name in ("order.paid", "order.sent"))
        held = builders.registry(event_types=tuple(kinds), subscriptions=())
        self.snapshot: Snapshot = builders.snapshot(held, revision=revision)

    def see(self, document: Any, kind: str = "order.paid") -> None:
        event = builders.event(msgspec.json.encode(document))
        event_type = self.snapshot.event_types["order.paid"]
        self.triage.look(event, replace(event_type, name=kind))

    async def listed(self, **query: str) -> list[tuple[str, str, str]]:
        api = Caller(means_of(self.database))
        rows = (await api.ask("GET", "/v1/triage", query=query))["items"]
        return [(row["event_type"], row["path"], row["reason"]) for row in rows]

    def counted(self, reason: str) -> float:
        labels = {"event_type": "order.paid", "reason": reason}
        found = self.metrics.registry.get_sample_value("dispatcher_fields_withheld_total", labels)
        return found or 0.0


@pytest.fixture
def watch(database: Database) -> Watch:
    return Watch(database)


async def test_a_field_nobody_classed_is_counted_and_listed(watch: Watch):
    watch.see({"id": "o", "note": "canary", "new": {"secret": "canary"}, "odd key": 1})
    assert (watch.counted("unclassified"), watch.counted("undeclared")) == (1.0, 2.0)
    await watch.triage.write(watch.snapshot)
    assert await watch.listed() == [
        ("order.paid", "$.new", "undeclared"),
        ("order.paid", "$.note", "unclassified"),
        ("order.paid", "$[*]", "undeclared"),
    ]


async def test_one_event_of_each_type_a_second_is_looked_at(watch: Watch):
    watch.see({"a": 1})
    watch.see({"b": 1})
    watch.see({"c": 1}, "order.sent")
    watch.clock.now = 1.0
    watch.see({"d": 1})
    await watch.triage.write(watch.snapshot)
    assert [path for _, path, _ in await watch.listed()] == ["$.a", "$.d", "$.c"]
    assert [path for _, path, _ in await watch.listed(event_type="order.sent")] == ["$.c"]


async def test_a_later_schema_that_classes_a_field_takes_it_off_the_list(watch: Watch):
    await watch.triage.write(watch.snapshot)
    watch.see({"note": "x", "new": "x", "other": "x"})
    await watch.triage.write(watch.snapshot)
    watch.under(record(id=leaf(), note=leaf(), new=leaf(category="pii")), revision=2)
    await watch.triage.write(watch.snapshot)
    assert [path for _, path, _ in await watch.listed()] == ["$.other"]
    watch.snapshot = builders.snapshot(
        builders.registry(event_types=(), subscriptions=()), revision=3
    )
    await watch.triage.write(watch.snapshot)
    assert await watch.listed() == []


async def test_a_field_keeps_the_moment_it_was_first_seen_and_is_not_written_all_the_time(
    watch: Watch,
):
    store = TriageStore(watch.database)

    async def moments() -> tuple[int, int]:
        (row,) = await store.listed(event_type=None, after=("", ""), limit=9)
        return row["first_seen_us"], row["last_seen_us"]

    await watch.triage.write(watch.snapshot)
    for now in (0.0, 1.0):
        watch.clock.now = now
        watch.see({"new": 1})
        await watch.triage.write(watch.snapshot)
        if not now:
            first = await moments()
    assert await moments() == first
    watch.clock.now = 1.0 + WRITE_SECONDS
    watch.see({"new": 1})
    await watch.triage.write(watch.snapshot)
    assert (await moments())[0] == first[0]
    assert (await moments())[1] > first[1]


async def test_a_producer_that_makes_up_names_fills_nothing(watch: Watch):
    for number in range(2 * PLACES_MAX // 100):
        watch.clock.now = float(number)
        watch.see({f"m{number}_{each}": 1 for each in range(100)})
    watch.clock.now += 1.0
    members: Any = leaf()
    deep: Any = 1
    for number in range(9):
        deep, members = {str(number) * 60: deep}, record(**{str(number) * 60: members})
    watch.under(members)
    deep["8" * 60]["undeclared"] = 1
    watch.see(deep)
    await watch.triage.write(watch.snapshot)
    store = TriageStore(watch.database)
    rows = await store.listed(event_type=None, after=("", ""), limit=10_000)
    assert len(rows) <= PLACES_MAX


async def test_what_could_not_be_written_is_written_later(watch: Watch):
    await watch.triage.write(watch.snapshot)
    watch.see({"new": 1})
    await change(watch.database, "ALTER TABLE {triage} RENAME TO away")
    with pytest.raises(Exception, match="schema_mismatch"):
        await watch.triage.write(watch.snapshot)
    table = "dispatcher_triage" if watch.database.is_sqlite else "triage"
    away = "away" if watch.database.is_sqlite else "dispatcher.away"
    await change(watch.database, f"ALTER TABLE {away} RENAME TO {table}")
    await watch.triage.write(watch.snapshot)
    assert [path for _, path, _ in await watch.listed()] == ["$.new"]


async def test_the_list_is_whole_when_read_page_by_page(watch: Watch):
    api = Caller(means_of(watch.database))
    places = {(f"type{n % 3}", f"$['odd {n}']"): "undeclared" for n in range(25)}
    await TriageStore(watch.database).remember(places)
    found, query = [], {"limit": "4"}
    while True:
        page = await api.ask("GET", "/v1/triage", query=query)
        found += [(row["event_type"], row["path"]) for row in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len(found) == 25
    assert set(found) == set(places)
