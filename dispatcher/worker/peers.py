"""Who was met at the other end: remembered for the ledger, compared, and watched for its end.

Asked by the courier after every attempt. Somebody who was met already today costs one look into a
table; only a stranger is compared with whom the outbox knows. It never changes what happened to the
letter, and a settlement waits for it no longer than for one reading.
"""

import asyncio
from datetime import date
from typing import Final

from dispatcher.model.days import day_of
from dispatcher.model.errors import DispatcherError
from dispatcher.model.letter import Answer, Stopped, Trouble
from dispatcher.model.snapshot import Route
from dispatcher.model.tls import Met, Peer
from dispatcher.model.verdict import Reason
from dispatcher.stages.settling.drift import find_drift, network_of
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch

REMEMBERED_MAX: Final = 65536
_Place = tuple[str, str]


class PeerWatch:
    """Whom this worker has met, where, and on which day it last looked at their certificate."""

    def __init__(self, kit: Kit, policy: PolicyWatch) -> None:
        self._kit = kit
        self._policy = policy
        self._met: dict[tuple[str, str, Peer], tuple[Met, date]] = {}
        self._asking: dict[_Place, asyncio.Lock] = {}
        self._ends: dict[str, dict[str, date]] = {}

    async def meet(self, route: Route, result: Answer | Trouble | Stopped) -> Met | None:
        """Say who was met, for the ledger; nobody where there was no connection to speak of."""
        peer = result.peer
        if peer is None:
            return None
        if route.tls.pins and not route.tls.has_pin(peer.spki):
            kind = "refused" if isinstance(result, Stopped) else "reported"
            self._kit.metrics.pin_mismatches.labels(route.connector, kind).inc()
        if isinstance(result, Stopped):
            self._say(route, peer, "pin_mismatch", kind="refused")
            return None
        found = self._met.get((route.connector, route.endpoint.host, peer))
        if found is not None and found[1] == self._policy.today:
            return found[0]
        return await self._look(route, peer)

    async def _look(self, route: Route, peer: Peer) -> Met | None:
        """Compare a stranger, and look at a certificate that was not looked at today."""
        place = (route.connector, route.endpoint.host)
        today = self._policy.today
        # Many letters may meet a stranger at once, and none may be settled before it was compared.
        async with self._asking.setdefault(place, asyncio.Lock()):
            met, looked = self._met.get((*place, peer), (None, None))
            if met is None:
                met = Met.at(*place, peer)
                if not await self._compare(route, peer):
                    return None
            if looked != today:
                if len(self._met) >= REMEMBERED_MAX:
                    self._met.clear()
                self._met[*place, peer] = (met, today)
                self._watch_end(route, peer, today)
                if route.tls.is_reporting and not route.tls.has_pin(peer.spki):
                    self._say(route, peer, "pin_mismatch", kind="reported")
        self._asking.pop(place, None)
        return met

    async def _compare(self, route: Route, peer: Peer) -> bool:
        """Look for drift; `False` where nobody could be asked, so that it is asked again."""
        kit, snapshot, host = self._kit, self._policy.snapshot, route.endpoint.host
        try:
            known = await kit.peers.known(route.connector, host)
            drifts = find_drift(known, peer)
            if drifts and snapshot.policy.on_drift == "hold":
                there = [
                    name
                    for name, each in snapshot.routes.items()
                    if (each.connector, each.endpoint.host) == (route.connector, host)
                ]
                await self._policy.hold(there, Reason.DESTINATION_DRIFTED)
        except DispatcherError as error:
            kit.report("peer_not_compared", error)
            return False
        for kind in drifts:
            kit.metrics.drifts.labels(route.connector, kind).inc()
            self._say(route, peer, "destination_drifted", kind=kind)
        return True

    def _watch_end(self, route: Route, peer: Peer, today: date) -> None:
        """Tell how long the certificate lasts, and warn when it ends soon."""
        if not peer.not_after_us:
            return
        end = day_of(peer.not_after_us)
        ends = self._ends.setdefault(route.connector, {})
        ends[route.endpoint.host] = end
        days = (min(ends.values()) - today).days
        self._kit.metrics.certificate_days_left.labels(route.connector).set(days)
        if (end - today).days <= max(self._policy.snapshot.policy.warn_days, default=0):
            self._kit.log.warning(
                "certificate_ends",
                connector=route.connector,
                host=route.endpoint.host,
                why=f"by {peer.issuer}: {end}",
            )

    def _say(self, route: Route, peer: Peer, line: str, *, kind: str) -> None:
        # The network is enough to act on; the address itself is in the ledger.
        self._kit.log.warning(
            line,
            kind=kind,
            connector=route.connector,
            host=route.endpoint.host,
            why=f"{network_of(peer.address)}, by {peer.issuer or 'nobody'}",
            note=peer.spki,
        )
