"""Change sets: from files to the active revision, by as many people as the change asks for.

Called by `plan`, `apply`, `approve`, `reject` and `rollback`. Everything is judged before anything
is written. What narrows, or changes nothing that flows, is activated at once; what widens waits for
another person, whose approval names the hash of what they read. It never activates over a revision
that the change set was not judged against.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Self

from dispatcher.control.approving import nobody_knows_who, require_another
from dispatcher.control.documents import invalid
from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.signing_keys import new_keys, public_text
from dispatcher.control.texts import require_reason
from dispatcher.control.token_keys import new_token_keys
from dispatcher.model.change_set import ChangeSet, ChangeState, change_hash
from dispatcher.model.days import day_of
from dispatcher.model.disclosure import Direction, DisclosureDiff
from dispatcher.model.errors import (
    Conflict,
    Forbidden,
    KeyMissing,
    KeyUnavailable,
    NotFound,
    SchemaMismatch,
    StoreUnavailable,
)
from dispatcher.model.ids import Epoch, Revision
from dispatcher.model.paper import ConnectorState
from dispatcher.model.people import Principal, PrincipalKind, Right
from dispatcher.model.producers import list_producers
from dispatcher.model.registry import Registry
from dispatcher.stages.revising.caller_keys import find_relisted, without_revoked
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.faults import find_faults
from dispatcher.stages.revising.moves import find_wrong_moves
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.changes import ChangeStore, Decision
from dispatcher.store.documents import encode_registry
from dispatcher.store.registry import RegistryStore
from dispatcher.store.revisions import Active, NewRevision
from dispatcher.vault.places import REGISTRY
from dispatcher.vault.sealer import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a proposal: `change_set` is the number it waits under, if it waits.

    `secrets` are the new subscriptions' signing secrets, shown this once; `public_keys` those of
    new Ed25519 keys.
    """

    revision: Revision
    epoch: Epoch
    diff: DisclosureDiff
    is_active: bool
    change_set: int | None = None
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    public_keys: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeControl:
    """Changes one registry, and keeps one outbox's catalogue current.

    With `approvals` of 1, one person may apply alone: a laptop. With `independent_approvers`,
    nobody approves what was proposed by somebody who added them or issued their token.
    """

    registry: RegistryStore
    changes: ChangeStore
    catalogue: CatalogueStore
    vault: Vault
    approvals: int
    independent_approvers: bool
    loopback: frozenset[tuple[str, int]]
    mint_secret: Callable[[], bytes]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            changes=ChangeStore(means.registry_database, means.audit),
            catalogue=CatalogueStore(means.outbox_database),
            vault=means.vault,
            approvals=means.approvals,
            independent_approvers=means.independent_approvers,
            loopback=means.loopback,
            mint_secret=means.mint_secret,
            wall_us=means.wall_us,
        )

    async def plan(self, registry: Registry, where: str) -> DisclosureDiff:
        """Say what a registry would change, and change nothing.

        Raises `RegistryInvalid` with every fault; `where` names the files it came from.
        """
        return await self._judge((await self.registry.active()).registry, registry, where)

    async def propose(
        self,
        registry: Registry,
        *,
        by: Principal,
        reason: str,
        where: str,
        amends: int | None = None,
    ) -> Outcome:
        """Make a registry the active revision, or file it for approval where it widens.

        Raises `RegistryInvalid`, `Forbidden`, `NotFound`, `ApprovalRequired` when nobody knows who
        proposes, and `Conflict` when another revision became active meanwhile.
        """
        require(by, Right.PROPOSE)
        require_reason(reason)
        amended = await self._own(amends, by) if amends is not None else None
        base = await self.registry.active()
        found = await self._judge(base.registry, registry, where)
        if not found.changes:
            await self._publish(registry, base.revision)
            return Outcome(revision=base.revision, epoch=base.epoch, diff=found, is_active=True)
        if found.direction is Direction.WIDENS and self.approvals > 1:
            if by.kind is PrincipalKind.LOCAL:
                raise nobody_knows_who()
            number = await self._file(base, registry, found, by, reason, amended)
            return Outcome(
                revision=base.revision,
                epoch=base.epoch,
                diff=found,
                is_active=False,
                change_set=number,
            )
        new = NewRevision(
            base=base,
            registry=registry,
            diff=found,
            author=by.name,
            approver=by.name,
            reason=reason,
            instead_of=amended,
        )
        return await self._activate(new)

    async def approve(self, number: int, digest: str, *, by: Principal, reason: str) -> Outcome:
        """Activate a change set that another person proposed, if it is what was read.

        Raises `Forbidden` (`self_approval`, `approver_not_independent`,
        `service_cannot_approve`), `Conflict` (`change_set_edited`, `base_moved`,
        `change_set_decided`).
        """
        require(by, Right.APPROVE)
        require_reason(reason)
        change = await self._open(number)
        require_another(
            by,
            change.author,
            f"change set {number}",
            independent=self.independent_approvers,
        )
        if change.hash != digest:
            raise Conflict(
                f"change set {number} was edited after it was read",
                where=f"change set {number}",
                fix=f"read it again: dispatcher changes {number}",
                code="change_set_edited",
            )
        base = await self.registry.active()
        if base.revision != change.base:
            raise await self._moved(change, base)
        registry = await self.changes.content(change)
        found = await self._judge(base.registry, registry, f"change set {number}")
        new = NewRevision(
            base=base,
            registry=registry,
            diff=found,
            author=change.author,
            approver=by.name,
            reason=change.reason,
            approval=Decision(change, by.name, reason, change.author not in by.vouched_by),
        )
        return await self._activate(new)

    async def reject(self, number: int, *, by: Principal, reason: str) -> None:
        """End a change set without effect."""
        require(by, Right.REJECT)
        require_reason(reason)
        await self.changes.reject(await self._open(number), by=by.name, decision=reason)

    async def rollback(self, number: Revision, *, by: Principal, reason: str) -> Outcome:
        """Propose what an earlier revision held; what was revoked or retired since stays so."""
        revoked = await self.registry.revoked_identities()
        earlier = without_revoked(await self.earlier(number), revoked)
        active = (await self.registry.active()).registry
        return await self.propose(
            _still_ended(earlier, active),
            by=by,
            reason=reason or f"rollback to revision {number}",
            where=f"revision {number}",
        )

    async def earlier(self, number: Revision) -> Registry:
        """Give what a revision held."""
        found = await self.registry.revision(number)
        if found is None:
            raise _no_revision(number)
        return found

    async def made(self, number: Revision) -> dict[str, Any]:
        """Give how a revision came about, without what it held."""
        found = await self.registry.made(number)
        if found is None:
            raise _no_revision(number)
        return found

    async def read(self, number: int) -> ChangeSet:
        """Give one change set."""
        change = await self.changes.get(number)
        if change is None:
            raise NotFound(
                f"there is no change set {number}",
                where="N",
                fix="'dispatcher changes' lists them",
                code="change_set_unknown",
            )
        return change

    async def _judge(self, old: Registry, new: Registry, where: str) -> DisclosureDiff:
        revoked = await self.registry.revoked_identities()
        # A large registry takes a second to judge, and others must not wait for it.
        return await asyncio.to_thread(self._judge_now, old, new, revoked, where)

    def _judge_now(
        self, old: Registry, new: Registry, revoked: Collection[str], where: str
    ) -> DisclosureDiff:
        today = self._today()
        faults = (
            find_faults(new)
            or find_wrong_moves(old, new, today)
            or find_relisted(old, new, revoked)
        )
        if faults:
            raise invalid(faults, where)
        return diff(old, new, today, self.loopback)

    async def _open(self, number: int) -> ChangeSet:
        change = await self.read(number)
        if change.state is not ChangeState.PROPOSED:
            raise Conflict(
                f"change set {number} is {change.state} already, by {change.decided_by}",
                where=f"change set {number}",
                fix="'dispatcher changes' lists what is still open",
                code="change_set_decided",
            )
        return change

    async def _file(
        self,
        base: Active,
        registry: Registry,
        found: DisclosureDiff,
        by: Principal,
        reason: str,
        amended: ChangeSet | None,
    ) -> int:
        change = ChangeSet(
            number=amended.number if amended is not None else 0,
            state=ChangeState.PROPOSED,
            base=base.revision,
            hash=change_hash(base.hash, encode_registry(registry), reason),
            diff=found,
            author=by.name,
            reason=reason,
            proposed_us=self.wall_us(),
        )
        if amended is None:
            return await self.changes.propose(change, registry)
        await self.changes.amend(change, registry)
        return change.number

    async def _own(self, number: int, by: Principal) -> ChangeSet:
        change = await self._open(number)
        if change.author != by.name:
            raise Forbidden(
                f"change set {number} is {change.author}'s",
                where=f"change set {number}",
                fix="propose your own: apply without --amend",
                code="not_the_author",
            )
        return change

    async def _activate(self, new: NewRevision) -> Outcome:
        with suppress(KeyMissing, KeyUnavailable):  # what needs no new key does not wait for one
            await self.vault.ready(REGISTRY)
        secrets, keys = new_keys(
            new.registry, await self.registry.keys(), self.vault, self.mint_secret
        )
        token_keys = new_token_keys(
            new.registry, await self.registry.token_keys(), self.vault, self.mint_secret
        )
        revision, epoch = await self.registry.activate(new, keys, token_keys)
        await self._publish(new.registry, revision)
        return Outcome(
            revision=revision,
            epoch=epoch,
            diff=new.diff,
            is_active=True,
            secrets=secrets,
            public_keys={key.subscription: public_text(key) for key in keys if key.public},
        )

    async def _publish(self, registry: Registry, revision: Revision) -> None:
        """Tell the outbox at once; where it is away, upkeep tells it later.

        The revision is active by then, so nothing that fails here may hide its outcome.
        """
        producers = list_producers(registry.producers)
        with suppress(StoreUnavailable, SchemaMismatch, KeyMissing, KeyUnavailable):
            await self.catalogue.publish(registry.event_types, producers, revision)
            intake = self.vault.intake_key()
            await self.catalogue.offer_intake(intake.id, intake.public)

    async def _moved(self, change: ChangeSet, active: Active) -> Conflict:
        base = await self.registry.revision(change.base) or Registry()
        moved = diff(base, active.registry, self._today(), self.loopback)
        places = dict.fromkeys(each.where for each in moved.changes)
        return Conflict(
            f"it was judged against revision {change.base}; since then revision "
            f"{active.revision} changed {', '.join(places) or 'nothing'}",
            where=f"change set {change.number}",
            fix=f"its author looks again: dispatcher apply FILES --amend {change.number}",
            code="base_moved",
        )

    def _today(self) -> date:
        return day_of(self.wall_us())


def _still_ended(earlier: Registry, active: Registry) -> Registry:
    """Give an earlier registry in which no host is sent to again, and no partner is back."""
    revoked = dict.fromkeys((*earlier.policy.revoked_hosts, *active.policy.revoked_hosts))
    gone = {each.name: each for each in active.connectors if each.state is ConnectorState.RETIRED}
    connectors = {each.name: each for each in earlier.connectors} | gone
    return replace(
        earlier,
        policy=replace(earlier.policy, revoked_hosts=tuple(revoked)),
        connectors=tuple(sorted(connectors.values(), key=lambda each: each.name)),
    )


def _no_revision(number: Revision) -> NotFound:
    return NotFound(
        f"there is no revision {number}",
        where="N",
        fix="'dispatcher revisions' lists them",
        code="revision_unknown",
    )
