"""Tickets of thin letters, and the reads they are good for.

A ticket is issued by `ledger`, with the letter that bears it; here it is looked up, and each read
is counted and put into the ledger in one transaction, before a byte is answered. Reads of a
delivery are numbered downwards from -1, so they never meet its attempts, and no statement of the
road touches them. Called by `worker.reader` and `worker.upkeep`, and by `control.keys` to end what
was issued. Of a ticket only its hash is here.
"""

from dataclasses import dataclass
from typing import Any, Final

from dispatcher.model.delivery import Outcome, State
from dispatcher.model.ids import DeliveryId, LeaseToken
from dispatcher.model.letter import Leased
from dispatcher.model.ticket import Ticket
from dispatcher.store.database import Database
from dispatcher.store.ledger import KEPT, NAMES, Disclosure, LedgerStore
from dispatcher.store.rows import (
    DELIVERY_COLUMNS,
    EVENT_COLUMNS,
    PayloadOpener,
    event_from,
    leased_from,
)

READ_LOST: Final = "read_lost"
FOREVER: Final = float("inf")

_FIND: Final = """
SELECT webhook_id, delivery_id, sha256, connector, subscription, scope_id, uses_max, reads,
       {now} - issued_us AS age_us, expires_us - {now} AS left_us
FROM {tickets} WHERE webhook_id = :webhook_id
"""
_LOAD: Final = f"""
SELECT {EVENT_COLUMNS}, {DELIVERY_COLUMNS}
FROM {{deliveries}} d JOIN {{events}} e ON e.seq = d.event_seq
WHERE d.id = :delivery_id AND d.state <> :dropped
"""
_COUNT: Final = """
UPDATE {tickets} SET reads = reads + 1
WHERE webhook_id = :webhook_id AND delivery_id = :delivery_id
    AND reads < uses_max AND reads < :uses_max AND expires_us > {now}
RETURNING reads
"""
_READ: Final = f"""
INSERT INTO {{disclosures}} ({", ".join(KEPT)}, worker, begun_us, caller, caller_address)
VALUES ({", ".join(f":{name}" for name in KEPT)}, :worker, {{now}}, :caller, :caller_address)
"""
_COMPLETE: Final = """
UPDATE {disclosures} SET outcome = :outcome, status = :status, code = :code, ended_us = {now}
WHERE delivery_id = :delivery_id AND attempt = :attempt AND outcome IS NULL
"""
_LOSE: Final = """
UPDATE {disclosures} SET outcome = :outcome, code = :code, ended_us = {now}
WHERE attempt < 0 AND outcome IS NULL AND begun_us < {now} - :silent_us
"""
_REVOKE: Final = """
UPDATE {tickets} SET expires_us = {now} WHERE connector = :connector AND expires_us > {now}
"""
_SHOW: Final = """
INSERT INTO {shown_signatures} (id, shown_us) VALUES (:id, {now})
ON CONFLICT DO NOTHING RETURNING id
"""
_FORGET_SHOWN: Final = "DELETE FROM {shown_signatures} WHERE shown_us < {now} - :kept_us"


@dataclass(frozen=True, slots=True)
class Read:
    """A read about to be answered: what it discloses, and who came for it.

    `caller` names the credential, and `uses_max` is what today's policy allows at most.
    """

    disclosure: Disclosure
    caller: str
    address: str
    uses_max: int


class TicketStore:
    """The tickets of one outbox database."""

    def __init__(
        self, database: Database, open_payload: PayloadOpener, ledger: LedgerStore
    ) -> None:
        self._database = database
        self._open_payload = open_payload
        self._ledger = ledger

    async def find(self, webhook_id: str) -> Ticket | None:
        """Look a ticket up by what it is for."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _FIND, webhook_id=webhook_id)
            row = found.one_or_none()
        return Ticket(*row) if row is not None else None

    async def load(self, ticket: Ticket) -> Leased | None:
        """Give the delivery that a ticket is for, its payload opened, as if leased for ever.

        What somebody dropped is not given, whatever was told of it before.

        No lease is taken: a read neither waits for the road nor stands in its way.
        """
        async with self._database.look() as connection:
            found = await self._database.execute(
                connection, _LOAD, delivery_id=ticket.delivery_id, dropped=State.DROPPED.value
            )
            row = found.one_or_none()
        if row is None:
            return None
        return leased_from(row, LeaseToken(""), FOREVER, self._event)

    async def take(self, read: Read) -> int | None:
        """Count a read and write its disclosure durably; give its number, or `None`: none is left.

        Of two that come for the last one, one gets it.
        """
        await self._ledger.remember([read.disclosure])
        row = dict(zip(NAMES, self._ledger.row(read.disclosure), strict=True))
        del row["token"]
        async with self._database.begin() as connection:
            counted = await self._database.execute(
                connection,
                _COUNT,
                webhook_id=row["webhook_id"],
                delivery_id=row["delivery_id"],
                uses_max=read.uses_max,
            )
            number: int | None = counted.scalar_one_or_none()
            if number is None:
                return None
            row |= {"attempt": -number, "caller": read.caller, "caller_address": read.address}
            await self._database.execute(connection, _READ, worker=self._ledger.worker, **row)
        return number

    async def complete(
        self,
        delivery_id: DeliveryId,
        number: int,
        outcome: Outcome,
        *,
        status: int | None,
        code: str,
    ) -> None:
        """Say how a read ended, unless it was given up as lost meanwhile."""
        async with self._database.single() as connection:
            await self._database.execute(
                connection,
                _COMPLETE,
                delivery_id=delivery_id,
                attempt=-number,
                outcome=outcome.value,
                status=status,
                code=code or None,
            )

    async def lose_reads(self, silent_us: int) -> int:
        """Call reads unknown that nobody completed for so long; give how many there were."""
        async with self._database.single() as connection:
            done = await self._database.execute(
                connection,
                _LOSE,
                outcome=Outcome.UNKNOWN.value,
                code=READ_LOST,
                silent_us=silent_us,
            )
            return done.rowcount

    async def show(self, signature_id: str) -> bool:
        """Note that a signature was shown; `False` when it was before, to whichever process."""
        async with self._database.single() as connection:
            done = await self._database.execute(connection, _SHOW, id=signature_id)
            return done.scalar_one_or_none() is not None

    async def forget_signatures(self, kept_us: int) -> None:
        """Forget signatures too old to be shown again."""
        async with self._database.single() as connection:
            await self._database.execute(connection, _FORGET_SHOWN, kept_us=kept_us)

    def _event(self, row: Any) -> Any:
        return event_from(row, self._open_payload, is_filed=True)


async def revoke_tickets(database: Database, connector: str) -> int:
    """End the tickets of a partner that still count; give how many there were."""
    async with database.single() as connection:
        done = await database.execute(connection, _REVOKE, connector=connector)
        return done.rowcount
