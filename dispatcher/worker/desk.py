"""Between leasing and carrying: a small queue and a window for each subscription.

A hanging partner fills only its own window and queue; the others never wait for it. The relay and
the leaser ask how much room there is before they claim, so a worker never holds more rows than it
can carry within their lease. Couriers run as tasks that live as long as their queue has work. Each
window keeps its own pace: a rate, and a rest for a destination that ails.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from dispatcher.model.letter import Leased
from dispatcher.model.snapshot import Route
from dispatcher.model.verdict import Reason
from dispatcher.stages.settling.outcome import Health
from dispatcher.worker.courier import Courier
from dispatcher.worker.kit import Kit
from dispatcher.worker.pace import Pace

QUEUE_PER_WINDOW = 4
"""How many leased deliveries may queue for each place in a subscription's window."""


class _Window:
    __slots__ = ("active", "pace", "queue", "route")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.active = 0
        self.queue: deque[Leased] = deque()
        self.pace = Pace()

    @property
    def size(self) -> int:
        return self.route.concurrency


class Desk:
    """Hands leased deliveries to couriers, within each subscription's window."""

    def __init__(self, kit: Kit, courier: Courier) -> None:
        self._kit = kit
        self._courier = courier
        self._windows: dict[str, _Window] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.carried = 0

    def room(self, route: Route, coming: int = 0, here: int = 0) -> int:
        """How many more of this subscription may be leased.

        `coming` are on their way in all, `here` of them for this subscription. Its own window is
        always its own: only the queues behind the windows share what this worker may hold, so that
        no partner can fill it for the others.
        """
        window = self._windows.get(route.subscription)
        taken = here + (window.active + len(window.queue) if window is not None else 0)
        behind = min(
            route.concurrency * (1 + QUEUE_PER_WINDOW) - taken,
            self._kit.settings.queued_max - self.carried - coming,
        )
        room = max(route.concurrency - taken, behind, 0)
        if window is None:
            return room
        paced = window.pace.room(route.rate_per_second, taken, self._kit.clock.boot())
        return room if paced is None else min(room, paced)

    def accept(self, deliveries: Iterable[tuple[Leased, Route]]) -> None:
        """Queue leased deliveries, starting couriers where the window is open."""
        for leased, route in deliveries:
            window = self._windows.get(route.subscription)
            if window is None:
                window = self._windows[route.subscription] = _Window(route)
            window.route = route
            window.queue.append(leased)
            self.carried += 1
            if window.active < window.size:
                window.active += 1
                task = asyncio.create_task(self._work(window))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _work(self, window: _Window) -> None:
        try:
            while window.queue and window.active <= window.size:
                leased = window.queue.popleft()
                try:
                    await self._serve(window, leased)
                except Exception as error:  # noqa: BLE001
                    self._courier.park_faulty(leased, error)
                finally:
                    self.carried -= 1
        finally:
            window.active -= 1

    async def _serve(self, window: _Window, leased: Leased) -> None:
        """Carry one delivery at the subscription's pace, or give it back while that rests."""
        pace, route, clock = window.pace, window.route, self._kit.clock
        rate = route.rate_per_second
        if rate is not None and not await self._wait(window, leased, rate):
            return
        if pace.rests_until and clock.boot() < pace.rests_until:
            self._courier.give_back(leased, Reason.DESTINATION_RESTS)
            return
        health = await self._courier.carry(leased)
        if health is Health.UNSAID or (health is Health.WELL and not pace.has_failed):
            return
        settings, now = self._kit.settings, clock.boot()
        if pace.note(
            health,
            now=now,
            rest_after=settings.rest_after_failures,
            rest_seconds=settings.rest_seconds,
        ):
            self._kit.log.warning(
                "destination_rests",
                subscription=route.subscription,
                connector=route.connector,
                host=route.endpoint.host,
                seconds=round(pace.rests_until - now, 1),
            )

    async def _wait(self, window: _Window, leased: Leased, rate: float) -> bool:
        """Wait for the turn of one delivery; where its lease would not last, give it back."""
        now = self._kit.clock.boot()
        patience = leased.lease_ends - now - window.route.attempt_seconds
        wait = window.pace.wait(rate, now, patience)
        if wait is None:
            self._courier.give_back(leased, Reason.DELIVERY_LEASE_SHORT)
            return False
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            self._courier.give_back(leased, Reason.DRAINING)
            raise
        return True

    def give_back(self) -> None:
        """Return what is queued and not begun, for a drain."""
        for window in self._windows.values():
            while window.queue:
                self.carried -= 1
                self._courier.give_back(window.queue.popleft(), Reason.DRAINING)

    async def finish(self, seconds: float) -> int:
        """Wait for what is in flight; give how many had to be abandoned."""
        if not self._tasks:
            return 0
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)
