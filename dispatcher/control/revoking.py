"""Revoking: signing keys, client certificates and what partners fetch by, at once and for good.

Called by `keys revoke`. One act is one transaction of the registry: it destroys secrets, lists
fingerprints as revoked, moves the policy's epoch, is on the record by fingerprints, and for a whole
connector trips its switch too. It returns once no worker can obey anything older. Nothing here
brings anything back.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Self

from dispatcher.control.confirming import Confirmed, confirmed, count_confirmed
from dispatcher.control.identities import Left, tell_apart
from dispatcher.control.key_changes import revoke_keys
from dispatcher.control.keys import find_key, find_subscription, unknown
from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.texts import require_reason
from dispatcher.model.audit import CHANGES_MAX, Entry
from dispatcher.model.errors import Conflict, NotConfirmed, NotFound, StoreUnavailable
from dispatcher.model.identity import FINGERPRINT_CHARACTERS, ClientCertificate
from dispatcher.model.ids import Epoch
from dispatcher.model.people import Principal, Right
from dispatcher.model.registry import Registry
from dispatcher.model.switch import Target, TargetKind
from dispatcher.stages.revising.caller_keys import list_caller_keys
from dispatcher.stages.sealing.rotation import unsigned
from dispatcher.store.database import Database
from dispatcher.store.registry import RegistryStore
from dispatcher.store.signing_keys import KeyChange, StoredKey
from dispatcher.store.tickets import revoke_tickets
from dispatcher.store.workers import WorkerStore

_WHOLE: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is to be revoked: one of these.

    A key, those of a subscription, everything of a connector, or the certificate or public key of a
    fingerprint.
    """

    key: str | None = None
    subscription: str | None = None
    connector: str | None = None
    identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown, by us or by a partner, and is revoked by its fingerprint; and what is left.

    `certificates` are our own, `callers` what partners fetch by.
    """

    fingerprints: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()

    @property
    def detail(self) -> dict[str, list[str]]:
        """What the record says of it."""
        said = {
            "certificates": self.certificates,
            "callers": self.callers,
            "left": [each.name for each in self.left],
        }
        return {what: list(names)[:CHANGES_MAX] for what, names in said.items() if names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked(Confirmed):
    """What no letter is signed with, and nobody shows or fetches by, any more, and since when.

    The stored `headers` are SUBSCRIPTION/HEADER: their lanes wait until they are entered again.
    `unsigned` subscriptions have no key left, and wait for a new one. Where it was a connector, it
    is `held`, so many `tickets` ended, and `left` says which identities a person must look at.
    """

    keys: tuple[str, ...]
    headers: tuple[str, ...]
    certificates: tuple[str, ...]
    callers: tuple[str, ...]
    left: tuple[Left, ...]
    unsigned: tuple[str, ...]
    held: Target | None
    tickets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoking:
    """Ends what one registry, one outbox and the files of one configuration know of."""

    registry: RegistryStore
    workers: WorkerStore
    outbox: Database
    read: Callable[[], Sequence[ClientCertificate]]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            workers=means.workers,
            outbox=means.outbox_database,
            read=means.certificates,
            wall_us=means.wall_us,
        )

    async def revoke(self, aim: Aim, *, reason: str, by: Principal, wait_seconds: float) -> Revoked:
        """Revoke what is aimed at; a connector is held in the same act, and its tickets end.

        Returns once no worker can sign with it, show it or take it. Raises `NotFound`, `Conflict`
        (`key_revoked`, `identity_revoked`) where nothing is left to revoke, and `NotConfirmed` when
        workers have not answered in time, or the outbox does not: it is revoked all the same.
        """
        require(by, Right.KEYS)
        require_reason(reason)
        began_us = self.wall_us()
        entry = Entry(kind="key.revoked", actor=by.name, about="", reason=reason)
        shown, change, epoch = await self._act(aim, entry)
        tickets: int | None = 0
        try:
            rows = await confirmed(
                self.workers,
                epoch,
                wait_seconds,
                done="it is revoked",
                code="revocation_unconfirmed",
            )
        finally:
            # Last, so that no worker that did not know yet gives a letter another.
            if aim.connector is not None:
                tickets = await self._end_tickets(aim.connector)
        if tickets is None:
            raise NotConfirmed(
                "it is revoked and held, but its tickets are not ended: the outbox is not there",
                where="outbox",
                fix="nobody fetches by them while it is held; when it is back, say the same again",
                code="tickets_not_ended",
            )
        confirmed_us = self.wall_us()
        gone = [each for each in change.turned if each.times.revoked_us is not None]
        return Revoked(
            keys=tuple(each.name for each in gone),
            headers=tuple(change.headers),
            certificates=shown.certificates,
            callers=shown.callers,
            left=shown.left,
            unsigned=await self._unsigned(
                {*change.stripped, *(each.subscription for each in gone)}
            ),
            held=change.hold,
            tickets=tickets,
            **count_confirmed(rows, epoch, began_us=began_us, confirmed_us=confirmed_us),
        )

    async def _act(self, aim: Aim, entry: Entry) -> tuple[Shown, KeyChange, Epoch]:
        """Do it, by what the registry lists in that very transaction."""
        while True:
            base = await self.registry.active()
            shown = await self._shown(aim, base.registry)
            judge = partial(_judge, aim=aim, registry=base.registry, shown=shown, entry=entry)
            try:
                return shown, *await self.registry.change_keys(judge, base=base.revision)
            except Conflict as conflict:
                if conflict.reason != "base_moved":  # otherwise look again at what is there now
                    raise

    async def _shown(self, aim: Aim, registry: Registry) -> Shown:
        """Find which certificates and public keys are meant, without those revoked before."""
        if aim.connector is None and aim.identity is None:
            return Shown()
        files = await asyncio.to_thread(self.read)
        revoked = await self.registry.revoked_identities()
        if aim.identity is not None:
            return _of_fingerprint(aim.identity, files, registry, revoked)
        return _of_partner(aim.connector or "", files, registry, revoked)

    async def _end_tickets(self, connector: str) -> int | None:
        """End a partner's tickets; nothing where they cannot be got at. The rest is done by now."""
        try:
            return await revoke_tickets(self.outbox, connector)
        except StoreUnavailable:
            return None

    async def _unsigned(self, names: set[str]) -> tuple[str, ...]:
        now = await self.registry.policy_now()
        keys = ((key.subscription, key.kind, key.times) for key in now.keys)
        return tuple(sorted(names & unsigned(now.active.registry, keys, self.wall_us())))


def _judge(
    known: Sequence[StoredKey],
    now_us: int,
    *,
    aim: Aim,
    registry: Registry,
    shown: Shown,
    entry: Entry,
) -> KeyChange:
    """Say what one act does: to the keys as they are, and to what is shown."""
    found, about = _aimed_at(aim, known, registry, shown)
    entry = replace(entry, about=about, detail=shown.detail)
    if aim.identity is not None:
        return KeyChange(entry=entry, identities=shown.fingerprints)
    hold = Target(TargetKind.CONNECTOR, aim.connector) if aim.connector is not None else None
    stripped = _of_connector(registry, aim.connector) if hold is not None else ()
    change = revoke_keys(found, known, now_us, entry, hold, stripped)
    return replace(change, identities=shown.fingerprints)


def _aimed_at(
    aim: Aim, known: Sequence[StoredKey], registry: Registry, shown: Shown
) -> tuple[Sequence[StoredKey], str]:
    """Give the keys that are meant, and how the record names all that is."""
    if aim.key is not None:
        key = find_key(known, aim.key)
        return [key], f"key {key.name}"
    if aim.identity is not None:
        what = "caller" if shown.callers else "client certificate"
        return [], f"{what} {shown.fingerprints[0]}"
    if aim.subscription is not None:
        name = find_subscription(registry, aim.subscription).name
        return [each for each in known if each.subscription == name], f"subscription {name}"
    # Also those of subscriptions that are gone or somebody else's by now: they may come back.
    return [each for each in known if each.connector == aim.connector], f"connector {aim.connector}"


def _of_connector(registry: Registry, connector: str | None) -> list[str]:
    return [each.name for each in registry.subscriptions if each.connector == connector]


def _of_partner(
    connector: str,
    files: Sequence[ClientCertificate],
    registry: Registry,
    revoked: Mapping[str, int],
) -> Shown:
    """Find what this partner alone is shown, and whatever it fetches by itself.

    A public key ends for every connector that lists it: it is the partner's, and who has it may
    fetch as any of them.
    """
    if connector not in {each.name for each in registry.connectors}:
        raise unknown("connector", "--connector", connector)
    own, left = tell_apart(registry, connector, files, revoked)
    listed = list(list_caller_keys(registry.connectors))
    keys = {each.fingerprint for each in listed if each.connector.name == connector}
    keys -= {"", *revoked}
    return Shown(
        fingerprints=(*sorted({each.fingerprint for each in own}), *sorted(keys)),
        certificates=tuple(each.name for each in own),
        callers=tuple(each.name for each in listed if each.fingerprint in keys),
        left=tuple(left),
    )


def _of_fingerprint(
    given: str,
    files: Sequence[ClientCertificate],
    registry: Registry,
    revoked: Mapping[str, int],
) -> Shown:
    """Find what is called so here, by its fingerprint or by the name that `keys list` gives.

    A certificate that is not here is known by its whole SHA-256.
    """
    listed = list(list_caller_keys(registry.connectors))
    names = {each.name: each.fingerprint for each in files}
    names |= {each.name: each.fingerprint for each in listed}
    plain = names.get(given, given).replace(":", "").lower()
    short = plain[:FINGERPRINT_CHARACTERS]
    certificates = sorted({each.name for each in files if each.fingerprint == short})
    callers = [each.name for each in listed if each.fingerprint == short]
    is_known = plain == short and (certificates or callers)
    if not (is_known or _WHOLE.fullmatch(plain)):
        raise NotFound(
            f"no client certificate and no caller here has the fingerprint {given[:100]!r}",
            where="--identity",
            fix="take one of 'dispatcher keys list', or the whole SHA-256 of the certificate",
            code="identity_unknown",
        )
    if short in revoked:
        raise Conflict(
            f"{short} is revoked already",
            where="--identity",
            fix="'dispatcher keys list --ended' says since when",
            code="identity_revoked",
        )
    if not certificates and not callers:
        certificates = [short]
    return Shown(fingerprints=(short,), certificates=tuple(certificates), callers=tuple(callers))
