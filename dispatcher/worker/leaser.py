"""Step 2 of the road: lease deliveries that have fallen due, from open lanes with room only.

Retries, released, rescued and replayed deliveries all come this way. A closed lane is never
visited, however many rows wait in it.
"""

from dispatcher.model.ids import Lane
from dispatcher.model.snapshot import Snapshot
from dispatcher.store.claims import LaneOrder
from dispatcher.worker.desk import Desk
from dispatcher.worker.kit import Kit, Step
from dispatcher.worker.policy import PolicyWatch

LOOK_AGAIN_SECONDS = 1.0
"""How often a lane is searched from its start: an older row may have committed late."""


class Leaser:
    """Leases due deliveries and hands them to the desk."""

    def __init__(self, kit: Kit, policy: PolicyWatch, desk: Desk) -> None:
        self._kit = kit
        self._policy = policy
        self._desk = desk
        self._floors: dict[Lane, int] = {}
        self._floors_end = 0.0

    async def turn(self) -> int:
        """Lease one batch; give how many deliveries it held, at least 1 if any could be had."""
        kit, snapshot = self._kit, self._policy.snapshot
        if self._policy.lease_ends <= kit.clock.boot():
            return 0
        waiting = await kit.claims.waiting_lanes()
        due = {lane for lane, wait_us in waiting.items() if wait_us <= 0} - snapshot.closed.keys()
        orders = self._orders(due, snapshot)
        if not orders:
            return 0  # due, and no room: there is nothing to be had by asking again at once
        kit.step(Step.LEASE)
        lease_seconds = self._policy.delivery_lease_seconds
        leased, floors = await kit.claims.lease(
            orders,
            token=kit.mint_token(),
            lease_us=int(lease_seconds * 1_000_000),
            lease_ends=kit.clock.boot() + lease_seconds,
        )
        self._floors |= floors
        self._desk.accept(
            (each, route)
            for each in leased
            if (route := snapshot.routes.get(each.subscription)) is not None
        )
        return max(len(leased), 1)

    def _orders(self, due: set[Lane], snapshot: Snapshot) -> list[LaneOrder]:
        """Share each subscription's room among its due lanes."""
        now = self._kit.clock.boot()
        if now >= self._floors_end:
            self._floors, self._floors_end = {}, now + LOOK_AGAIN_SECONDS
        lanes = [(lane, route) for lane, route in snapshot.open_lanes if lane in due]
        sharing: dict[str, int] = {}
        for _, route in lanes:
            sharing[route.subscription] = sharing.get(route.subscription, 0) + 1
        orders: list[LaneOrder] = []
        left = self._kit.settings.claim_batch_max
        room = {route.subscription: self._desk.room(route) for _, route in lanes}
        for lane, route in lanes:
            # Rounded up, but together never more than there is room for.
            subscription = route.subscription
            share = min(left, -(-room[subscription] // sharing[subscription]))
            sharing[subscription] -= 1
            if share > 0:
                orders.append(LaneOrder(lane, share, self._floors.get(lane, 0)))
                left -= share
                room[subscription] -= share
        return orders
