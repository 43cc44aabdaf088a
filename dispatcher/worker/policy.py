"""What this worker may do right now: the snapshot it obeys, and until when it may trust it.

One loop reads the policy epoch (a single statement that is also the heartbeat), reloads what
changed, and confirms. The couriers read `snapshot` and `lease_ends` synchronously in the instant
before they write. The snapshot is swapped first and confirmed afterwards, so an epoch is confirmed
only when no letter judged under an earlier one can still begin. When the registry cannot be read
the lease runs out and sending stops by itself.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from dispatcher.model.credential import Credential
from dispatcher.model.days import day_of
from dispatcher.model.errors import DispatcherError, KeyUnavailable
from dispatcher.model.ids import Epoch, Revision
from dispatcher.model.key_set import KeySetNow
from dispatcher.model.keys import SigningKey
from dispatcher.model.producers import Producers
from dispatcher.model.registry import Registry
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.model.switch import Target, TargetKind
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.credentials import Lacks, find_unbound
from dispatcher.stages.gates.paper import coming_due, must_warn
from dispatcher.stages.gates.partner_keys import list_partner_keys, next_change_us
from dispatcher.stages.revising.caller_keys import without_revoked
from dispatcher.stages.revising.compiling import compile_snapshot
from dispatcher.stages.sealing.rotation import next_turn_us, unsigned
from dispatcher.stages.sealing.stored_headers import Opened
from dispatcher.store.registry import PolicyNow
from dispatcher.store.signing_keys import StoredKey
from dispatcher.vault.places import signing_key_place
from dispatcher.vault.sealer import Place
from dispatcher.worker.credentials import open_credentials
from dispatcher.worker.identities import IdentityWatch
from dispatcher.worker.kit import Kit, rest
from dispatcher.worker.reminders import remind_of_keys

KEY_SECONDS: Final = 0.5
"""How long a reading of policy waits for keys it has not seen: a stop must not wait longer."""
KEYS_AGAIN_SECONDS: Final = 1.0

NOTHING: Final = Snapshot(
    revision=Revision(0),
    epoch=Epoch(0),
    routes={},
    routes_by_type={},
    event_types={},
    producers=Producers(is_open=False, by_name={}, by_role={}, by_principal={}),
)
"""The snapshot before the first reading: nothing may flow."""


class PolicyWatch:
    """Keeps the worker's policy fresh, and tells the registry which epoch it obeys."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.snapshot = NOTHING
        self.keys: Mapping[str, tuple[SigningKey, ...]] = {}
        self.credentials: Opened = {}
        self.token_keys: Mapping[tuple[str, int], bytes] = {}
        self.retired: frozenset[str] = frozenset()
        self.erasures = 0
        self.lease_ends = 0.0
        self.in_flight = 0
        self.hint = asyncio.Event()
        self.sealing = asyncio.Lock()
        self.delivery_lease_seconds = kit.settings.lease_seconds
        self.today = date.min
        self._known: dict[tuple[Place, bytes], bytes] = {}
        self._opened: dict[tuple[Place, bytes], bytes] = {}
        self._lacks = False
        self._key_changes = 0
        self._keys_again = 0.0
        self.key_sets: Mapping[str, KeySetNow] = {}
        self._identities = IdentityWatch(kit)
        self._changes_us: int | None = None

    async def start(self) -> None:
        """Enter the list of workers and take the first reading; raises when it cannot."""
        await self._register()
        await self._read()

    async def run(self, leaving: asyncio.Event) -> None:
        """Read again at every poll or hint until told to leave; a reading under way is finished."""
        while not leaving.is_set():
            is_moved = await rest(self.hint, self._kit.settings.policy_poll_seconds)
            self.hint.clear()
            try:
                # A connection that hangs is given up with the lease it failed to renew.
                async with asyncio.timeout(self._kit.settings.policy_lease_seconds):
                    if is_moved or self._lacks_keys() or await self._identities.is_changed():
                        await self._reload()
                    await self._read()
            except Exception as error:  # noqa: BLE001 - unread for any cause, the lease runs out
                self._kit.metrics.policy_failures.inc()
                self._kit.report("policy_unreadable", error)

    async def hold(self, subscriptions: Iterable[str], reason: Reason) -> None:
        """Trip the switches of these subscriptions, until a person looks at them."""
        tripped = {switch.target for switch in self.snapshot.switches}
        for target in (Target(TargetKind.SUBSCRIPTION, name) for name in subscriptions):
            if target not in tripped:
                await self._kit.registry.trip(target, reason=reason, actor="dispatcher")
                self.hint.set()

    async def leave(self) -> None:
        """Say goodbye after a drain, so that nobody waits for this worker."""
        self.lease_ends = 0.0
        await self._kit.workers.leave(self._kit.id)

    async def _register(self) -> None:
        kit = self._kit
        lease_us = int(kit.settings.policy_lease_seconds * 1_000_000)
        await kit.workers.register(kit.id, host=kit.host, pid=kit.pid, lease_us=lease_us)

    async def _read(self) -> None:
        kit = self._kit
        for _ in range(3):
            began = kit.clock.boot()
            beat = await kit.workers.beat(
                kit.id,
                confirmed=self.snapshot.epoch,
                revision=self.snapshot.revision,
                in_flight=self.in_flight,
            )
            if beat is None or beat.is_fenced:
                await self._register()
                continue
            if beat.epoch == self.snapshot.epoch and not self._is_outdated():
                self.lease_ends = began + kit.settings.policy_lease_seconds
                return
            await self._reload()
            if self.snapshot.epoch >= beat.epoch:
                # What is obeyed now is no older than what this heartbeat found, so the lease runs
                # from there, also while the epoch moves on; it is confirmed at the next one.
                self.lease_ends = max(self.lease_ends, began + kit.settings.policy_lease_seconds)

    async def _reload(self) -> None:
        """Read the policy, and obey it from the instant its snapshot replaces the last one."""
        await self._identities.look()
        now = await self._kit.registry.policy_now()
        await self._fetch_keys(now.active.key_changes, now)
        # No await from here on: nobody sees one half of a policy without the other.
        registry, today, now_us = now.active.registry, self._date(), self._kit.clock.wall_us()
        self._known, self._opened, self._lacks = self._opened, {}, False
        keys = self._open_keys(now.keys)
        held, headers = open_credentials(self._kit, registry, now.credentials, self._open)
        self._keys_again = self._kit.clock.boot() + KEYS_AGAIN_SECONDS
        snapshot = self._compile(now, keys, held, today, now_us)
        is_new = snapshot.revision != self.snapshot.revision
        if is_new:
            self._kit.resolver.forget()
        if is_new or today != self.today:
            self._warn_of_paper(registry, today)
        remind_of_keys(self._kit, keys, now_us, is_new_day=today != self.today)
        self._identities.show()
        self.today, self.keys, self.credentials, self.snapshot = today, keys, headers, snapshot
        self._keep(now)
        self._changes_us = self._next_change_us(now, keys, now_us)
        self._kit.metrics.epoch.set(snapshot.epoch)
        self._kit.metrics.revision.set(snapshot.revision)
        self._say_what_is_reported(snapshot)
        self._kit.log.info("policy_obeyed", epoch=snapshot.epoch, revision=snapshot.revision)

    def _compile(
        self,
        now: PolicyNow,
        keys: Mapping[str, tuple[SigningKey, ...]],
        held: Iterable[Credential],
        today: date,
        now_us: int,
    ) -> Snapshot:
        """Make the snapshot of what was read and of what this worker can do: its keys and files."""
        active = now.active
        registry = without_revoked(active.registry, now.revoked_identities)
        opened = [(name, key.kind, key.times) for name, each in keys.items() for key in each]
        return compile_snapshot(
            registry,
            revision=active.revision,
            epoch=active.epoch,
            switches=now.switches,
            proofs=now.proofs,
            today=today,
            loopback=self._kit.settings.address_rules.loopback,
            identities=self._identities.choose(now.revoked_identities, now_us),
            lacks=Lacks(unsigned(registry, opened, now_us), find_unbound(registry, held)),
            partner_keys=list_partner_keys(registry.connectors, now.key_sets, now_us),
        )

    def _keep(self, now: PolicyNow) -> None:
        """Keep, beside the snapshot, what letters are made by and how long they may take."""
        self.key_sets = now.key_sets
        self.token_keys = {
            (each.connector, each.version): each.sealed
            for each in now.token_keys
            if each.sealed is not None
        }
        self.retired = frozenset(each.connector for each in now.token_keys if each.is_destroyed)
        self.erasures = now.active.erasures
        # A lease shorter than an attempt would never let that attempt begin.
        routes = self.snapshot.routes.values()
        longest = max((route.attempt_seconds for route in routes), default=0.0)
        self.delivery_lease_seconds = max(self._kit.settings.lease_seconds, 2 * longest)

    def _next_change_us(
        self, now: PolicyNow, keys: Mapping[str, tuple[SigningKey, ...]], now_us: int
    ) -> int | None:
        """Give when the same policy will say something else by the mere passing of time."""
        moments = (
            next_turn_us((key.times for each in keys.values() for key in each), now_us),
            next_change_us(now.active.registry.connectors, now.key_sets, now_us),
            self._identities.changes_us,
        )
        return min(filter(None, moments), default=None)

    def _say_what_is_reported(self, snapshot: Snapshot) -> None:
        """Say where letters go that nothing lists, while a connector only reports that."""
        reported = [route for _, route in snapshot.open_lanes if route.is_reported]
        self._kit.metrics.reported_lanes.set(len(reported))
        for route in sorted({each.subscription: each for each in reported}.values(), key=_name):
            self._kit.log.warning(
                "destination_reported",
                subscription=route.subscription,
                connector=route.connector,
                host=route.endpoint.host,
                why="nothing lists it, and the connector only reports that for now",
            )

    def _warn_of_paper(self, registry: Registry, today: date) -> None:
        """Say which papers end soon, on the days that the policy names."""
        gauge = self._kit.metrics.paper_days_left
        gauge.clear()
        for due in reversed(coming_due(registry, today)):
            gauge.labels(due.connector).set(due.days_left)
            if must_warn(due, registry.policy.warn_days):
                self._kit.log.warning(
                    "paper_ends", connector=due.connector, why=f"{due.paper}: {due.until}"
                )

    async def _fetch_keys(self, key_changes: int, now: PolicyNow) -> None:
        """Have at hand what opens secrets not seen before, if that can be had in a moment.

        Where keys at rest were destroyed or replaced since, every one is asked for anew.
        """
        if key_changes != self._key_changes:
            async with self.sealing:  # what the relay has sealed is kept before this is confirmed
                self._kit.vault.forget()
            self._key_changes = key_changes
        seen = {blob for _, blob in self._opened}
        sealed = [key.sealed for key in now.keys] + [held.sealed for held in now.credentials]
        unseen = [blob for blob in sealed if blob is not None and blob not in seen]
        if not unseen:
            return
        try:
            async with asyncio.timeout(KEY_SECONDS):
                await self._kit.vault.fetch(*unseen)
        except (DispatcherError, TimeoutError) as error:
            self._kit.report("key_unavailable", error)

    def _open_keys(self, stored: tuple[StoredKey, ...]) -> dict[str, tuple[SigningKey, ...]]:
        keys: dict[str, tuple[SigningKey, ...]] = {}
        for each in stored:
            if each.sealed is None:
                continue
            try:
                place = signing_key_place(
                    each.connector, each.subscription, each.kind, each.fingerprint
                )
                secret = self._open(each.sealed, place)
            except KeyUnavailable:
                continue  # for now its lanes stay closed
            except DispatcherError as error:
                # Without its key a subscription cannot sign, and its lanes stay closed.
                self._kit.log.error(
                    "signing_key_unreadable", subscription=each.subscription, reason=error.reason
                )
                continue
            key = SigningKey(each.fingerprint, secret, each.kind, each.times)
            keys[each.subscription] = (*keys.get(each.subscription, ()), key)
        return keys

    def _open(self, blob: bytes, place: Place) -> bytes:
        """Open a secret: as a rule one that was opened at this place before."""
        secret = self._known.get((place, blob))
        if secret is None:
            try:
                secret = self._kit.vault.open(blob, place)
            except KeyUnavailable:
                self._lacks = True
                raise
        self._opened[place, blob] = secret
        return secret

    def _is_outdated(self) -> bool:
        """True where the same policy says something else by now, because time has passed."""
        changes_us = self._changes_us
        is_due = changes_us is not None and self._kit.clock.wall_us() >= changes_us
        return is_due or self.today != self._date()

    def _lacks_keys(self) -> bool:
        return self._lacks and self._kit.clock.boot() >= self._keys_again

    def _date(self) -> date:
        return day_of(self._kit.clock.wall_us())


def _name(route: Route) -> str:
    return route.subscription
