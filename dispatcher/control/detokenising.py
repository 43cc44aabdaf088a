"""Turns one token back into what it stands for, for somebody with the right and a reason.

Called by `detokenise`. Every try is counted against whoever makes it and put on the record, with
how it ended, before anything is answered. The record names the token by fingerprint; the value is
given to the caller alone and kept nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import NoReturn, Self

from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.texts import require_reason
from dispatcher.model.action import ActionKind
from dispatcher.model.audit import Entry
from dispatcher.model.errors import (
    Conflict,
    DispatcherError,
    InvalidInput,
    NotFound,
    TooOften,
)
from dispatcher.model.grant import parse_grant
from dispatcher.model.people import Principal, Right
from dispatcher.model.registry import Registry
from dispatcher.model.token import (
    PartnerToken,
    TokenKey,
    TokenKind,
    TokenValue,
    parse_token,
    read_value,
)
from dispatcher.store.registry import RegistryStore
from dispatcher.store.token_keys import TokenReads
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.vault.places import token_key_place
from dispatcher.vault.sealer import Vault
from dispatcher.vault.tokens import TokenKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAsked:
    """Which token is asked about: as which partner has it, and what else is known of it.

    A siv token does not say its tenant and its domain: where they are not given, those that the
    partner has today are tried.
    """

    token: str = field(repr=False)
    connector: str
    tenant: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a token stands for, in its canonical spelling."""

    value: TokenValue = field(repr=False)
    kind: TokenKind
    tenant: str
    connector: str
    domain: str
    version: int

    def __reduce__(self) -> NoReturn:
        raise TypeError("what a token stands for cannot be pickled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detokenising:
    """Turns the tokens of one outbox's partners back, at most so many an hour for each person."""

    registry: RegistryStore
    tokens: VaultStore
    reads: TokenReads
    vault: Vault
    keys: TokenKeys
    per_hour: int

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            tokens=VaultStore(means.outbox_database),
            reads=TokenReads(means.registry_database, means.audit),
            vault=means.vault,
            keys=means.tokens,
            per_hour=means.detokenisations_per_hour,
        )

    async def open(self, asked: TokenAsked, *, reason: str, ticket: str, by: Principal) -> Opened:
        """Give what a token stands for, once that is on the record.

        Raises `InvalidInput` (`partner_token_malformed`, `token_irreversible`), `NotFound`
        (`connector_unknown`, `partner_token_unknown`, `partner_token_erased`,
        `partner_token_other_tenant`), `Conflict` (`connector_retired`) and `TooOften`.
        """
        require(by, Right.DETOKENISE)
        require_reason(reason)
        token = parse_token(asked.token)
        if token is None:
            raise _malformed()
        try:
            found: Opened | DispatcherError = await self._open(token, asked)
        except (InvalidInput, NotFound, Conflict) as error:
            found = error
        code = found.reason if isinstance(found, DispatcherError) else ""
        entry = _entry(token, asked, found, code, by, reason, ticket)
        refused = _entry(token, asked, found, TooOften.code, by, reason, ticket)
        if not await self.reads.note(entry, refused, per_hour=self.per_hour):
            raise TooOften(
                f"{by.name} has asked what {self.per_hour} tokens stand for within an hour",
                where="token",
                fix="wait, or raise [vault] detokenisations_per_hour",
            )
        if isinstance(found, DispatcherError):
            raise found
        return found

    async def _open(self, token: PartnerToken, asked: TokenAsked) -> Opened:
        if token.kind is TokenKind.PSEUDONYM:
            raise InvalidInput(
                "a pseudonym cannot be turned back by anybody",
                where="token",
                fix="grant the field with vault(...) where it must be possible",
                code="token_irreversible",
            )
        key = await self._key(token, asked.connector)
        if token.kind is TokenKind.SIV:
            return await self._open_siv(token, asked, key)
        row = await self.tokens.find(token.text)
        if row is None or row.connector != asked.connector:
            raise _unknown(asked.connector)
        if asked.tenant not in (None, row.tenant):
            raise NotFound(
                f"the token is not of the tenant {asked.tenant}",
                where="tenant",
                fix="ask as somebody who may see the tenant it is of",
                code="partner_token_other_tenant",
            )
        if row.sealed is None:
            raise NotFound(
                "what the token stood for was erased, and nobody can say it any more",
                where="token",
                fix="the record says when: dispatcher audit log --kind subject.erased",
                code="partner_token_erased",
            )
        made = self.keys.recipient(row.tenant, key)
        text = made.open(row.domain, token.text, row.sealed)
        return _opened(token, text, row.tenant, asked.connector, row.domain)

    async def _key(self, token: PartnerToken, connector: str) -> TokenKey:
        """Give the key that the token hangs on, if it is of this partner; it may be gone."""
        held = [key for key in await self.registry.token_keys() if key.connector == connector]
        if not held:
            raise NotFound(
                f"there never was a connector {connector[:100]!r}",
                where="connector",
                fix="name the partner that has the token",
                code="connector_unknown",
            )
        key = next((each for each in held if each.version == token.version), None)
        if key is None:
            raise _unknown(connector)
        if key.sealed is None:
            raise Conflict(
                f"{connector} is retired and its keys are destroyed: no token of it opens",
                where="connector",
                fix="nothing can undo that; ask whoever owns the data itself",
                code="connector_retired",
            )
        secret = await self.vault.open_soon(key.sealed, token_key_place(connector, key.version))
        return TokenKey(connector, key.version, secret)

    async def _open_siv(self, token: PartnerToken, asked: TokenAsked, key: TokenKey) -> Opened:
        for tenant, domain in await self._places(asked):
            text = self.keys.recipient(tenant, key).open_siv(domain, token.text)
            if text is not None:
                return _opened(token, text, tenant, asked.connector, domain)
        raise _unknown(asked.connector)

    async def _places(self, asked: TokenAsked) -> Iterator[tuple[str, str]]:
        """Give the tenants and domains that a siv token of a partner may be of."""
        registry = (await self.registry.active()).registry
        listed = next((each for each in registry.connectors if each.name == asked.connector), None)
        tenants = listed.tenants if listed is not None else ()
        domains = siv_domains(registry, asked.connector)
        return product(
            [asked.tenant] if asked.tenant is not None else tenants,
            [asked.domain] if asked.domain is not None else domains,
        )


def siv_domains(registry: Registry, connector: str) -> frozenset[str]:
    """Give the domains in which a partner is given siv tokens today."""
    grants = {
        grant
        for each in registry.subscriptions
        if each.connector == connector
        for granted in each.scope.values()
        for grant in granted
    }
    actions = (parse_grant(grant).action for grant in grants)
    return frozenset(each.argument for each in actions if each.kind is ActionKind.SIV)


def _opened(token: PartnerToken, text: str, tenant: str, connector: str, domain: str) -> Opened:
    return Opened(
        value=read_value(text),
        kind=token.kind,
        tenant=tenant,
        connector=connector,
        domain=domain,
        version=token.version,
    )


def _entry(
    token: PartnerToken,
    asked: TokenAsked,
    found: Opened | DispatcherError,
    code: str,
    by: Principal,
    reason: str,
    ticket: str,
) -> Entry:
    place = found if isinstance(found, Opened) and not code else asked
    return Entry(
        kind="detokenisation.refused" if code else "detokenisation.answered",
        actor=by.name,
        about=f"token {token.fingerprint} of {asked.connector}",
        reason=reason,
        detail={
            "token_kind": token.kind.name.lower(),
            "version": token.version,
            "tenant": place.tenant,
            "domain": place.domain,
            "ticket": ticket,
            "code": code,
        },
    )


def _malformed() -> InvalidInput:
    return InvalidInput(
        "this is no token that a partner could have been given",
        where="token",
        fix="give it whole: tok_..., siv_... or vlt_..., as the partner has it",
        code="partner_token_malformed",
    )


def _unknown(connector: str) -> NotFound:
    return NotFound(
        f"no such token of {connector} is known",
        where="token",
        fix="check the connector; of a siv token whose grant is gone, name tenant and domain too",
        code="partner_token_unknown",
    )
