"""Names to addresses. Addresses only: whether they may be dialled is for the gates to say.

`app` makes one for each worker, and one for each question of `explain`, with the way of asking that
the configuration names. A worker asks once per attempt, before the gates vet the whole answer;
proofs of ownership ask for texts. Where a way of asking fails there is no other one. It must never
connect to a partner, and never give a name for an address.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network.lookups import FAILED, Ask, Lookups, is_literal
from dispatcher.network.machine_names import MachineNames
from dispatcher.network.name_servers import NameServers
from dispatcher.network.settings import ResolverSettings


class Resolver:
    """A resolver: ordinary names, names that may be private, and texts."""

    def __init__(self, settings: ResolverSettings, *, clock: Callable[[], float]) -> None:
        self._machine = MachineNames()
        servers = NameServers(settings.name_servers, dns_seconds=settings.dns_seconds)
        private = NameServers(settings.private_name_servers, dns_seconds=settings.dns_seconds)
        ask = self._machine.addresses if settings.is_system else servers.addresses
        self._ordinary = _lookups(ask, settings, clock)
        self._private = (
            _lookups(private.addresses, settings, clock)
            if settings.private_name_servers
            else self._ordinary
        )
        self._servers = servers

    async def resolve(self, host: str, *, is_private: bool = False) -> Resolved | Trouble:
        """Give every address of a host, or say why there is none."""
        return await (self._private if is_private else self._ordinary).resolve(host)

    async def texts(self, name: str) -> tuple[str, ...] | Trouble:
        """Give the texts that stand under a name now; they are not remembered."""
        return await self._servers.texts(name)

    def forget(self) -> None:
        """Drop remembered answers: the registry has changed."""
        self._ordinary.forget()
        self._private.forget()

    def close(self) -> None:
        """Answer nothing any more."""
        self._ordinary.close()
        self._private.close()
        self._machine.close()


@dataclass(frozen=True, slots=True)
class StaticResolver:
    """Answers from tables, for drills: the demonstration, the bench and tests."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    async def resolve(
        self,
        host: str,
        *,
        is_private: bool = False,  # noqa: ARG002 - one table for all
    ) -> Resolved | Trouble:
        """Give the listed addresses; a name that is not listed does not exist."""
        listed = (host,) if is_literal(host) else self.names.get(host)
        return Resolved(listed) if listed else FAILED

    async def texts(self, name: str) -> tuple[str, ...] | Trouble:
        """Give the listed texts."""
        return self.text_names.get(name, ())

    def forget(self) -> None:
        """Nothing is remembered."""


def _lookups(ask: Ask, settings: ResolverSettings, clock: Callable[[], float]) -> Lookups:
    return Lookups(
        ask, dns_seconds=settings.dns_seconds, cache_seconds=settings.cache_seconds, clock=clock
    )
