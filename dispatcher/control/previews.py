"""What would one partner get of one event, which of its fields, and why not the others?

Called by `preview`. It asks the functions a worker asks, over a snapshot compiled of the policy in
force, and sends nothing, mints nothing and writes nothing down. What it gives bears no signature
and no ticket. Whether values may be shown at all is for whoever asked it to see to.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final, Self, TypeVar

from dispatcher.control.lanes import compile_policy, only
from dispatcher.control.means import Means
from dispatcher.control.rehearsing import Written, without_signature, write_letter
from dispatcher.control.shown_tokens import ShownTokens
from dispatcher.model.credential import Credential, destination_of
from dispatcher.model.errors import (
    DispatcherError,
    InvalidInput,
    KeyMissing,
    NotFound,
    SealBroken,
)
from dispatcher.model.event import Event
from dispatcher.model.headers import Headers
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.ids import ScopeId, WebhookId
from dispatcher.model.keys import SigningKey, live_keys
from dispatcher.model.letter import Admitted
from dispatcher.model.registry import Connector, Encryption, Registry, Subscription
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.model.token import TokenKey
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.fanout.intake import check_payload
from dispatcher.stages.fanout.plan import plan
from dispatcher.stages.gates.rehearsal import rehearse
from dispatcher.stages.shaping.account import Part, Shown, Terms, account
from dispatcher.stages.shaping.shape import read_payload
from dispatcher.stages.shaping.tokens import TokensWanted
from dispatcher.store.outbox import OutboxStore
from dispatcher.store.payloads import Filed, PayloadStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.signing_keys import StoredKey
from dispatcher.store.token_keys import StoredTokenKey
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.vault.payloads import unlock
from dispatcher.vault.places import signing_key_place, token_key_place
from dispatcher.vault.sealer import Vault
from dispatcher.vault.tokens import Recipient, TokenKeys

T = TypeVar("T")
LARGE_BYTES: Final = 65_536
_NOTHING: Final = Scope.of(())


@dataclass(frozen=True, slots=True)
class Letter:
    """What would be sent, as it may be shown: the first line, the headers, the exact body.

    `plaintext` is what the partner reads of a body that is encrypted.
    """

    line: str
    headers: Headers
    body: bytes = field(repr=False)
    plaintext: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one subscription would get. `refusals` keep it from being sent, in the road's order."""

    subscription: str
    connector: str
    refusals: tuple[Refusal, ...]
    letter: Letter | None
    parts: tuple[Part, ...]


class Source(StrEnum):
    """Where the event that is shown comes from."""

    GIVEN = "given"
    SYNTHETIC = "synthetic"
    DELIVERY = "delivery"
    RECENT = "recent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The event that is shown; `filed` is the delivery it was taken from, if it was.

    `scope` is what that was filed under, if it is known.
    """

    event: Event
    source: Source
    filed: Filed | None = None
    scope: Scope | None = None

    @property
    def is_kept(self) -> bool:
        """False where it was never enqueued: nobody's value but the asker's own is in it."""
        return self.source in (Source.DELIVERY, Source.RECENT)


@dataclass(frozen=True, slots=True)
class _Filing:
    """Id and scope as fan-out files them, or did; no scope where nothing would be filed."""

    webhook_id: WebhookId
    scope: Scope | None
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy in force, cut down to the subscriptions that are asked about."""

    registry: Registry
    snapshot: Snapshot
    keys: tuple[StoredKey, ...] = field(repr=False)
    token_keys: tuple[StoredTokenKey, ...] = field(repr=False)
    credentials: tuple[Credential, ...] = ()

    def stored_headers(self, route: Route) -> Headers:
        """Give the secret headers that would be sent, without their values."""
        place = destination_of(route.endpoint)
        return tuple(
            (each.header, "(stored, and sent as it was entered)")
            for each in self.credentials
            if each.subscription == route.subscription and each.is_bound(place)
        )

    def parts(self, subscription: str) -> tuple[Subscription, Connector]:
        """Give a subscription and its connector. Raises `NotFound`."""
        found = next((e for e in self.registry.subscriptions if e.name == subscription), None)
        owner = found.connector if found is not None else ""
        connector = next((e for e in self.registry.connectors if e.name == owner), None)
        if found is None or connector is None or subscription not in self.snapshot.routes:
            raise _no_subscription(subscription)
        return found, connector


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewControl:
    """Previews of one registry and one outbox."""

    registry: RegistryStore
    payloads: PayloadStore
    scope_of: Callable[[ScopeId], Awaitable[Scope | None]]
    vault: Vault
    tokens: TokenKeys
    vault_tokens: VaultStore
    certificates: Callable[[], Sequence[ClientCertificate]]
    loopback: frozenset[tuple[str, int]]
    mint: Callable[[], WebhookId]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            payloads=PayloadStore(means.outbox_database, means.open_payload),
            scope_of=OutboxStore(means.outbox_database, means.open_payload).scope,
            vault=means.vault,
            tokens=means.tokens,
            vault_tokens=VaultStore(means.outbox_database),
            certificates=means.certificates,
            loopback=means.loopback,
            mint=means.mint_webhook_id,
            wall_us=means.wall_us,
        )

    async def policy(self, names: Collection[str], tenant: str | None) -> Policy:
        """Compile the policy in force for these subscriptions.

        Raises `NotFound` for one that there is not, or that `tenant`, if one is given, has no part
        in.
        """
        now = await self.registry.policy_now()
        registry, keys, token_keys = now.active.registry, now.keys, now.token_keys
        serving = {each.name for each in registry.connectors if tenant in (None, *each.tenants)}
        known = {each.name for each in registry.subscriptions if each.connector in serving}
        held = only(registry, known.intersection(names))
        snapshot = compile_policy(
            now,
            held,
            loopback=self.loopback,
            certificates=await asyncio.to_thread(self.certificates),
            now_us=self.wall_us(),
        )
        policy = Policy(
            registry=held,
            snapshot=snapshot,
            keys=keys,
            token_keys=token_keys,
            credentials=tuple(each.credential for each in now.credentials),
        )
        for name in names:
            policy.parts(name)
        own = {each.connector for each in held.subscriptions}
        sealed = [each.sealed for each in keys if each.subscription in names and each.sealed]
        sealed += [each.sealed for each in token_keys if each.connector in own and each.sealed]
        with suppress(KeyMissing):  # what does not open is told as it is to a worker
            await self.vault.fetch(*sealed)
        return policy

    async def filed(self, delivery: int, subscription: str, tenant: str | None) -> Case:
        """Give the event of a delivery of this subscription. Raises `NotFound`."""
        await self.vault.renew()
        found = await self.payloads.filed(delivery)
        if found is None or tenant not in (None, found.event.tenant):
            raise NotFound(
                f"no planned delivery {delivery}",
                where="delivery",
                fix="'dispatcher deliveries' lists what there is",
                code="delivery_unknown",
            )
        if found.subscription != subscription:
            raise InvalidInput(
                f"delivery {delivery} is for {found.subscription}",
                where="delivery",
                fix=f"ask for {found.subscription}, or compare with it",
                code="delivery_of_another",
            )
        return Case(
            event=await unlock(self.vault, found.event),
            source=Source.DELIVERY,
            filed=found,
            scope=await self.scope_of(found.scope),
        )

    async def recent(self, types: Collection[str], tenants: Collection[str]) -> Case:
        """Give the newest event of these types and tenants. Raises `NotFound`."""
        await self.vault.renew()
        event = await self.payloads.recent(types, tenants)
        event = await unlock(self.vault, event) if event is not None else None
        if event is None or event.payload is None:
            raise NotFound(
                "no event of late would go there, or none has its payload any more",
                where="recent",
                fix="name another type or tenant, or give an event of your own",
                code="event_unknown",
            )
        return Case(event=event, source=Source.RECENT)

    async def preview(self, name: str, case: Case, policy: Policy, *, is_blind: bool) -> Preview:
        """Say what one subscription would get of an event; `is_blind` shows no token of a value."""
        tenant, (_, connector) = case.event.tenant, policy.parts(name)
        route = policy.snapshot.routes[name]

        def real() -> Recipient:
            return self._recipient(tenant, route, policy.token_keys)

        tokens = ShownTokens(real, route.token_version, is_blind=is_blind)
        found = await unhurried(case.event, partial(self._preview, name, case, policy, tokens))
        if not tokens.wanted:
            return found
        known = await self.vault_tokens.known(connector.name, tenant, tokens.wanted)
        tokens = ShownTokens(real, route.token_version, is_blind=is_blind, known=known)
        return await unhurried(case.event, partial(self._preview, name, case, policy, tokens))

    def _preview(self, name: str, case: Case, policy: Policy, tokens: ShownTokens) -> Preview:
        subscription, connector = policy.parts(name)
        event, snapshot = case.event, policy.snapshot
        filing = self._file(name, case, snapshot)
        refusals, keys = list(filing.refusals), self._keys(policy, name)
        scope, written = filing.scope, None
        if scope is None:
            scope = snapshot.routes[name].scopes.get(event.type, _NOTHING)
        else:
            rehearsed = rehearse(event, name, filing.webhook_id, scope, snapshot)
            refusals += rehearsed.refusals
            if rehearsed.admitted is not None:
                scope = rehearsed.admitted.cleared.scope
                written = self._write(rehearsed.admitted, keys, tokens)
        letter = None
        if isinstance(written, Written):
            letter = _letter(written, keys, policy.stored_headers(snapshot.routes[name]))
            refusals += [written.refusal] if written.refusal is not None else []
        elif written is not None:
            refusals.append(written)
        shown = _shown(scope, written, refusals)
        return Preview(
            subscription=name,
            connector=connector.name,
            refusals=tuple(dict.fromkeys(refusals)),
            letter=letter,
            parts=_account(event, subscription, connector, policy.registry, shown),
        )

    def _file(self, name: str, case: Case, snapshot: Snapshot) -> _Filing:
        event, filed = case.event, case.filed
        if filed is not None and filed.subscription == name:
            unknown = (refuse(Reason.SCOPE_UNKNOWN),) if case.scope is None else ()
            return _Filing(filed.webhook_id, case.scope, unknown)
        planned = plan(event, snapshot, self.mint)
        refusals = _intake(case, snapshot)
        if isinstance(planned, Refusal):
            return _Filing(self.mint(), None, (*refusals, planned))
        mine = next((each for each in planned if each.subscription == name), None)
        if mine is None:  # the gates say why
            return _Filing(self.mint(), _NOTHING, refusals)
        return _Filing(mine.webhook_id, mine.scope, refusals)

    def _write(
        self, admitted: Admitted, keys: tuple[SigningKey, ...], tokens: ShownTokens
    ) -> Written | Refusal:
        """Write a rehearsed letter as it may be shown."""
        try:
            written = write_letter(admitted, tokens, keys, self.wall_us() // 1_000_000)
        except (KeyMissing, SealBroken):  # a worker has no tokens for it either
            return refuse(Reason.TOKENS_UNAVAILABLE)
        return refuse(Reason.TOKENS_UNAVAILABLE) if isinstance(written, TokensWanted) else written

    def _recipient(
        self, tenant: str, route: Route, stored: tuple[StoredTokenKey, ...]
    ) -> Recipient:
        """Give what makes a tenant's tokens for a partner. Raises where its key is not at hand."""
        wanted = (route.connector, route.token_version)
        found = next((each for each in stored if (each.connector, each.version) == wanted), None)
        if found is None or found.sealed is None:
            raise KeyMissing("the partner has no token key", where="token_keys")
        secret = self.vault.open(found.sealed, token_key_place(*wanted))
        return self.tokens.recipient(tenant, TokenKey(*wanted, secret), route.keys)

    def _keys(self, policy: Policy, name: str) -> tuple[SigningKey, ...]:
        keys = []
        for each in policy.keys:
            if each.subscription != name or each.sealed is None:
                continue
            place = signing_key_place(each.connector, name, each.kind, each.fingerprint)
            # A key that does not open is none to a worker either.
            with suppress(DispatcherError):
                secret = self.vault.open(each.sealed, place)
                keys.append(SigningKey(each.fingerprint, secret, each.kind, each.times))
        return live_keys(keys, policy.snapshot.routes[name].signing, self.wall_us())


async def unhurried(event: Event, work: Callable[[], T]) -> T:
    """Do what takes long with a large event beside the loop, so that a stop gets through."""
    is_large = len(event.payload or b"") > LARGE_BYTES
    return await asyncio.to_thread(work) if is_large else work()


def _intake(case: Case, snapshot: Snapshot) -> tuple[Refusal, ...]:
    """Judge an event that nobody enqueued as its producer would be."""
    kind, payload = snapshot.event_types.get(case.event.type), case.event.payload
    if case.is_kept or kind is None or payload is None:
        return ()
    unfit = check_payload(payload, kind)
    return () if unfit is None else (unfit,)


def _shown(scope: Scope, written: Written | Refusal | None, refusals: list[Refusal]) -> Shown:
    if isinstance(written, Written):
        shaped = written.sealed.shaped
        return Shown(scope=scope, disclosed=shaped.disclosed, dropped=shaped.dropped)
    return Shown(scope=scope, refused=tuple(dict.fromkeys(r for e in refusals for r in e.reasons)))


def _account(
    event: Event, subscription: Subscription, connector: Connector, held: Registry, shown: Shown
) -> tuple[Part, ...]:
    kind = next((each for each in held.event_types if each.name == event.type), None)
    document = read_payload(event)
    if kind is None or isinstance(document, Refusal):
        return ()
    terms = Terms.of(kind, subscription, connector)
    return account(document, bool(event.subjects), terms, shown)


def _letter(written: Written, keys: tuple[SigningKey, ...], stored: Headers) -> Letter:
    """Read the letter back from its own bytes, written without what would vouch for it."""
    request = written.request(without_signature(written.headers, keys) + stored)
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.decode("ascii").split("\r\n")
    pairs = (each.partition(": ") for each in lines)
    sealed = written.sealed
    is_encrypted = sealed.cleared.route.encryption is Encryption.JWE
    headers = tuple((name, value) for name, _, value in pairs)
    return Letter(line, headers, body, sealed.shaped.plaintext if is_encrypted else None)


def _no_subscription(name: str) -> NotFound:
    return NotFound(
        f"the active revision has no subscription {name[:100]!r}",
        where="subscription",
        fix="ask for the list",
        code="subscription_unknown",
    )
