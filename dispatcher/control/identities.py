"""Who we are to partners, and who they are to us: client certificates, and what partners fetch by.

Called by `keys list`, beside signing keys, and by `revoking`. Our certificates are files of the
worker, so they are as the configuration of this process has them; what partners fetch by stands in
the registry. Nothing here opens a private key.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from dispatcher.control.means import Means
from dispatcher.model.days import DAY_US
from dispatcher.model.identity import ClientCertificate, choose_shown, state_of
from dispatcher.model.keys import KeyState
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Registry
from dispatcher.stages.revising.caller_keys import CallerKey, list_caller_keys
from dispatcher.store.registry import RegistryStore

_REVOKE: Final = "dispatcher keys revoke --identity {} --reason ..."
_STATES: Final = {
    ConnectorState.DRAFT: KeyState.PENDING,
    ConnectorState.ACTIVE: KeyState.ACTIVE,
    ConnectorState.RETIRED: KeyState.RETIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCertificate:
    """A client certificate as it stands now, and the destinations that ask for its identity."""

    certificate: ClientCertificate
    state: KeyState
    revoked_us: int | None
    age_days: int
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCaller:
    """What a partner fetches by, as it stands now: it counts while its connector is active."""

    key: CallerKey
    state: KeyState
    revoked_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An identity of a partner whose certificate was not revoked with the rest of theirs.

    Other `connectors` ask for it too, or no certificate of it can be read here.
    """

    identity: str
    fingerprint: str | None
    connectors: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called among the certificates of all identities."""
        return f"{self.identity}/{self.fingerprint}" if self.fingerprint else self.identity

    @property
    def why(self) -> str:
        """Say why it was left."""
        unread = "" if self.fingerprint else "no certificate of it can be read here"
        shared = f"asked for by {', '.join(self.connectors)}, too" if self.connectors else ""
        return "; ".join(filter(None, (unread, shared)))

    @property
    def fix(self) -> str:
        """Say what revokes it all the same."""
        if self.fingerprint:
            return _REVOKE.format(self.fingerprint)
        look = "openssl x509 -noout -fingerprint -sha256 -in FILE"
        return f"where its file lies: {look}; then {_REVOKE.format('SHA256')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityControl:
    """The client certificates of one configuration, and what the partners of one registry show."""

    registry: RegistryStore
    read: Callable[[], Sequence[ClientCertificate]]
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(registry=means.registry, read=means.certificates, wall_us=means.wall_us)

    async def list(self) -> tuple[list[ListedCertificate], list[ListedCaller]]:
        """List certificates whose files can be read, by name, and what partners fetch by.

        Nothing of our keys is opened.
        """
        found = await asyncio.to_thread(self.read)
        registry = (await self.registry.active()).registry
        revoked, now_us = await self.registry.revoked_identities(), self.wall_us()
        shown = choose_shown(found, revoked, now_us).values()
        certificates = [
            ListedCertificate(
                certificate=each,
                state=state_of(each, shown, revoked, now_us),
                revoked_us=revoked.get(each.fingerprint),
                age_days=max(0, now_us - each.not_before_us) // DAY_US,
                destinations=_users(registry, each.identity),
            )
            for each in sorted(set(found), key=lambda each: each.name)
        ]
        keys = list_caller_keys(registry.connectors)
        return certificates, [_listed(each, revoked) for each in keys]


def tell_apart(
    registry: Registry,
    connector: str,
    found: Collection[ClientCertificate],
    revoked: Collection[str],
) -> tuple[list[ClientCertificate], list[Left]]:
    """Give what this connector alone asks for, and what else it does, but for what is revoked.

    A certificate is shared with all who ask for an identity that has it, under whatever name.
    """
    asking = _asking(registry, connector)
    own: list[ClientCertificate] = []
    left: list[Left] = []
    for identity in sorted(name for name, those in asking.items() if connector in those):
        theirs = {each for each in found if each.identity == identity}
        if not theirs:
            left.append(_left(identity, None, asking[identity] - {connector}))
        for each in sorted(theirs, key=lambda each: each.fingerprint):
            if each.fingerprint in revoked:
                continue
            aliases = {e.identity for e in found if e.fingerprint == each.fingerprint}
            others = {name for alias in aliases for name in asking.get(alias, ())} - {connector}
            if others:
                left.append(_left(identity, each.fingerprint, others))
            else:
                own.append(each)
    return own, left


def _asking(registry: Registry, connector: str) -> Mapping[str, set[str]]:
    """Give who asks for each identity; another that is retired is sent nothing ever again."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in registry.connectors:
        if each.name == connector or each.state is not ConnectorState.RETIRED:
            for identity in {entry.tls.identity for entry in each.destinations} - {""}:
                found[identity].add(each.name)
    return found


def _left(identity: str, fingerprint: str | None, connectors: Iterable[str]) -> Left:
    return Left(identity=identity, fingerprint=fingerprint, connectors=tuple(sorted(connectors)))


def _listed(key: CallerKey, revoked: Mapping[str, int]) -> ListedCaller:
    revoked_us = revoked.get(key.fingerprint)
    state = KeyState.REVOKED if revoked_us is not None else _STATES[key.connector.state]
    return ListedCaller(key=key, state=state, revoked_us=revoked_us)


def _users(registry: Registry, identity: str) -> tuple[str, ...]:
    hosts = {
        f"{connector.name}: {each.host}"
        for connector in registry.connectors
        for each in connector.destinations
        if each.tls.identity == identity
    }
    return tuple(sorted(hosts))
