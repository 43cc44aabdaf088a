"""The purging loop: by whose word it removes, when it stops, and what it says of its lag."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.model.errors import StoreUnavailable
from dispatcher.model.ids import Revision
from dispatcher.model.registry import Policy
from dispatcher.model.retention import Ceiling, Retention, Store
from dispatcher.store.retention import Sweep
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker.purging import LATE_SECONDS, Purging
from tests.unit.stages import builders

HOUR_US = 3_600_000_000


@dataclass
class Shelf:
    """Stands in for the store: so many full batches of payloads, then the end."""

    full: int = 0
    late_us: int = 0
    meddle: Callable[[], None] = lambda: None
    purged: list[Sweep] = field(default_factory=list)
    broken: frozenset[Store] = frozenset()

    async def purge(self, sweep: Sweep, *, rows_max: int) -> Sweep:
        if sweep.rule.store in self.broken:
            raise StoreUnavailable("gone", fix="bring it back")
        self.purged.append(sweep)
        self.meddle()
        if sweep.rule.store is not Store.PAYLOADS or not self.full:
            return replace(sweep, is_done=True)
        self.full -= 1
        counts = {"payloads": sweep.counts.get("payloads", 0) + rows_max}
        return replace(sweep, counts=counts, record=1, late_us=self.late_us)


class Bench:
    """A purging loop with everything it sees and says."""

    def __init__(self, **retention: Any) -> None:
        self.now = 0.0
        self.shelf = Shelf()
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.metrics = Metrics(CollectorRegistry())
        snapshot = builders.snapshot(
            builders.registry(policy=Policy(retention=Retention(**retention)))
        )
        self.policy = SimpleNamespace(snapshot=snapshot, lease_ends=1e9, today=builders.TODAY)

        def say(line: str, **more: Any) -> None:
            self.lines.append((line, more))

        kit: Any = SimpleNamespace(
            id="w1",
            retention=self.shelf,
            clock=SimpleNamespace(boot=lambda: self.now),
            metrics=self.metrics,
            log=SimpleNamespace(info=say, warning=say),
            report=lambda line, error: say(line, error=error),
        )
        self.stopping = asyncio.Event()
        self.purging = Purging(kit, self.policy)  # type: ignore[arg-type]

    async def sweep(self) -> None:
        await self.purging.sweep(self.stopping)

    def lag(self, store: Store) -> float | None:
        name = "dispatcher_retention_lag_seconds"
        return self.metrics.registry.get_sample_value(name, {"store": store})

    def said(self, line: str) -> list[dict[str, Any]]:
        return [more for each, more in self.lines if each == line]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_every_store_is_swept_batch_by_batch_to_its_end(bench: Bench):
    bench.shelf.full = 3
    await bench.sweep()
    assert [each.rule.store for each in bench.shelf.purged] == [
        *[Store.PAYLOADS] * 4,
        *list(Store)[1:],
    ]
    assert bench.said("purged") == [
        {"store": Store.PAYLOADS, "rule": "payload_hours = 24", "count": 1500}
    ]
    labels = {"store": "payloads", "kind": "payloads"}
    value = bench.metrics.registry.get_sample_value("dispatcher_rows_purged_total", labels)
    assert value == 1500
    assert {bench.lag(store) for store in Store} == {0.0}


async def test_nothing_is_removed_while_the_policy_may_have_changed_unseen(bench: Bench):
    bench.now = bench.policy.lease_ends
    await bench.sweep()
    assert bench.shelf.purged == []


async def test_a_sweep_ends_when_the_policy_moves(bench: Bench):
    bench.shelf.full = 3

    def move() -> None:
        bench.policy.snapshot = replace(bench.policy.snapshot, revision=Revision(99))

    bench.shelf.meddle = move
    await bench.sweep()
    assert len(bench.shelf.purged) == 1


async def test_a_sweep_ends_with_the_day_for_a_legal_hold_may_begin_with_the_next(bench: Bench):
    bench.shelf.full = 3

    def sleep() -> None:
        bench.policy.today += timedelta(days=1)

    bench.shelf.meddle = sleep
    await bench.sweep()
    assert len(bench.shelf.purged) == 1


async def test_a_sweep_ends_between_two_batches_when_told_to_stop(bench: Bench):
    bench.shelf.full = 3
    bench.shelf.meddle = bench.stopping.set
    await bench.sweep()
    assert len(bench.shelf.purged) == 1


async def test_the_lag_is_told_while_there_is_one_and_is_over_with_the_sweep(bench: Bench):
    bench.shelf.full = 2
    bench.shelf.late_us = 5 * HOUR_US
    lags: list[Any] = []
    bench.shelf.meddle = lambda: lags.append(bench.lag(Store.PAYLOADS))
    await bench.sweep()
    assert lags[1] == 5 * 3600.0
    assert bench.lag(Store.PAYLOADS) == 0.0
    (late,) = bench.said("retention_late")
    assert (late["store"], late["seconds"]) == (Store.PAYLOADS, 5 * 3600)


async def test_the_lag_grows_while_a_store_cannot_be_swept_and_others_are(bench: Bench):
    await bench.sweep()
    bench.shelf.broken = frozenset({Store.LEDGER})
    bench.now = LATE_SECONDS + 1
    await bench.sweep()
    assert bench.lag(Store.LEDGER) == LATE_SECONDS + 1
    assert bench.lag(Store.TRIAGE) == 0.0
    assert len(bench.said("purge_failed")) == 1
    assert [each["store"] for each in bench.said("retention_late")] == [Store.LEDGER]


async def test_one_rule_that_lags_shows_for_its_store():
    bench = Bench(classes={"other": Ceiling(payload_hours=1.0)})
    await bench.sweep()
    bench.shelf.full = 1
    bench.shelf.meddle = lambda: setattr(bench.policy, "lease_ends", 0.0)
    bench.now = 7.0
    await bench.sweep()
    assert bench.lag(Store.PAYLOADS) == 7.0
