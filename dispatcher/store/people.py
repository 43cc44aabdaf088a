"""Principals and their tokens. Of a token only its id and the hash of its secret are kept.

Written by `control.people` alone. The first principal of a registry is made without anybody's
leave, so that one statement decides, under a lock, whether there is one already.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy.exc import IntegrityError

from dispatcher.model.audit import Entry
from dispatcher.model.errors import Conflict, NotFound
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.store.audit import AuditLog
from dispatcher.store.database import Database

_LOCK: Final = "UPDATE {policy} SET revision = revision WHERE id = 1"
_COUNT: Final = "SELECT count(*) FROM {principals}"
_ADD: Final = """
INSERT INTO {principals} (name, kind, roles, created_us, created_by)
VALUES (:name, :kind, :roles, {now}, :by)
"""
_PRINCIPALS: Final = "SELECT name, kind, roles FROM {principals} ORDER BY name"
_ISSUE: Final = """
INSERT INTO {tokens} (id, principal, secret_sha256, created_us, created_by, expires_us)
VALUES (:id, :principal, :secret_sha256, {now}, :by, {now} + :life_us)
"""
_FIND: Final = """
SELECT t.principal, t.secret_sha256, t.revoked_us, t.expires_us <= {now} AS is_expired,
    p.kind, p.roles
FROM {tokens} t JOIN {principals} p ON p.name = t.principal WHERE t.id = :id
"""
_ISSUED: Final = """
SELECT id, principal, created_us, created_by, expires_us, revoked_us, revoked_by
FROM {tokens} ORDER BY created_us, id
"""
_REVOKE: Final = """
UPDATE {tokens} SET revoked_us = {now}, revoked_by = :by WHERE id = :id AND revoked_us IS NULL
"""


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

    async def add(self, principal: Principal, *, by: str | None) -> None:
        """Add a principal; without `by` only where there is none yet.

        Raises `Conflict` (`principal_exists`, or `people_exist` for a second first one).
        """
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
                    by=principal.name if by is None else by,
                )
                recording.note(
                    Entry(
                        kind="principal.added",
                        actor=by or principal.name,
                        about=f"principal {principal.name}",
                        detail={
                            "principal_kind": principal.kind.value,
                            "roles": sorted(principal.roles),
                        },
                    )
                )
        except IntegrityError:
            raise Conflict(
                f"there is a principal {principal.name!r} already",
                where="NAME",
                fix="choose another name",
                code="principal_exists",
            ) from None

    async def principals(self) -> tuple[Principal, ...]:
        """Read everybody, by name."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _PRINCIPALS)
            return tuple(_principal(row.name, row.kind, row.roles) for row in found)

    async def add_token(
        self, token_id: str, principal: str, secret_sha256: str, *, life_us: int, by: str
    ) -> None:
        """Write a token that is good for so many microseconds from now."""
        async with self._audit.recording() as recording:
            await self._database.execute(
                recording.connection,
                _ISSUE,
                id=token_id,
                principal=principal,
                secret_sha256=secret_sha256,
                life_us=life_us,
                by=by,
            )
            recording.note(_of_token("issued", token_id, by, {"principal": principal}))

    async def token(self, token_id: str) -> StoredToken | None:
        """Read one token and its principal."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _FIND, id=token_id)
            row = found.one_or_none()
            if row is None:
                return None
            principal = _principal(row.principal, row.kind, row.roles)
            is_revoked = row.revoked_us is not None
            return StoredToken(principal, row.secret_sha256, bool(row.is_expired), is_revoked)

    async def tokens(self) -> list[dict[str, Any]]:
        """List tokens without anything secret."""
        async with self._database.look() as connection:
            found = await self._database.execute(connection, _ISSUED)
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


def _of_token(verb: str, token_id: str, by: str, detail: Mapping[str, str]) -> Entry:
    return Entry(kind=f"token.{verb}", actor=by, about=f"token {token_id}", detail=detail)


def _principal(name: str, kind: str, roles: str) -> Principal:
    held = frozenset(map(Role, msgspec.json.decode(roles, type=list[str])))
    return Principal(name=name, kind=PrincipalKind(kind), roles=held)
