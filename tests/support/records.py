"""The audit log of a test's database, under keys of its own."""

from collections.abc import Awaitable, Callable
from types import MappingProxyType

from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.record import RecordKeys

KEYRING = Keyring("k1", MappingProxyType({"k1": b"1" * 32}))


async def forget(_note: str) -> None:
    return


def audit_of(database: Database, keep: Callable[[str], Awaitable[None]] = forget) -> AuditLog:
    return AuditLog(database, RecordKeys(KEYRING), keep)
