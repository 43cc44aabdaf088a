"""Client certificates: which there are, who is shown them, and the end of one at once.

Called by `keys`, beside signing keys. They are files of the worker, so they are listed as the
configuration of this process has them. A revocation is for good: it moves the policy's epoch, and
returns once no worker can show the certificate.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dispatcher.control.confirming import confirmed
from dispatcher.control.keys import Revoked
from dispatcher.control.people import require
from dispatcher.control.texts import require_reason
from dispatcher.model.audit import Entry
from dispatcher.model.days import DAY_US
from dispatcher.model.errors import NotFound
from dispatcher.model.identity import (
    FINGERPRINT_CHARACTERS,
    ClientCertificate,
    choose_shown,
    state_of,
)
from dispatcher.model.keys import KeyState
from dispatcher.model.people import Principal, Right
from dispatcher.model.registry import Registry
from dispatcher.store.identities import IdentityStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.workers import WorkerStore

_WHOLE: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCertificate:
    """A client certificate as it stands now, and the destinations that ask for its identity."""

    certificate: ClientCertificate
    state: KeyState
    revoked_us: int | None
    age_days: int
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityControl:
    """The client certificates of one configuration, and which its registry revoked."""

    registry: RegistryStore
    identities: IdentityStore
    workers: WorkerStore
    read: Callable[[], Sequence[ClientCertificate]]
    wall_us: Callable[[], int]

    async def list(self) -> list[ListedCertificate]:
        """List those whose files can be read, by name. Nothing of their keys is opened."""
        found = await asyncio.to_thread(self.read)
        registry = (await self.registry.active()).registry
        revoked, now_us = await self.identities.revoked(), self.wall_us()
        shown = choose_shown(found, revoked, now_us).values()
        return [
            ListedCertificate(
                certificate=each,
                state=state_of(each, shown, revoked, now_us),
                revoked_us=revoked.get(each.fingerprint),
                age_days=max(0, now_us - each.not_before_us) // DAY_US,
                destinations=_users(registry, each.identity),
            )
            for each in sorted(set(found), key=lambda each: each.name)
        ]

    async def revoke(
        self, fingerprint: str, *, reason: str, by: Principal, wait_seconds: float
    ) -> Revoked:
        """Have no worker show this certificate ever again; return once none can.

        Takes the fingerprint that is listed, or the whole SHA-256 of any certificate. Raises
        `NotFound`, `Conflict` (`identity_revoked`), and `NotConfirmed` when workers have not
        answered in time: it is revoked all the same.
        """
        require(by, Right.KEYS)
        require_reason(reason)
        began_us = self.wall_us()
        short, names = await self._find(fingerprint)
        entry = Entry(
            kind="key.revoked",
            actor=by.name,
            about=f"client certificate {short}",
            reason=reason,
            detail={"keys": list(names)},
        )
        epoch = await self.identities.revoke(short, entry)
        rows = await confirmed(
            self.workers,
            epoch,
            wait_seconds,
            done="the client certificate is revoked",
            code="revocation_unconfirmed",
        )
        return Revoked.confirmed_by(
            rows, epoch=epoch, keys=names, began_us=began_us, confirmed_us=self.wall_us()
        )

    async def _find(self, given: str) -> tuple[str, tuple[str, ...]]:
        """Give the fingerprint that is meant, and what it is called here."""
        plain = given.replace(":", "").lower()
        short = plain[:FINGERPRINT_CHARACTERS]
        known = await asyncio.to_thread(self.read)
        names = {each.name for each in known if each.fingerprint == short}
        is_whole = _WHOLE.fullmatch(plain) is not None
        if not is_whole and (plain != short or not names):
            raise NotFound(
                f"no client certificate here has the fingerprint {given[:100]!r}",
                where="--identity",
                fix="take one of 'dispatcher keys list', or the whole SHA-256 of the certificate",
                code="identity_unknown",
            )
        return short, tuple(sorted(names)) or (short,)


def _users(registry: Registry, identity: str) -> tuple[str, ...]:
    hosts = {
        f"{connector.name}: {each.host}"
        for connector in registry.connectors
        for each in connector.destinations
        if each.tls.identity == identity
    }
    return tuple(sorted(hosts))
