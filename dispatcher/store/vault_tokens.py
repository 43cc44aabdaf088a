"""The vault: what tokens drawn by chance stand for, and whom each is about, until they are erased.

Written by the worker before the letter that bears a token leaves, read when somebody turns one
back, emptied by erasures and for retired partners. What a token stands for lies sealed; it is found
again by a keyed hash. An erased token stays as a bare name, so that it is known for erased and can
never be given out again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.arrays import execute_rows, over_rows, unnest
from dispatcher.store.database import Database

# The update writes what is there already: it locks the row, so that no erasure comes between the
# token that is read here and the link that is written to it.
_CONFLICT: Final = """
ON CONFLICT (connector, tenant, domain, blind) DO UPDATE SET token = t.token
RETURNING connector, tenant, domain, blind, token
"""
_MINT_POSTGRESQL: Final = f"""
INSERT INTO {{vault_tokens}} AS t (connector, tenant, domain, blind, token, sealed, created_us)
SELECT u.*, {{now}} FROM {unnest("text", "text", "text", "text", "text", "bytea")}
    AS u(connector, tenant, domain, blind, token, sealed)
ORDER BY u.connector, u.tenant, u.domain, u.blind {_CONFLICT}
"""
_MINT_SQLITE: Final = f"""
INSERT INTO {{vault_tokens}} AS t (connector, tenant, domain, blind, token, sealed, created_us)
VALUES (:connector, :tenant, :domain, :blind, :token, :sealed, {{now}}) {_CONFLICT}
"""
_LINK: Final = """
INSERT INTO {vault_subjects} (subject, token) VALUES (:subject, :token) ON CONFLICT DO NOTHING
"""
_FIND: Final = """
SELECT tenant, connector, domain, sealed, erased_us FROM {vault_tokens} WHERE token = :token
"""
_KNOWN: Final = over_rows(
    """
SELECT t.domain, t.blind, t.token FROM {vault_tokens} t JOIN {rows}
ON t.connector = :connector AND t.tenant = :tenant AND t.domain = u.domain AND t.blind = u.blind
""",
    ("domain", "text"),
    ("blind", "text"),
)
# In the order in which they are minted, so that neither waits for the other for ever.
_OF_SUBJECT: Final = """
SELECT t.token FROM {vault_tokens} t JOIN {vault_subjects} s ON s.token = t.token
WHERE s.subject = :subject AND t.tenant = :tenant AND t.erased_us IS NULL
ORDER BY t.connector, t.tenant, t.domain, t.blind
"""
_IN_POSTGRESQL: Final = f"IN (SELECT {unnest('text')})"
_IN_SQLITE: Final = "IN (SELECT json_extract(value, '$[0]') FROM json_each(:rows))"
_ERASE: Final = """
UPDATE {{vault_tokens}} SET blind = NULL, sealed = NULL, erased_us = {{now}} WHERE token {}
"""
_SHARED: Final = """
SELECT count(DISTINCT token) FROM {{vault_subjects}} WHERE subject <> :subject AND token {}
"""
_UNLINK: Final = "DELETE FROM {{vault_subjects}} WHERE token {}"
_PURGE: Final = """
DELETE FROM {{vault_tokens}} WHERE token IN (
    SELECT token FROM {{vault_tokens}} WHERE connector {} LIMIT :limit)
RETURNING token
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedToken:
    """A value that wants a token. `token` and `sealed` are used where it has none yet.

    `subjects` are the pseudonyms of those the event is about.
    """

    connector: str
    tenant: str
    domain: str
    blind: str
    token: str
    sealed: bytes = field(repr=False)
    subjects: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What finds the same value again."""
        return self.connector, self.tenant, self.domain, self.blind


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it lies in the vault; nothing sealed is left of an erased one."""

    tenant: str
    connector: str
    domain: str
    sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure took: tokens, those of them that were about others too, and links."""

    tokens: int
    shared: int
    links: int


class VaultStore:
    """The vault of one outbox database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mint(self, wanted: Sequence[WantedToken]) -> list[str]:
        """Give each value its token, new or known, with a link to everybody it is about.

        Durable once this returns. Whoever asks for the same value at once is given the same.
        """
        first = {each.key: each for each in reversed(wanted)}
        async with self._database.begin() as connection:
            tokens = await self._tokens(connection, list(first.values()))
            links = {(subject, tokens[each.key]) for each in wanted for subject in each.subjects}
            rows = [{"subject": subject, "token": token} for subject, token in sorted(links)]
            await self._database.execute_many(connection, _LINK, rows)
        return [tokens[each.key] for each in wanted]

    async def find(self, token: str) -> StoredToken | None:
        """Read one token; `None` where the vault never gave it out, or its partner is retired."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _FIND, token=token)
            row = found.one_or_none()
        if row is None:
            return None
        sealed = bytes(row.sealed) if row.sealed is not None else None
        return StoredToken(row.tenant, row.connector, row.domain, sealed)

    async def known(
        self, connector: str, tenant: str, values: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], str]:
        """Give the tokens of those of these values, each a domain and a blind, that have one."""
        async with self._database.look() as connection:
            found = await execute_rows(
                self._database,
                connection,
                *_KNOWN,
                sorted(values),
                connector=connector,
                tenant=tenant,
            )
            return {(domain, blind): token for domain, blind, token in found}

    async def erase(self, tenant: str, subject: str) -> Erased:
        """Erase every token that is about a person, named by pseudonym, also where others share it.

        Nothing is left to erase the second time.
        """
        lock = "" if self._database.is_sqlite else " FOR UPDATE OF t"
        async with self._database.begin() as connection:
            found = await self._database.execute(
                connection, _OF_SUBJECT + lock, tenant=tenant, subject=subject
            )
            tokens = [row.token for row in found]
            if not tokens:
                return Erased(0, 0, 0)
            shared = await self._among(connection, _SHARED, tokens, subject=subject)
            count: int = shared.scalar_one()
            await self._among(connection, _ERASE, tokens)
            links = await self._among(connection, _UNLINK, tokens)
        return Erased(len(tokens), count, links.rowcount)

    async def purge(self, connectors: Iterable[str], *, rows_max: int) -> int:
        """Delete tokens of retired partners; give how many: fewer than `rows_max` when all are."""
        names = list(connectors)
        if not names:
            return 0
        async with self._database.begin() as connection:
            found = await self._among(connection, _PURGE, names, limit=rows_max)
            tokens = [row.token for row in found]
            if tokens:
                await self._among(connection, _UNLINK, tokens)
        return len(tokens)

    async def _tokens(
        self, connection: AsyncConnection, wanted: Sequence[WantedToken]
    ) -> dict[tuple[str, str, str, str], str]:
        found: list[Any] = []
        if self._database.is_sqlite:
            for each in wanted:
                terms = {name: getattr(each, name) for name in _NAMES}
                found += await self._database.execute(connection, _MINT_SQLITE, **terms)
        else:
            rows = [tuple(getattr(each, name) for name in _NAMES) for each in wanted]
            found += await execute_rows(self._database, connection, _MINT_POSTGRESQL, "", rows)
        return {(row[0], row[1], row[2], row[3]): row[4] for row in found}

    async def _among(
        self, connection: AsyncConnection, sql: str, names: Sequence[str], **terms: Any
    ) -> Any:
        """Run a statement about the rows of these names."""
        rows = [(name,) for name in names]
        # The braces of the tables' names are doubled, for this is not the last to fill them in.
        postgresql, sqlite = sql.format(_IN_POSTGRESQL), sql.format(_IN_SQLITE)
        return await execute_rows(self._database, connection, postgresql, sqlite, rows, **terms)


_NAMES: Final = ("connector", "tenant", "domain", "blind", "token", "sealed")
