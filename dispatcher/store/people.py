"""Principals and their tokens. Of a token only its id and the hash of its secret are kept.

Written by `control.people` alone. The first principal of a registry is made without anybody's
leave, so that one statement decides, under a lock, whether there is one already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy.exc import IntegrityError

from dispatcher.model.audit import Entry
from dispatcher.model.errors import Conflict, NotFound
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.store.audit import AuditLog, Recording
from dispatcher.store.database import Database

_LOCK: Final = "UPDATE {policy} SET revision = revision WHERE id = 1"
_COUNT: Final = "SELECT count(*) FROM {principals}"
_ADD: Final = """
INSERT INTO {principals} (name, kind, roles, created_us, created_by)
VALUES (:name, :kind, :roles, {now}, :by)
"""
_PRINCIPALS: Final = """
SELECT name, kind, roles FROM {principals} WHERE name > :after ORDER BY name LIMIT :limit
"""
_PRINCIPAL: Final = "SELECT name, kind, roles FROM {principals} WHERE name = :name"
_ISSUE: Final = """
INSERT INTO {tokens} (id, principal, secret_sha256, created_us, created_by, expires_us, tenant)
VALUES (:id, :principal, :secret_sha256, {now}, :by, {now} + :life_us, :tenant)
"""
_FIND: Final = """
SELECT t.principal, t.tenant, t.secret_sha256, t.revoked_us, t.expires_us <= {now} AS is_expired,
    p.kind, p.roles, p.created_by AS added_by, t.created_by AS issued_by
FROM {tokens} t JOIN {principals} p ON p.name = t.principal WHERE t.id = :id
"""
_ISSUED: Final = """
SELECT id, principal, tenant, created_us, created_by, expires_us, revoked_us, revoked_by
FROM {tokens}
WHERE id > :after AND (CAST(:principal AS text) IS NULL OR principal = :principal)
ORDER BY id LIMIT :limit
"""
_REVOKE: Final = """
UPDATE {tokens} SET revoked_us = {now}, revoked_by = :by WHERE id = :id AND revoked_us IS NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token about to be written: good for `life_us` from then, for all tenants or for one."""

    id: str
    principal: str
    secret_sha256: str
    life_us: int
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it lies in the database, with whom it belongs to."""

    principal: Principal
    secret_sha256: str
    is_expired: bool
    is_revoked: bool


class PeopleStore:
    """The people of one registry."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def add(self, principal: Principal, token: NewToken, *, by: str | None) -> None:
        """Add a principal with a first token; without `by` only where there is none yet.

        Raises `Conflict` (`principal_exists`, or `people_exist` for a second first one).
        """
        author = by or principal.name
        try:
            async with self._audit.recording() as recording:
                connection = recording.connection
                await self._database.execute(connection, _LOCK)
                count = (await self._database.execute(connection, _COUNT)).scalar_one()
                if by is None and count:
                    raise Conflict(
                        "there are principals already, so one of them must add the next",
                        where="DISPATCHER_TOKEN",
                        fix="set it to a token of somebody with the role admin",
                        code="people_exist",
                    )
                await self._database.execute(
                    connection,
                    _ADD,
                    name=principal.name,
                    kind=principal.kind.value,
                    roles=msgspec.json.encode(sorted(principal.roles)).decode(),
                    by=author,
                )
                roles = {"principal_kind": principal.kind.value, "roles": sorted(principal.roles)}
                about = f"principal {principal.name}"
                recording.note(
                    Entry(kind="principal.added", actor=author, about=about, detail=roles)
                )
                await self._issue(recording, token, author)
        except IntegrityError:
            raise Conflict(
                f"there is a principal {principal.name!r} already",
                where="NAME",
                fix="choose another name",
                code="principal_exists",
            ) from None

    async def principals(self, *, after: str = "", limit: int = 10_000) -> tuple[Principal, ...]:
        """Read everybody whose name comes after one, by name."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _PRINCIPALS, after=after, limit=limit)
            return tuple(_principal(row.name, row.kind, row.roles) for row in found)

    async def principal(self, name: str) -> Principal | None:
        """Read one principal."""
        async with self._database.look() as connection:
            row = (await self._database.execute(connection, _PRINCIPAL, name=name)).one_or_none()
            return _principal(row.name, row.kind, row.roles) if row is not None else None

    async def add_token(self, token: NewToken, *, by: str) -> None:
        """Write another token for a principal."""
        async with self._audit.recording() as recording:
            await self._issue(recording, token, by)

    async def _issue(self, recording: Recording, token: NewToken, by: str) -> None:
        await self._database.execute(
            recording.connection,
            _ISSUE,
            id=token.id,
            principal=token.principal,
            secret_sha256=token.secret_sha256,
            tenant=token.tenant,
            life_us=token.life_us,
            by=by,
        )
        whose = {"principal": token.principal, "tenant": token.tenant}
        recording.note(_of_token("issued", token.id, by, whose))

    async def token(self, token_id: str) -> StoredToken | None:
        """Read one token and its principal."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _FIND, id=token_id)
            row = found.one_or_none()
            if row is None:
                return None
            principal = replace(
                _principal(row.principal, row.kind, row.roles),
                tenant=row.tenant,
                vouched_by=frozenset({row.added_by, row.issued_by}),
            )
            is_revoked = row.revoked_us is not None
            return StoredToken(principal, row.secret_sha256, bool(row.is_expired), is_revoked)

    async def tokens(
        self, *, principal: str | None = None, after: str = "", limit: int = 10_000
    ) -> list[dict[str, Any]]:
        """List tokens whose id comes after one, by id, without anything secret."""
        async with self._database.look() as connection:
            found = await self._database.execute(
                connection, _ISSUED, principal=principal, after=after, limit=limit
            )
            return [dict(row) for row in found.mappings()]

    async def revoke(self, token_id: str, *, by: str) -> None:
        """Revoke a token at once. Raises `NotFound` when there is none that is still good."""
        async with self._audit.recording() as recording:
            done = await self._database.execute(recording.connection, _REVOKE, id=token_id, by=by)
            if not done.rowcount:
                raise NotFound(
                    f"there is no token {token_id!r} that is still good",
                    where="ID",
                    fix="'dispatcher token list' shows the ids",
                    code="token_unknown",
                )
            recording.note(_of_token("revoked", token_id, by, {}))


def _of_token(verb: str, token_id: str, by: str, detail: Mapping[str, str | None]) -> Entry:
    return Entry(kind=f"token.{verb}", actor=by, about=f"token {token_id}", detail=detail)


def _principal(name: str, kind: str, roles: str) -> Principal:
    held = frozenset(map(Role, msgspec.json.decode(roles, type=list[str])))
    return Principal(name=name, kind=PrincipalKind(kind), roles=held)
