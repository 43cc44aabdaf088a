"""The registry plane: revisions, the active policy, switches, and signing keys.

Read by the worker (through `policy`) and changed by `control` alone. A revision is written once and
never edited; which one is active changes by compare-and-swap. Every change that a worker must obey
bumps the epoch in the same transaction, which also puts it on the record.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import CHANGES_MAX, Entry, diff_detail
from dispatcher.model.change_set import ChangeSet
from dispatcher.model.disclosure import DisclosureDiff
from dispatcher.model.errors import Conflict, NotFound
from dispatcher.model.ids import Epoch, Revision
from dispatcher.model.key_set import KeySetNow
from dispatcher.model.proof import Proof, ProofMethod
from dispatcher.model.registry import Registry
from dispatcher.model.switch import Switch, Target
from dispatcher.store.audit import AuditLog
from dispatcher.store.changes import Decision, note_active, note_rejected
from dispatcher.store.credentials import (
    StoredCredential,
    destroy_credentials,
    read_credentials,
)
from dispatcher.store.database import Database
from dispatcher.store.documents import decode_registry, encode_registry
from dispatcher.store.epoch import announce, bump_epoch
from dispatcher.store.identities import read_revoked_identities
from dispatcher.store.key_sets import read_key_sets
from dispatcher.store.signing_keys import (
    KeyChange,
    StoredKey,
    add_signing_keys,
    read_signing_keys,
    turn_signing_keys,
)
from dispatcher.store.token_keys import (
    StoredTokenKey,
    TokenKeyChange,
    change_token_keys,
    read_token_keys,
)

NO_CHANGE: Final = TokenKeyChange()

_ERASED: Final = """
UPDATE {policy} SET epoch = epoch + 1, erasures = erasures + 1 WHERE id = 1 RETURNING epoch
"""
_ACTIVATE: Final = """
UPDATE {policy} SET epoch = epoch + 1, revision = :number
WHERE id = 1 AND revision = :base RETURNING epoch
"""
_INSERT_REVISION: Final = """
INSERT INTO {revisions} (number, parent_hash, hash, author, approver, reason, created_us, content)
VALUES (:number, :parent_hash, :hash, :author, :approver, :reason, {now}, :content)
"""
_ACTIVE: Final = """
SELECT p.revision, p.epoch, p.erasures, p.key_changes, r.hash, r.content
FROM {policy} p LEFT JOIN {revisions} r ON r.number = p.revision WHERE p.id = 1
"""
_NOW: Final = "SELECT revision FROM {policy} WHERE id = 1"
_REVISION: Final = "SELECT content FROM {revisions} WHERE number = :number"
_HOW: Final = (
    "SELECT number, parent_hash, hash, author, approver, reason, created_us FROM {revisions}"
)
_REVISIONS: Final = f"{_HOW} WHERE number < :before ORDER BY number DESC LIMIT :limit"
_MADE: Final = f"{_HOW} WHERE number = :number"
_TRIP: Final = """
INSERT INTO {switches} (target, reason, actor, tripped_us)
VALUES (:target, :reason, :actor, {now}) RETURNING id
"""
_RELEASE: Final = """
UPDATE {switches} SET released_us = {now}, released_by = :actor
WHERE target = :target AND released_us IS NULL
"""
_TRIPPED: Final = """
SELECT id, target, reason, actor, tripped_us FROM {switches}
WHERE released_us IS NULL ORDER BY id
"""
_PROOFS: Final = """
SELECT connector, endpoint, method, proven_us, proven_by, revision FROM {proofs}
"""


@dataclass(frozen=True, slots=True)
class Active:
    """The policy in force: a revision (0 is the empty registry) and the switch epoch.

    `erasures` counts the people erased so far: a worker that remembers tokens from before forgets.
    `key_changes` counts how often keys at rest were destroyed or replaced before their time.
    """

    revision: Revision
    epoch: Epoch
    hash: str
    registry: Registry
    erasures: int = 0
    key_changes: int = 0


class PolicyNow(NamedTuple):
    """All that letters are judged and made by, in one consistent view."""

    active: Active
    switches: tuple[Switch, ...]
    keys: tuple[StoredKey, ...]
    proofs: tuple[Proof, ...]
    token_keys: tuple[StoredTokenKey, ...]
    key_sets: dict[str, KeySetNow]
    credentials: tuple[StoredCredential, ...]
    revoked_identities: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRevision:
    """A revision about to be written over `base`, and what it changes.

    It may be what a change set proposed, with the approval it got, or what its author put in the
    place of one (`instead_of`), which then ends without effect.
    """

    base: Active
    registry: Registry
    diff: DisclosureDiff
    author: str
    approver: str
    reason: str
    approval: Decision | None = None
    instead_of: ChangeSet | None = None


class RegistryStore:
    """The registry database."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def active(self) -> Active:
        """Read the revision and epoch in force."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _ACTIVE)
            return _active(found.one())

    async def revision_now(self) -> Revision:
        """Read which revision is in force, and nothing of what it holds."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _NOW)
            return Revision(found.scalar_one())

    async def policy_now(self) -> PolicyNow:
        """Read everything that letters are judged and made by, in one consistent view."""
        async with self._database.view() as connection:
            active = _active((await self._database.execute(connection, _ACTIVE)).one())
            switches = await self._switches(connection)
            keys = await read_signing_keys(self._database, connection)
            proofs = await self._database.execute(connection, _PROOFS)
            return PolicyNow(
                active=active,
                switches=switches,
                keys=keys,
                proofs=tuple(_proof(row) for row in proofs),
                token_keys=await read_token_keys(self._database, connection),
                key_sets=await read_key_sets(self._database, connection),
                credentials=await read_credentials(self._database, connection),
                revoked_identities=await read_revoked_identities(self._database, connection),
            )

    async def activate(
        self,
        new: NewRevision,
        keys: Sequence[StoredKey],
        token_keys: TokenKeyChange = NO_CHANGE,
    ) -> tuple[Revision, Epoch]:
        """Write a revision with the keys of its new subscriptions and make it the active one.

        Token keys are made and destroyed with it.

        Raises `Conflict`: `base_moved` when another revision became active meanwhile,
        `change_set_moved` when the change set it comes from is no longer as it was approved.
        """
        content = encode_registry(new.registry)
        number = Revision(new.base.revision + 1)
        digest = hashlib.sha256(new.base.hash.encode() + b"\n" + content).hexdigest()
        async with self._audit.recording() as recording:
            connection = recording.connection
            swapped = await self._database.execute(
                connection, _ACTIVATE, number=number, base=new.base.revision
            )
            epoch = swapped.scalar_one_or_none()
            if epoch is None:
                raise Conflict(
                    f"revision {new.base.revision} is no longer the active one",
                    fix="look at what changed, then apply again",
                    code="base_moved",
                )
            await self._database.execute(
                connection,
                _INSERT_REVISION,
                number=number,
                parent_hash=new.base.hash,
                hash=digest,
                author=new.author,
                approver=new.approver,
                reason=new.reason,
                content=content.decode(),
            )
            await add_signing_keys(self._database, connection, keys)
            await change_token_keys(self._database, connection, token_keys)
            if new.approval is not None:
                await note_active(self._database, recording, new.approval, number)
            if new.instead_of is not None:
                why = f"amended to what needs no approval: revision {number}"
                rejection = Decision(new.instead_of, new.author, why)
                await note_rejected(self._database, recording, rejection)
            recording.note(_activated(new, number, digest, keys, token_keys))
            await announce(self._database, connection)
        return number, Epoch(epoch)

    async def revision(self, number: Revision) -> Registry | None:
        """Read what a revision holds; `None` when there is no such revision."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _REVISION, number=number)
            content = found.scalar_one_or_none()
            return decode_registry(content) if content is not None else None

    async def revisions(self, *, before: int, limit: int) -> list[dict[str, Any]]:
        """List revisions, the newest first, without their content."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _REVISIONS, before=before, limit=limit)
            return [dict(row) for row in found.mappings()]

    async def made(self, number: Revision) -> dict[str, Any] | None:
        """Read how a revision came about, without its content."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _MADE, number=number)
            row = found.mappings().one_or_none()
            return dict(row) if row is not None else None

    async def keys(self) -> tuple[StoredKey, ...]:
        """Read every signing key, newest first."""
        async with self._database.look() as connection:
            return await read_signing_keys(self._database, connection)

    async def change_keys(
        self, judge: Callable[[Sequence[StoredKey], int], KeyChange]
    ) -> tuple[KeyChange, Epoch]:
        """Change signing keys as `judge` says of all there are and the time it is.

        Two changes never judge by the same keys. What `judge` raises changes nothing. Gives the
        epoch that workers must confirm.
        """
        async with self._audit.recording() as recording:
            connection = recording.connection
            bumped = await bump_epoch(self._database, connection)
            epoch = bumped.epoch
            known = await read_signing_keys(self._database, connection)
            change = judge(known, bumped.now_us)
            await add_signing_keys(self._database, connection, change.made)
            await turn_signing_keys(self._database, connection, change.turned)
            await destroy_credentials(self._database, connection, change.stripped)
            entry = change.entry
            recording.note(replace(entry, detail={**entry.detail, "epoch": epoch}))
            if change.hold is not None:
                terms = {"actor": entry.actor, "reason": entry.reason}
                switch = await self._trip(connection, change.hold, **terms)
                detail = {"switch": switch, "epoch": epoch}
                recording.note(_switched("tripped", change.hold, detail=detail, **terms))
            await announce(self._database, connection)
        return change, Epoch(epoch)

    async def token_keys(self) -> tuple[StoredTokenKey, ...]:
        """Read every token key, by partner and version."""
        async with self._database.look() as connection:
            return await read_token_keys(self._database, connection)

    async def note_erased(self, entry: Entry) -> Epoch:
        """Put an erasure on the record, and give the epoch from which workers have forgotten."""
        async with self._audit.recording() as recording:
            connection = recording.connection
            epoch = (await self._database.execute(connection, _ERASED)).scalar_one()
            recording.note(replace(entry, detail={**entry.detail, "epoch": epoch}))
            await announce(self._database, connection)
        return Epoch(epoch)

    async def switches(self) -> tuple[Switch, ...]:
        """Read the switches that are on."""
        async with self._database.look() as connection:
            return await self._switches(connection)

    async def trip(self, target: Target, *, reason: str, actor: str) -> tuple[int, Epoch]:
        """Put a switch on; give its id and the epoch that workers must confirm."""
        async with self._audit.recording() as recording:
            connection = recording.connection
            switch = await self._trip(connection, target, reason=reason, actor=actor)
            epoch = (await bump_epoch(self._database, connection)).epoch
            detail = {"switch": switch, "epoch": epoch}
            recording.note(_switched("tripped", target, actor, reason, detail))
            await announce(self._database, connection)
        return switch, Epoch(epoch)

    async def release(self, target: Target, *, actor: str, reason: str) -> int:
        """Take off the switches on exactly this target; give how many there were.

        Raises `NotFound` when there is none.
        """
        async with self._audit.recording() as recording:
            connection = recording.connection
            done = await self._database.execute(
                connection, _RELEASE, target=str(target), actor=actor
            )
            if not done.rowcount:
                raise NotFound(
                    f"no switch is on for {target}",
                    where=str(target),
                    fix="'dispatcher switches' lists those that are on",
                    code="switch_unknown",
                )
            epoch = (await bump_epoch(self._database, connection)).epoch
            detail = {"switches": done.rowcount, "epoch": epoch}
            recording.note(_switched("released", target, actor, reason, detail))
            await announce(self._database, connection)
            return done.rowcount

    async def _trip(
        self, connection: AsyncConnection, target: Target, *, reason: str, actor: str
    ) -> int:
        tripped = await self._database.execute(
            connection, _TRIP, target=str(target), reason=reason, actor=actor
        )
        return int(tripped.scalar_one())

    async def _switches(self, connection: AsyncConnection) -> tuple[Switch, ...]:
        rows = await self._database.execute(connection, _TRIPPED)
        return tuple(
            Switch(id=r[0], target=Target.parse(r[1]), reason=r[2], actor=r[3], tripped_us=r[4])
            for r in rows
        )


def _active(row: Any) -> Active:
    registry = decode_registry(row.content) if row.content else Registry()
    return Active(
        Revision(row.revision),
        Epoch(row.epoch),
        row.hash or "",
        registry,
        row.erasures,
        row.key_changes,
    )


def _proof(row: Any) -> Proof:
    return Proof(
        connector=row.connector,
        place=row.endpoint,
        method=ProofMethod(row.method),
        proven_us=row.proven_us,
        proven_by=row.proven_by,
        revision=Revision(row.revision),
    )


def _activated(
    new: NewRevision,
    number: Revision,
    digest: str,
    keys: Sequence[StoredKey],
    token_keys: TokenKeyChange,
) -> Entry:
    detail = {
        "hash": digest,
        "parent_hash": new.base.hash,
        "author": new.author,
        "change_set": new.approval.change.number if new.approval is not None else None,
        "keys_made": [f"{key.subscription} {key.fingerprint}" for key in keys[:CHANGES_MAX]],
        "token_keys_made": [f"{k.connector} {k.version}" for k in token_keys.made[:CHANGES_MAX]],
        "token_keys_destroyed": list(token_keys.destroyed[:CHANGES_MAX]),
        **diff_detail(new.diff),
    }
    return Entry(
        kind="revision.activated",
        actor=new.approver,
        about=f"revision {number}",
        reason=new.reason,
        detail=detail,
    )


def _switched(
    verb: str, target: Target, actor: str, reason: str, detail: Mapping[str, int]
) -> Entry:
    about = f"switch {target}"
    return Entry(kind=f"switch.{verb}", actor=actor, about=about, reason=reason, detail=detail)
