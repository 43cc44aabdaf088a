"""Erases one person from the vault: what tokens about them stood for, and that they were theirs.

Called by `erase`. The rows go first; then the erasure is counted with the policy's epoch, and the
answer waits until every worker obeys it: none remembers the tokens by then, and no letter that
bears one can still begin. It is put on the record before and after, by pseudonym. What it does not
touch: the ledger's pseudonyms, which are the proof of what left, and payloads within retention.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from dispatcher.control.confirming import confirmed
from dispatcher.control.legal_holds import require_unheld
from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.control.texts import require_reason
from dispatcher.model.audit import Entry
from dispatcher.model.people import Principal, Right
from dispatcher.store.audit import AuditLog
from dispatcher.store.registry import RegistryStore
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.store.workers import WorkerStore
from dispatcher.vault.sealer import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedPerson:
    """What an erasure took, of somebody named by the pseudonym that the ledger has.

    `shared` of the tokens were about others too, whose next event gets a new one.
    """

    subject: str
    tokens: int
    shared: int
    links: int
    epoch: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasing:
    """Erases people from one outbox's vault."""

    registry: RegistryStore
    workers: WorkerStore
    tokens: VaultStore
    audit: AuditLog
    vault: Vault
    wall_us: Callable[[], int]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            registry=means.registry,
            workers=means.workers,
            tokens=VaultStore(means.outbox_database),
            audit=means.audit,
            vault=means.vault,
            wall_us=means.wall_us,
        )

    async def erase(
        self, tenant: str, subject: str, *, reason: str, by: Principal, wait_seconds: float
    ) -> ErasedPerson:
        """Erase a person of a tenant, and return once no worker can still give out their tokens.

        To do it again erases what has come since. Raises `Conflict` (`legal_hold`), with nothing
        erased, and `NotConfirmed` when workers have not answered in time: the rows are gone all the
        same.
        """
        require(by, Right.ERASE)
        require_reason(reason)
        await require_unheld(self.registry, tenant, self.wall_us())
        name = self.vault.pseudonym(tenant, subject)
        terms = {"actor": by.name, "about": f"subject {name}", "reason": reason}
        await self.audit.record(Entry(kind="subject.erasing", detail={"tenant": tenant}, **terms))
        erased = await self.tokens.erase(tenant, name)
        counts = {"tokens": erased.tokens, "shared": erased.shared, "links": erased.links}
        done = Entry(kind="subject.erased", detail={"tenant": tenant, **counts}, **terms)
        epoch = await self.registry.note_erased(done)
        rows = await confirmed(
            self.workers,
            epoch,
            wait_seconds,
            done=f"{erased.tokens} tokens are erased",
            code="erasure_unconfirmed",
        )
        return ErasedPerson(subject=name, epoch=epoch, workers=len(rows), **counts)
