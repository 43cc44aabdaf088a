"""What keeps the key of keys, and is asked to wrap and unwrap: the keyring file, AWS KMS, Vault.

Asked by `epochs`, at most once for a key and a cache's lifetime. Every call binds the context, so a
wrapped key that was moved to another tenant or name does not unwrap. A provider raises
`KeyUnavailable` where asking again later may help, and `KeyMissing` where it will not; it shows no
key to anybody, and never falls back to another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from dispatcher.model.errors import KeyMissing

REGISTRY_PURPOSE: Final = "registry"
RECORDS_PURPOSE: Final = "records"


class KeyContext(NamedTuple):
    """Whose key it is, and which: what a wrapped key is bound to."""

    tenant: str
    epoch: str

    @property
    def texts(self) -> dict[str, str]:
        """The context as services take it: names and texts, none of them empty."""
        if not self.tenant:
            return {"epoch": self.epoch, "purpose": REGISTRY_PURPOSE}
        return {"tenant": self.tenant, "epoch": self.epoch, "purpose": RECORDS_PURPOSE}


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A key that only its provider can open; `kek` says which, and which of its keys closed it."""

    blob: bytes = field(repr=False)
    kek: str


class KeyProvider(Protocol):
    """Wraps and unwraps 256-bit keys under a key that it keeps."""

    name: str

    async def generate(self, context: KeyContext) -> tuple[bytes, Wrapped]:
        """Give a fresh key, and the same key wrapped."""

    async def wrap(self, key: bytes, context: KeyContext) -> Wrapped:
        """Wrap a key."""

    async def unwrap(self, wrapped: Wrapped, context: KeyContext) -> bytes:
        """Open a key that this provider wrapped in the same context."""

    async def rewrap(self, wrapped: Wrapped, context: KeyContext) -> Wrapped:
        """Wrap a key anew under the newest key of this provider; it need not be seen for that."""

    async def rotate(self) -> str:
        """Make a new key of keys, under which everything is wrapped from now on; give its name."""

    async def describe(self) -> str:
        """Say for people which key wraps now. Raises where it is not fit for that."""


class KeyProviders:
    """The provider that wraps, and those that only open what they wrapped before."""

    def __init__(self, primary: KeyProvider, *others: KeyProvider) -> None:
        self.primary = primary
        self._by_name: Mapping[str, KeyProvider] = {each.name: each for each in (*others, primary)}

    async def unwrap(self, wrapped: Wrapped, context: KeyContext) -> bytes:
        """Open a key by whichever provider wrapped it."""
        return await self._of(wrapped).unwrap(wrapped, context)

    async def rewrap(self, wrapped: Wrapped, context: KeyContext) -> Wrapped:
        """Wrap a key anew under the primary provider, whichever wrapped it before."""
        provider = self._of(wrapped)
        if provider is self.primary:
            return await provider.rewrap(wrapped, context)
        return await self.primary.wrap(await provider.unwrap(wrapped, context), context)

    def _of(self, wrapped: Wrapped) -> KeyProvider:
        name = wrapped.kek.partition(":")[0]
        provider = self._by_name.get(name)
        if provider is None:
            raise KeyMissing(
                f"a key is wrapped by {name}, which the configuration does not name",
                where="vault.provider",
                fix="configure that provider too, until 'dispatcher vault rewrap' is done",
            )
        return provider
