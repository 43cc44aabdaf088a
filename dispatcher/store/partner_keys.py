"""The keys that partners publish: whose turn it is to fetch a set, and what was found in it.

Workers share one row for each set: a fetch is claimed for a time, like a delivery, so that no two
ask one partner at once. What was last found stays, for all workers and over a restart. A set that
is other than before bumps the policy's epoch, and is put on the record in the same transaction. A
key whose private half was ever published stays known as that. Called by `worker.key_fetcher`; read
by `control.partner_keys`.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.model.audit import Entry
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import LeaseToken
from dispatcher.model.key_set import EXPOSED_MAX, FoundKey, FoundKeys
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database
from dispatcher.store.epoch import announce, bump_epoch
from dispatcher.store.key_sets import found_key

EXPOSED: Final = "private_key_published"
REFRESH_US: Final = 60_000_000
"""How soon a set may be fetched again that lacks what is wanted of it."""
FORGOTTEN_US: Final = 90 * 86_400_000_000
"""How long a key is remembered that its partner no longer publishes."""
GONE_MAX: Final = 100
"""How many such keys are remembered: a partner may publish new ones every minute."""
_MAY: Final = """s.leased_until_us <= {now} AND (s.due_us <= {now} OR s.url <> excluded.url
        OR (CAST(:is_short AS integer) = 1 AND s.tried_us + :refresh_us <= {now}))"""
_CLAIM: Final = f"""
INSERT INTO {{partner_key_sets}} AS s
    (connector, url, good_us, tried_us, due_us, leased_until_us, holder, failures, fault)
VALUES (:connector, :url, 0, {{now}}, 0, {{now}} + CAST(:lease_us AS bigint), :token, 0, '')
ON CONFLICT (connector) DO UPDATE SET
    holder = CASE WHEN {_MAY} THEN excluded.holder ELSE s.holder END,
    tried_us = CASE WHEN {_MAY} THEN excluded.tried_us ELSE s.tried_us END,
    leased_until_us = CASE WHEN {_MAY} THEN excluded.leased_until_us ELSE s.leased_until_us END
RETURNING holder, failures, due_us - {{now}} AS wait_us
"""
_END: Final = """
UPDATE {partner_key_sets} SET holder = '', leased_until_us = 0, due_us = {now} + :wait_us,
    failures = failures + 1, fault = :fault
WHERE connector = :connector AND holder = :token
"""
_GIVE_BACK: Final = """
UPDATE {partner_key_sets} SET holder = '', leased_until_us = 0
WHERE connector = :connector AND holder = :token
"""
_GOOD: Final = """
UPDATE {partner_key_sets} SET holder = '', leased_until_us = 0, url = :url, good_us = {now},
    due_us = {now} + :wait_us, failures = 0, fault = :fault
WHERE connector = :connector AND holder = :token
"""
_UNLIST: Final = "UPDATE {partner_keys} SET place = NULL WHERE connector = :connector"
_LIST: Final = """
INSERT INTO {partner_keys} (connector, thumbprint, kid, jwk, is_for_encryption, place,
    first_seen_us, fetched_us)
VALUES (:connector, :thumbprint, :kid, :jwk, :is_for_encryption, :place, {now}, {now})
ON CONFLICT (connector, thumbprint) DO UPDATE SET kid = excluded.kid, jwk = excluded.jwk,
    is_for_encryption = excluded.is_for_encryption, place = excluded.place,
    fetched_us = excluded.fetched_us
"""
_EXPOSE: Final = """
INSERT INTO {partner_keys} (connector, thumbprint, kid, jwk, is_for_encryption, first_seen_us,
    fetched_us, exposed_us)
VALUES (:connector, :thumbprint, :kid, '', :is_for_encryption, {now}, {now}, {now})
ON CONFLICT (connector, thumbprint) DO UPDATE SET place = NULL, exposed_us = excluded.exposed_us
"""
_FORGET: Final = """
DELETE FROM {partner_keys} WHERE connector = :connector AND place IS NULL AND exposed_us IS NULL
    AND (fetched_us < {now} - :forgotten_us OR thumbprint NOT IN (
        SELECT thumbprint FROM {partner_keys}
        WHERE connector = :connector AND place IS NULL AND exposed_us IS NULL
        ORDER BY fetched_us DESC, thumbprint LIMIT :gone_max))
"""
_SET: Final = "SELECT url, fault FROM {partner_key_sets} WHERE connector = :connector"
_KNOWN: Final = """
SELECT thumbprint, kid, jwk, is_for_encryption, place, exposed_us FROM {partner_keys}
WHERE connector = :connector ORDER BY place
"""
_FETCHING: Final = """
SELECT tried_us, due_us, failures, fault FROM {partner_key_sets} WHERE connector = :connector
"""
_BURNED: Final = """
SELECT thumbprint, kid, first_seen_us, exposed_us FROM {partner_keys}
WHERE connector = :connector AND exposed_us IS NOT NULL ORDER BY exposed_us DESC, thumbprint
"""


class Fetching(NamedTuple):
    """When a set was last asked for and will be next, how often in a row that failed, and why."""

    tried_us: int
    due_us: int
    failures: int
    fault: str


class ExposedKey(NamedTuple):
    """A key whose private half was published: by its thumbprint, and the kid it had."""

    thumbprint: str
    kid: str
    first_seen_us: int
    exposed_us: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to fetch one set, for a time; or, where it is not ours, how long to wait."""

    connector: str
    url: str
    token: LeaseToken
    is_ours: bool
    failures: int
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class _Known:
    """What lies there of one connector: where it was found, the listed keys, the exposed ones."""

    url: str
    fault: str
    listed: tuple[FoundKey, ...]
    seen: frozenset[str]
    exposed: frozenset[str]


class PartnerKeyStore:
    """The sets of keys in one registry database."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def claim(
        self, connector: str, url: str, token: LeaseToken, lease_us: int, *, is_short: bool
    ) -> Claim:
        """Take the next fetch where it is due; it is sooner due where the set is `is_short`."""
        terms = {"connector": connector, "url": url, "token": token, "lease_us": lease_us}
        async with self._database.single() as connection:
            found = await self._database.execute(
                connection, _CLAIM, **terms, is_short=int(is_short), refresh_us=REFRESH_US
            )
            row = found.one()
        wait = max(row.wait_us, 0) / 1_000_000
        return Claim(connector, url, token, row.holder == token, row.failures, wait)

    async def give_back(self, claim: Claim) -> None:
        """End a fetch of which nothing came by our own choice."""
        async with self._database.single() as connection:
            await self._database.execute(
                connection, _GIVE_BACK, connector=claim.connector, token=claim.token
            )

    async def fail(self, claim: Claim, fault: str, wait_us: int) -> None:
        """End a fetch that failed: what was found before stays, for a time."""
        async with self._database.single() as connection:
            await self._database.execute(
                connection,
                _END,
                connector=claim.connector,
                token=claim.token,
                fault=fault,
                wait_us=wait_us,
            )

    async def record(self, claim: Claim, found: FoundKeys, wait_us: int) -> bool:
        """Keep what was found, for every worker; say whether it is other than before.

        Raises `Conflict` where the claim is no longer ours: somebody else is at it.
        """
        known = await self._known(claim.connector)
        new = [each for each in found.exposed if each.thumbprint not in known.exposed]
        exposed = tuple(new[: max(EXPOSED_MAX - len(known.exposed), 0)])
        burned = known.exposed | {each.thumbprint for each in exposed}
        listed = tuple(each for each in found.keys if each.thumbprint not in burned)
        fault = EXPOSED if found.is_exposed else ""
        good = {
            "connector": claim.connector,
            "token": claim.token,
            "url": claim.url,
            "wait_us": wait_us,
            "fault": fault,
        }
        is_newly_exposed = found.is_exposed and (known.fault != EXPOSED or burned != known.exposed)
        if (known.url, known.listed) == (claim.url, listed) and not is_newly_exposed:
            async with self._database.single() as connection:
                await self._database.execute(connection, _GOOD, **good)
            return False
        async with self._audit.recording() as recording:
            connection = recording.connection
            won = await self._database.execute(connection, _GOOD, **good)
            if not won.rowcount:
                raise Conflict("somebody else fetches this set by now", code="claim_lost")
            await self._write(connection, claim.connector, listed, exposed)
            epoch = (await bump_epoch(self._database, connection)).epoch
            recording.note(_entry(claim, known, listed, found, epoch))
            await announce(self._database, connection)
        return True

    async def fetching(self, connector: str) -> Fetching | None:
        """Say how the fetching of a set goes; nothing where it was never asked for."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _FETCHING, connector=connector)
            row = found.one_or_none()
        return Fetching(*row) if row is not None else None

    async def exposed(self, connector: str) -> list[ExposedKey]:
        """List a partner's keys whose private half it ever published, the latest first."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _BURNED, connector=connector)
            return [ExposedKey(*row) for row in found]

    async def _known(self, connector: str) -> _Known:
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _SET, connector=connector)
            row = found.one_or_none()
            keys = list(await self._database.execute(connection, _KNOWN, connector=connector))
        exposed = frozenset(each.thumbprint for each in keys if each.exposed_us is not None)
        listed = (each for each in keys if each.place is not None)
        return _Known(
            url=row.url if row is not None else "",
            fault=row.fault if row is not None else "",
            listed=tuple(found_key(each) for each in listed if each.thumbprint not in exposed),
            seen=frozenset(each.thumbprint for each in keys),
            exposed=exposed,
        )

    async def _write(
        self,
        connection: AsyncConnection,
        connector: str,
        listed: tuple[FoundKey, ...],
        exposed: tuple[FoundKey, ...],
    ) -> None:
        database = self._database
        await database.execute(connection, _UNLIST, connector=connector)
        rows = [
            {
                "connector": connector,
                "thumbprint": each.thumbprint,
                "kid": each.kid,
                "jwk": each.jwk,
                "is_for_encryption": each.is_for_encryption,
                "place": place,
            }
            for place, each in enumerate(listed)
        ]
        await database.execute_many(connection, _LIST, rows)
        burned = [
            {
                "connector": connector,
                "thumbprint": each.thumbprint,
                "kid": each.kid,
                "is_for_encryption": each.is_for_encryption,
            }
            for each in exposed
        ]
        await database.execute_many(connection, _EXPOSE, burned)
        terms = {"forgotten_us": FORGOTTEN_US, "gone_max": GONE_MAX}
        await database.execute(connection, _FORGET, connector=connector, **terms)


def _entry(
    claim: Claim, known: _Known, listed: tuple[FoundKey, ...], found: FoundKeys, epoch: int
) -> Entry:
    now = [each.thumbprint for each in listed]
    return Entry(
        kind="partner_keys.exposed" if found.is_exposed else "partner_keys.found",
        actor="dispatcher",
        about=f"connector {claim.connector}",
        detail={
            "listed": now,
            "first_seen": [each for each in now if each not in known.seen],
            "gone": [each.thumbprint for each in known.listed if each.thumbprint not in now],
            "exposed": [each.thumbprint for each in found.exposed],
            "refused": list(found.refused),
            "epoch": epoch,
        },
    )
