"""Tokens for letters: under which key they are made, and which vault tokens are known already.

Used by the courier, the prover and the reader. A vault token is durable, with a link
to everybody the event is about, before a letter can bear it. What is known is remembered, so that
it costs no look at the database; the memory is emptied when anybody was erased, and no letter that
was shaped before may begin after (`TokenDesk.is_current`). Nothing remembered is a value: a
keyed hash finds the token.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from dispatcher.model.errors import DispatcherError, KeyMissing, KeyUnavailable, SealBroken
from dispatcher.model.event import Event
from dispatcher.model.letter import Admitted, Cleared, Shaped
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.snapshot import Route
from dispatcher.model.token import TokenKey
from dispatcher.model.verdict import Reason, Refusal, hold, refuse
from dispatcher.stages.shaping.shape import shape
from dispatcher.stages.shaping.tokens import TokensWanted
from dispatcher.store.groupcommit import GroupCommit
from dispatcher.store.vault_tokens import WantedToken
from dispatcher.vault.places import token_key_place
from dispatcher.vault.tokens import Recipient
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch

REMEMBERED_MAX: Final = 65_536
LARGE_BYTES: Final = 65_536
_Known = tuple[bytes, tuple[str, ...]]
_Made = dict[tuple[str, tuple[PartnerKey, ...]], Recipient]


class TokenDesk:
    """Gives each letter its tokens. One instance serves the whole worker."""

    def __init__(self, kit: Kit, policy: PolicyWatch) -> None:
        self._kit = kit
        self._policy = policy
        self._secrets: dict[tuple[str, int], tuple[bytes, bytes]] = {}
        self._recipients: dict[tuple[str, int], tuple[bytes, _Made]] = {}
        self._known: dict[_Known, str] = {}
        self._erasures = 0
        self._token_keys: Mapping[tuple[str, int], bytes] = {}
        self._mints = GroupCommit[WantedToken, str](
            kit.vault_tokens.mint,
            rows_max=kit.settings.commit_rows_max,
            gather_seconds=kit.settings.commit_gather_seconds,
        )

    def of(self, cleared: Cleared) -> "LetterTokens":
        """Give the tokens of one letter; no key is opened before it is needed."""
        policy = self._policy
        if self._erasures != policy.erasures:
            self._known.clear()
            self._erasures = policy.erasures
        if self._token_keys is not policy.token_keys:
            self._token_keys = policy.token_keys
            # A key that was destroyed is not kept in memory either.
            for place in self._secrets.keys() - self._token_keys.keys():
                del self._secrets[place]
                self._recipients.pop(place, None)
        return LetterTokens(self, cleared, self._erasures)

    async def open_key(self, route: Route) -> bool:
        """Open the key of a partner's tokens, where it is not open yet; false when it must wait.

        One that never opens is for `recipient` to say.
        """
        place = (route.connector, route.token_version)
        sealed = self._policy.token_keys.get(place)
        if sealed is None or self._secrets.get(place, (b"",))[0] == sealed:
            return True
        try:
            secret = await self._kit.vault.open_soon(sealed, token_key_place(*place))
        except KeyUnavailable as error:
            self._kit.report("key_unavailable", error)
            return False
        except (KeyMissing, SealBroken):
            return True
        self._secrets[place] = sealed, secret
        return True

    async def shape(self, admitted: Admitted, tokens: "LetterTokens") -> Shaped | Refusal:
        """Shape a letter, minting first what it wants.

        A letter waits while the vault is away, and is parked where its partner has no key.
        """
        try:
            shaped = await _shape(admitted, tokens)
            if isinstance(shaped, TokensWanted):
                if not await self._mint(tokens, shaped.values):
                    return hold(Reason.TOKENS_UNAVAILABLE)
                shaped = await _shape(admitted, tokens)
        except (KeyMissing, SealBroken) as error:
            self._kit.report("tokens_unavailable", error)
            return refuse(Reason.TOKENS_UNAVAILABLE)
        return hold(Reason.TOKENS_UNAVAILABLE) if isinstance(shaped, TokensWanted) else shaped

    def is_current(self, tokens: "LetterTokens") -> bool:
        """False where a letter bears a vault token that may have been erased meanwhile."""
        return not tokens.has_vault or tokens.erasures == self._policy.erasures

    def recipient(self, tenant: str, route: Route) -> Recipient:
        """Give what makes a tenant's tokens for a partner; raises where its key is not at hand."""
        connector, version = place = (route.connector, route.token_version)
        sealed = self._policy.token_keys.get(place)
        if sealed is None:
            raise KeyMissing(
                f"{connector} has no token key of version {version}",
                where="token_keys",
                fix="make a revision active that lists the partner; a retired one has none",
            )
        known, made = self._recipients.get(place, (b"", {}))
        if known != sealed:
            made = {}
            self._recipients[place] = sealed, made
        found = made.get((tenant, route.keys))
        if found is None:
            of, secret = self._secrets.get(place, (b"", b""))
            if of != sealed:
                secret = self._kit.vault.open(sealed, token_key_place(connector, version))
            key = TokenKey(connector, version, secret)
            found = self._kit.tokens.recipient(tenant, key, route.keys)
            made[tenant, route.keys] = found
        return found

    def known(self, blind: bytes, subjects: tuple[str, ...]) -> str | None:
        """Give the vault token of a value that is linked to all of these people already."""
        return self._known.get((blind, subjects))

    async def _mint(self, tokens: "LetterTokens", values: Iterable[tuple[str, str]]) -> bool:
        """Give these values of a letter their vault tokens, durably; `False` when that cannot be.

        What is found while somebody is being erased is not remembered, for it may be theirs.
        """
        wanted = [tokens.wanted(domain, text) for domain, text in values]
        try:
            minted = await asyncio.gather(*map(self._mints.put, wanted))
        except DispatcherError as error:
            self._kit.report("tokens_unavailable", error)
            return False
        for each, token in zip(wanted, minted, strict=True):
            found = (bytes.fromhex(each.blind), tokens.subjects)
            tokens.minted[found[0]] = token
            if tokens.erasures == self._erasures == self._policy.erasures:
                self._remember(found, token)
        return True

    def named(self, event: Event) -> tuple[str, ...]:
        """Name the people an event is about as the ledger does."""
        return self._kit.vault.pseudonyms(event.tenant, event.subjects)

    def _remember(self, found: _Known, token: str) -> None:
        if len(self._known) >= REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        self._known[found] = token


async def _shape(admitted: Admitted, tokens: "LetterTokens") -> Shaped | Refusal | TokensWanted:
    """Shape a large event beside the loop, so that policy is read meanwhile, and a stop obeyed."""
    if len(admitted.cleared.leased.event.payload or b"") <= LARGE_BYTES:
        return shape(admitted, tokens)
    return await asyncio.to_thread(shape, admitted, tokens)


class LetterTokens:
    """Answers shaping's questions for one letter (see `stages.shaping.tokens`).

    `erasures` is how many people had been erased when it was made; `has_vault` is true once it gave
    a vault token.
    """

    def __init__(self, desk: TokenDesk, cleared: Cleared, erasures: int) -> None:
        self._desk = desk
        self._event = cleared.leased.event
        self._route = cleared.route
        self.erasures = erasures
        self.subjects = self._event.subjects
        self.minted: dict[bytes, str] = {}
        self.has_vault = False
        self._made: Recipient | None = None

    def pseudonym(self, domain: str, text: str) -> str:
        """Give a token that nobody can turn back."""
        return self._recipient.pseudonym(domain, text)

    def siv(self, domain: str, text: str) -> str:
        """Give a token that this company alone can turn back, and needs no memory for."""
        return self._recipient.siv(domain, text)

    def vault(self, domain: str, text: str) -> str | None:
        """Give the random token of a value, or `None` where it was not minted yet."""
        blind = self._recipient.blind(domain, text)
        token = self.minted.get(blind) or self._desk.known(blind, self.subjects)
        self.has_vault |= token is not None
        return token

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        """Encrypt to a key of the recipient, or `None` where it has none of this name."""
        return self._recipient.encrypt(kid, plaintext)

    def ticket(self, webhook_id: str) -> str:
        """Give the ticket by which what a thin letter names is fetched."""
        return self._recipient.ticket(webhook_id)

    def wanted(self, domain: str, text: str) -> WantedToken:
        """Give what the vault is asked for a value."""
        recipient, event = self._recipient, self._event
        token = recipient.draw()
        return WantedToken(
            connector=self._route.connector,
            tenant=event.tenant,
            domain=domain,
            blind=recipient.blind(domain, text).hex(),
            token=token,
            sealed=recipient.seal(domain, token, text),
            subjects=self._desk.named(event),
        )

    @property
    def _recipient(self) -> Recipient:
        if self._made is None:
            self._made = self._desk.recipient(self._event.tenant, self._route)
        return self._made
