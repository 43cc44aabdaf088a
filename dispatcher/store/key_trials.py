"""Trials of new signing keys: whose turn one is, when the next, how often a key was proven.

Workers share one row for each key that is tried at an endpoint: a trial is claimed for a time, like
a delivery, so that two do not ask one endpoint at once and a killed one blocks nobody. What a key
proved at another endpoint counts for nothing. Called by `worker.key_trials`; read by whoever lists
keys. The keys themselves are `signing_keys`, and it is not here that one ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.ids import LeaseToken
from dispatcher.store.database import Database
from dispatcher.store.signing_keys import StoredKey

_CLAIM: Final = """
INSERT INTO {key_trials} AS t
    (subscription, fingerprint, endpoint, due_us, failures, proofs, fault, holder)
VALUES (:subscription, :fingerprint, :endpoint, {now} + CAST(:lease_us AS bigint), 0, 0, '', :token)
ON CONFLICT (subscription, fingerprint) DO UPDATE SET
    endpoint = excluded.endpoint,
    proofs = CASE WHEN t.endpoint = excluded.endpoint THEN t.proofs ELSE 0 END,
    holder = CASE WHEN t.due_us <= {now} THEN excluded.holder ELSE t.holder END,
    due_us = CASE WHEN t.due_us <= {now} THEN excluded.due_us ELSE t.due_us END
RETURNING holder, failures, proofs, due_us - {now} AS wait_us
"""
_END: Final = """
UPDATE {key_trials} SET holder = '', due_us = {now} + CAST(:wait_us AS bigint),
    failures = :failures, proofs = :proofs, fault = :fault
WHERE subscription = :subscription AND fingerprint = :fingerprint AND endpoint = :endpoint
    AND holder = :token
"""
_PUT_OFF: Final = """
INSERT INTO {key_trials}
    (subscription, fingerprint, endpoint, due_us, failures, proofs, fault, holder)
VALUES (:subscription, :fingerprint, '', :due_us, 0, 0, '', '')
"""
_READ: Final = "SELECT subscription, fingerprint, proofs, fault FROM {key_trials}"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to try one key at its endpoint; or, where it is not ours, how long to wait.

    `proofs` and `failures` are how many came before it in a row.
    """

    subscription: str
    fingerprint: str
    endpoint: str
    token: LeaseToken
    is_ours: bool
    failures: int
    proofs: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How often in a row an endpoint has proven a key, and why it did not when last asked."""

    proofs: int = 0
    fault: str = ""


class KeyTrialStore:
    """The trials of one registry's keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, subscription: str, fingerprint: str, endpoint: str, token: LeaseToken, lease_us: int
    ) -> Claim:
        """Take the next trial where it is due."""
        key = {"subscription": subscription, "fingerprint": fingerprint, "endpoint": endpoint}
        async with self._database.single() as connection:
            found = await self._database.execute(
                connection, _CLAIM, **key, token=token, lease_us=lease_us
            )
            row = found.one()
        is_ours = row.holder == token
        wait = max(row.wait_us, 0) / 1_000_000
        return Claim(
            **key,
            token=token,
            is_ours=is_ours,
            failures=row.failures,
            proofs=row.proofs,
            wait_seconds=wait,
        )

    async def give_back(self, claim: Claim) -> None:
        """End a trial of which nothing came by our own choice: the next one is due at once."""
        await self._end(claim, 0, failures=claim.failures, proofs=claim.proofs)

    async def fail(self, claim: Claim, fault: str, wait_us: int) -> bool:
        """End a trial that proved nothing, and say when the next is due; false if not ours."""
        return await self._end(claim, wait_us, failures=claim.failures + 1, fault=fault)

    async def prove(self, claim: Claim, wait_us: int) -> bool:
        """Count one more proof, and say when the next trial is due; false where it is not ours."""
        return await self._end(claim, wait_us, proofs=claim.proofs + 1)

    async def standings(self) -> Mapping[tuple[str, str], Standing]:
        """Read how the trials stand, by subscription and fingerprint."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _READ)
            return {
                (row.subscription, row.fingerprint): Standing(row.proofs, row.fault)
                for row in found
            }

    async def _end(
        self, claim: Claim, wait_us: int, *, failures: int = 0, proofs: int = 0, fault: str = ""
    ) -> bool:
        async with self._database.single() as connection:
            done = await self._database.execute(
                connection,
                _END,
                subscription=claim.subscription,
                fingerprint=claim.fingerprint,
                endpoint=claim.endpoint,
                token=claim.token,
                wait_us=wait_us,
                failures=failures,
                proofs=proofs,
                fault=fault,
            )
            return bool(done.rowcount)


async def put_off_trial(
    database: Database, connection: AsyncConnection, key: StoredKey, until_us: int
) -> None:
    """Have nobody try a new key before this moment, in the transaction that makes it."""
    await database.execute(
        connection,
        _PUT_OFF,
        subscription=key.subscription,
        fingerprint=key.fingerprint,
        due_us=until_us,
    )
