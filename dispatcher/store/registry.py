"""The registry plane: revisions, the active policy, switches, and signing keys.

Read by the worker (through `policy`) and changed by `control` alone. A revision is written once and
never edited; which one is active changes by compare-and-swap. Every change that a worker must obey
bumps the epoch in the same transaction, which also puts it on the record. How the rows of each noun
are read and written is said beside this (`revisions`, `switches`, `signing_keys` …); here is
what happens in one transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from dispatcher.model.audit import CHANGES_MAX, Entry
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import Epoch, Revision
from dispatcher.model.key_set import KeySetNow
from dispatcher.model.proof import Proof
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
from dispatcher.store.epoch import announce, bump_epoch
from dispatcher.store.identities import read_revoked_identities, revoke_identities
from dispatcher.store.key_sets import read_key_sets
from dispatcher.store.key_trials import put_off_trial
from dispatcher.store.proofs import read_proofs
from dispatcher.store.revisions import (
    Active,
    NewRevision,
    activated,
    list_revisions,
    read_active,
    read_making,
    read_revision,
    write_revision,
)
from dispatcher.store.signing_keys import (
    KeyChange,
    StoredKey,
    add_signing_keys,
    is_secret_left,
    keys_in_use,
    read_signing_keys,
    turn_signing_keys,
)
from dispatcher.store.switches import read_switches, release_switches, trip_switch
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
_NOW: Final = "SELECT revision FROM {policy} WHERE id = 1"


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


class RegistryStore:
    """The registry database."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def active(self) -> Active:
        """Read the revision and epoch in force."""
        async with self._database.look() as connection:
            return await read_active(self._database, connection)

    async def revision_now(self) -> Revision:
        """Read which revision is in force, and nothing of what it holds."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _NOW)
            return Revision(found.scalar_one())

    async def policy_now(self) -> PolicyNow:
        """Read everything that letters are judged and made by, in one consistent view."""
        async with self._database.view() as connection:
            active = await read_active(self._database, connection)
            keys = await read_signing_keys(self._database, connection)
            return PolicyNow(
                active=active,
                switches=await read_switches(self._database, connection),
                keys=keys_in_use(keys, active.registry),
                proofs=await read_proofs(self._database, connection),
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
        database = self._database
        async with self._audit.recording() as recording:
            connection = recording.connection
            made = await write_revision(database, connection, new)
            await add_signing_keys(database, connection, keys)
            await change_token_keys(database, connection, token_keys)
            if new.approval is not None:
                await note_active(database, recording, new.approval, made.number)
            if new.instead_of is not None:
                why = f"amended to what needs no approval: revision {made.number}"
                rejection = Decision(new.instead_of, new.author, why)
                await note_rejected(database, recording, rejection)
            recording.note(activated(new, made, keys, token_keys))
            await announce(database, connection)
        return made.number, made.epoch

    async def revision(self, number: Revision) -> Registry | None:
        """Read what a revision holds; `None` when there is no such revision."""
        async with self._database.look() as connection:
            return await read_revision(self._database, connection, number)

    async def revisions(self, *, before: int, limit: int) -> list[dict[str, Any]]:
        """List revisions, the newest first, without their content."""
        async with self._database.look() as connection:
            return await list_revisions(self._database, connection, before=before, limit=limit)

    async def made(self, number: Revision) -> dict[str, Any] | None:
        """Read how a revision came about, without its content."""
        async with self._database.look() as connection:
            return await read_making(self._database, connection, number)

    async def keys(self) -> tuple[StoredKey, ...]:
        """Read every signing key, newest first."""
        async with self._database.look() as connection:
            return await read_signing_keys(self._database, connection)

    async def revoked_identities(self) -> Mapping[str, int]:
        """Read which client certificates and partners' public keys were revoked, and when."""
        async with self._database.look() as connection:
            return await read_revoked_identities(self._database, connection)

    async def change_keys(
        self,
        judge: Callable[[Sequence[StoredKey], int], KeyChange],
        *,
        base: Revision | None = None,
    ) -> tuple[KeyChange, Epoch]:
        """Change keys as `judge` says of all signing keys there are and the time it is.

        Two changes never judge by the same keys. What `judge` raises changes nothing. Gives the
        epoch that workers must confirm. Raises `Conflict` (`base_moved`) where another revision
        than `base` is in force, if that is said.
        """
        async with self._audit.recording() as recording:
            connection = recording.connection
            bumped = await bump_epoch(self._database, connection)
            epoch = bumped.epoch
            if base is not None and bumped.revision != base:
                raise Conflict("another revision is in force", code="base_moved")
            known = await read_signing_keys(self._database, connection)
            change = judge(known, bumped.now_us)
            await add_signing_keys(self._database, connection, change.made)
            if change.tried_from_us is not None:
                for key in change.made:
                    await put_off_trial(self._database, connection, key, change.tried_from_us)
            await turn_signing_keys(self._database, connection, change.turned)
            headers = await destroy_credentials(self._database, connection, change.stripped)
            change = replace(change, headers=headers)
            await revoke_identities(self._database, connection, change.identities)
            entry = change.entry
            destroyed = {"headers": list(headers[:CHANGES_MAX])} if headers else {}
            recording.note(replace(entry, detail={**entry.detail, **destroyed, "epoch": epoch}))
            if change.hold is not None:
                await trip_switch(
                    self._database,
                    recording,
                    change.hold,
                    actor=entry.actor,
                    reason=entry.reason,
                    epoch=epoch,
                )
            await announce(self._database, connection)
        return change, Epoch(epoch)

    async def is_secret_left(self, ago_us: int) -> bool:
        """True while the secret is there of a signing key that ended so long ago."""
        async with self._database.look() as connection:
            return await is_secret_left(self._database, connection, ago_us)

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
            return await read_switches(self._database, connection)

    async def trip(self, target: Target, *, reason: str, actor: str) -> tuple[int, Epoch]:
        """Put a switch on; give its id and the epoch that workers must confirm."""
        database = self._database
        async with self._audit.recording() as recording:
            epoch = (await bump_epoch(database, recording.connection)).epoch
            switch = await trip_switch(
                database, recording, target, actor=actor, reason=reason, epoch=epoch
            )
            await announce(database, recording.connection)
        return switch, Epoch(epoch)

    async def release(self, target: Target, *, actor: str, reason: str) -> int:
        """Take off the switches on exactly this target; give how many there were.

        Raises `NotFound` when there is none.
        """
        database = self._database
        async with self._audit.recording() as recording:
            epoch = (await bump_epoch(database, recording.connection)).epoch
            count = await release_switches(
                database, recording, target, actor=actor, reason=reason, epoch=epoch
            )
            await announce(database, recording.connection)
        return count
