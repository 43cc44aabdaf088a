"""Changes what may flow: a set of registry files becomes the next revision.

Called by the `apply` command. Everything is judged before anything is written. With one approval
configured (a laptop) the revision is activated at once; otherwise a second person must approve.
New subscriptions get a signing secret here, which is shown once and kept sealed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dispatcher.control.documents import invalid, read_registry
from dispatcher.model.errors import ApprovalRequired
from dispatcher.model.ids import Epoch, Revision
from dispatcher.model.registry import Registry
from dispatcher.stages.revising.faults import find_faults
from dispatcher.stages.sealing.signature import fingerprint, format_secret
from dispatcher.store.catalogue import CatalogueStore
from dispatcher.store.registry import NewRevision, RegistryStore, StoredKey
from dispatcher.vault.places import signing_key_place
from dispatcher.vault.sealer import Vault


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did. `secrets` are the new subscriptions' signing secrets, shown this once."""

    revision: Revision
    epoch: Epoch
    is_changed: bool
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionControl:
    """Applies registry files to one registry, and keeps one outbox's catalogue current."""

    registry: RegistryStore
    catalogue: CatalogueStore
    vault: Vault
    approvals: int
    loopback: frozenset[tuple[str, int]]
    mint_secret: Callable[[], bytes]

    async def apply(self, paths: Iterable[Path], *, author: str, reason: str) -> Applied:
        """Make the files' content the active revision.

        Raises `RegistryInvalid` with every fault, `ApprovalRequired` when one person is not enough,
        `Conflict` when another revision became active meanwhile.
        """
        paths = tuple(paths)
        registry = read_registry(paths)
        faults = find_faults(registry, self.loopback)
        if faults:
            raise invalid(faults, paths)
        base = await self.registry.active()
        if registry == base.registry:
            await self.catalogue.publish(registry.event_types, base.revision)
            return Applied(base.revision, base.epoch, is_changed=False)
        if self.approvals > 1:
            raise ApprovalRequired(
                f"{self.approvals} people must agree on a change of the registry",
                where="registry.approvals",
                fix="on a laptop, 'dispatcher init --dev' allows one person to apply alone",
            )
        secrets, keys = await self._new_keys(registry)
        new = NewRevision(
            base=base, registry=registry, author=author, approver=author, reason=reason
        )
        revision, epoch = await self.registry.activate(new, keys)
        await self.catalogue.publish(registry.event_types, revision)
        return Applied(revision, epoch, is_changed=True, secrets=secrets)

    async def _new_keys(self, registry: Registry) -> tuple[dict[str, str], list[StoredKey]]:
        have = {key.subscription for key in await self.registry.keys()}
        secrets: dict[str, str] = {}
        keys: list[StoredKey] = []
        for subscription in registry.subscriptions:
            if subscription.name in have:
                continue
            secret = self.mint_secret()
            name = fingerprint(secret)
            sealed = self.vault.seal(secret, signing_key_place(subscription.name, name))
            keys.append(StoredKey(subscription.name, name, sealed))
            secrets[subscription.name] = format_secret(secret)
        return secrets, keys
