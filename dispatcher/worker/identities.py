"""Which client certificates this worker shows: the newest valid ones that nobody revoked.

Asked by the policy watch, which makes them count in the instant its snapshot does. A file that
changed is found by a look now and then; a look that hangs holds up no reading of policy.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Final

from dispatcher.model.identity import ClientCertificate, choose_shown, next_turn_us
from dispatcher.worker.kit import Kit

AGAIN_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.5
"""How long a reading of policy waits for a disk: a stop must not wait longer."""


class IdentityWatch:
    """The client certificates of one worker, as they are shown."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._shown: dict[str, ClientCertificate] = {}
        self._again = 0.0
        self._looking: asyncio.Task[Any] | None = None
        self.changes_us: int | None = None

    async def is_changed(self) -> bool:
        """True where files are others than at the last look, if it is time for one."""
        return self._kit.clock.boot() >= self._again and await self.look()

    async def look(self) -> bool:
        """Read what changed on disk; say whether anything did. What is broken is reported."""
        kit = self._kit
        if not kit.identities.certificates:
            return False
        self._again = kit.clock.boot() + AGAIN_SECONDS
        if self._looking is None:
            self._looking = asyncio.create_task(kit.identities.look())
        done, _ = await asyncio.wait({self._looking}, timeout=LOOK_SECONDS)
        if not done:
            return False
        looking, self._looking = self._looking, None
        found = looking.result()
        kit.metrics.client_identities_broken.set(len(found.faults))
        for fault in found.faults:
            kit.report("client_identity_unreadable", fault)
        return bool(found.is_changed)

    def choose(self, revoked: Collection[str], now_us: int) -> frozenset[str]:
        """Work out what is to be shown, and give the identities that have something to show."""
        certificates = self._kit.identities.certificates
        self._shown = choose_shown(certificates, revoked, now_us)
        self.changes_us = next_turn_us(certificates, now_us)
        return frozenset(self._shown)

    def show(self) -> None:
        """Show what was chosen, and nothing else."""
        self._kit.identities.show(self._shown.values())
