"""Purges what the policy keeps no longer, rule by rule, in small batches beside the road.

One loop of the worker, apart from upkeep, which must not wait for it. What is removed cannot be
brought back, so nothing is removed under a policy that may have changed meanwhile: only while the
policy lease lasts, looked at before each batch. Any number of workers may sweep at once.
"""

import asyncio
from collections import Counter
from datetime import date
from typing import Final

from dispatcher.model.retention import Rule
from dispatcher.model.snapshot import Snapshot
from dispatcher.stages.revising.retention import retention_rules
from dispatcher.store.retention import Sweep
from dispatcher.worker.kit import Kit, rest
from dispatcher.worker.policy import PolicyWatch

ROWS_MAX: Final = 500
LATE_SECONDS: Final = 3600.0
"""How far past its window a row may be before that is told of."""


class Purging:
    """What one worker sweeps."""

    def __init__(self, kit: Kit, policy: PolicyWatch) -> None:
        self._kit = kit
        self._policy = policy
        self._begun = kit.clock.boot()
        self._clean: dict[tuple[str, str], float] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep at every interval until told to stop; a batch under way is finished."""
        while not stopping.is_set():
            await self.sweep(stopping)
            await rest(stopping, self._kit.settings.sweep_seconds)

    async def sweep(self, stopping: asyncio.Event) -> None:
        """Follow every rule once; one that fails keeps no other from being followed."""
        snapshot, today = self._policy.snapshot, self._policy.today
        rules = retention_rules(snapshot.policy.retention, snapshot.event_types.values(), today)
        lags: dict[str, float] = {}
        for rule in rules:
            begun = self._kit.clock.boot()
            try:
                is_done = await self._follow(rule, snapshot, today, stopping)
            except Exception as error:  # noqa: BLE001 - the database is away, or this rule broken
                self._kit.report("purge_failed", error)
                is_done = False
            if is_done:
                self._clean[rule.store, rule.said] = begun
            lag = begun - self._clean.get((rule.store, rule.said), self._begun)
            lags[rule.store] = max(lag, lags.get(rule.store, 0.0))
            self._kit.metrics.retention_lag.labels(rule.store).set(lags[rule.store])
            self._warn(rule, lag)

    async def _follow(
        self, rule: Rule, snapshot: Snapshot, today: date, stopping: asyncio.Event
    ) -> bool:
        """Purge batch by batch; `False` when it had to be left before the end."""
        kit = self._kit
        sweep = Sweep(rule=rule, worker=kit.id, revision=snapshot.revision)
        while not sweep.is_done:
            if stopping.is_set() or not self._may(snapshot, today):
                return False
            last, sweep = sweep, await kit.retention.purge(sweep, rows_max=ROWS_MAX)
            for name, count in (Counter(sweep.counts) - Counter(last.counts)).items():
                kit.metrics.purged.labels(rule.store, name).inc(count)
            lag = sweep.late_us / 1_000_000
            kit.metrics.retention_lag.labels(rule.store).set(lag)
            if last.record is None:
                self._warn(rule, lag)
        if sweep.record is not None:
            count = sum(sweep.counts.values())
            kit.log.info("purged", store=rule.store, rule=rule.said, count=count)
        return True

    def _may(self, snapshot: Snapshot, today: date) -> bool:
        """True while these rules are the policy's, and nobody can have changed it unseen.

        On another day another legal hold may be in force.
        """
        now = self._policy.snapshot.revision, self._policy.today
        is_ours = now == (snapshot.revision, today)
        return is_ours and self._kit.clock.boot() < self._policy.lease_ends

    def _warn(self, rule: Rule, lag: float) -> None:
        if lag > LATE_SECONDS:
            self._kit.log.warning(
                "retention_late", store=rule.store, rule=rule.said, seconds=int(lag)
            )
