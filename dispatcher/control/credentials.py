"""Secret headers that partners want with every request: entered by one, agreed to by another.

Called by `keys set-header`, `approve-header`, `remove-header` and `headers`. A value is sealed as
it is entered, bound to the connector and the endpoint of that moment, and never given back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from dispatcher.control.approving import nobody_knows_who, require_another
from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.texts import require_reason
from dispatcher.model.audit import Entry
from dispatcher.model.credential import Credential, destination_of
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.errors import InvalidInput, NotFound
from dispatcher.model.headers import find_credential_faults, folded
from dispatcher.model.people import Principal, PrincipalKind, Right
from dispatcher.model.registry import Registry, Subscription
from dispatcher.stages.gates.credentials import header_names
from dispatcher.store.credentials import CredentialStore, StoredCredential
from dispatcher.store.registry import RegistryStore
from dispatcher.vault.places import credential_place
from dispatcher.vault.sealer import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCredential:
    """A stored header, and whether it is sent: `state` is pending, sent, unbound or destroyed."""

    credential: Credential
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialControl:
    """The stored headers of one registry. With `approvals` of 1, one person's entry is enough."""

    registry: RegistryStore
    store: CredentialStore
    vault: Vault
    approvals: int
    independent_approvers: bool
    mint_id: Callable[[], str]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            store=CredentialStore(means.registry_database, means.audit),
            vault=means.vault,
            approvals=means.approvals,
            independent_approvers=means.independent_approvers,
            mint_id=lambda: means.random_bytes(4).hex(),
        )

    async def list(self) -> list[ListedCredential]:
        """List stored headers, by subscription and name; no value is anywhere in it."""
        registry = (await self.registry.active()).registry
        places = {each.name: _destination(each) for each in registry.subscriptions}
        found = [each.credential for each in await self.store.all()]
        return [
            ListedCredential(credential=each, state=_state(each, places.get(each.subscription, "")))
            for each in found
        ]

    async def enter(
        self, subscription: str, header: str, value: str, *, reason: str, by: Principal
    ) -> Credential:
        """Store a header for where a subscription leads now.

        Raises `NotFound`, `ApprovalRequired` when nobody knows who enters it, and `InvalidInput`
        for what no header may be, which never repeats the value.
        """
        require(by, Right.KEYS)
        require_reason(reason)
        if self.approvals > 1 and by.kind is PrincipalKind.LOCAL:
            raise nobody_knows_who()
        registry = (await self.registry.active()).registry
        held = _named(registry, subscription)
        self._check(held, header, value)
        new = Credential(
            id=self.mint_id(),
            subscription=held.name,
            header=header.lower(),
            destination=_destination(held),
            entered_by=by.name,
            entered_us=0,
        )
        place = credential_place(held.connector, new.destination, new.id)
        stored = StoredCredential(new, await self.vault.seal_soon(value.encode(), place))
        entry = _entry("entered", new, by.name, reason)
        await self.store.enter(stored, entry=entry, is_approved=self.approvals == 1)
        return await self._read(new.id)

    async def approve(self, credential: str, *, reason: str, by: Principal) -> Credential:
        """Let a header be sent that somebody else entered. Raises `Forbidden` and `Conflict`."""
        require(by, Right.APPROVE)
        require_reason(reason)
        held = await self._read(credential)
        require_another(
            by, held.entered_by, f"stored header {held.id}", independent=self.independent_approvers
        )
        entry = _entry("approved", held, by.name, reason)
        await self.store.approve(held, by=by.name, entry=entry)
        return await self._read(credential)

    async def remove(self, subscription: str, header: str, *, reason: str, by: Principal) -> None:
        """Send a header no more, and forget it. Raises `NotFound`."""
        require(by, Right.KEYS)
        require_reason(reason)
        about = f"header {header.lower()} of {subscription}"
        entry = Entry(kind="credential.removed", actor=by.name, about=about, reason=reason)
        await self.store.remove(subscription, header.lower(), entry=entry)

    def _check(self, held: Subscription, header: str, value: str) -> None:
        faults = list(find_credential_faults(header, value))
        if folded(header) in header_names(held):
            faults.append("the registry has a header of this name for the subscription")
        if faults:
            raise InvalidInput(
                "; ".join(faults),
                where="NAME",
                fix="write the name of a header, and its value as it is to be sent",
                code="header_invalid",
            )

    async def _read(self, credential: str) -> Credential:
        for each in await self.store.all():
            if each.credential.id == credential:
                return each.credential
        raise NotFound(
            f"there is no stored header {credential[:100]!r}",
            where="ID",
            fix="'dispatcher keys headers' lists them",
            code="credential_unknown",
        )


def _state(held: Credential, destination: str) -> str:
    if held.destroyed_us is not None:
        return "destroyed"
    if held.approved_us is None:
        return "pending"
    return "sent" if held.is_bound(destination) else "unbound"


def _destination(held: Subscription) -> str:
    try:
        return destination_of(parse_endpoint(held.url))
    except ValueError:  # written by hand: it leads nowhere
        return ""


def _named(registry: Registry, name: str) -> Subscription:
    found = next((each for each in registry.subscriptions if each.name == name), None)
    if found is None:
        raise NotFound(
            f"there is no subscription {name[:100]!r}",
            where="SUBSCRIPTION",
            fix="name one of the active revision",
            code="subscription_unknown",
        )
    return found


def _entry(verb: str, held: Credential, actor: str, reason: str) -> Entry:
    about = f"header {held.header} of {held.subscription}"
    detail = {"id": held.id, "destination": held.destination, "entered_by": held.entered_by}
    kind = f"credential.{verb}"
    return Entry(kind=kind, actor=actor, about=about, reason=reason, detail=detail)
