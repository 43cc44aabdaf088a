"""Who is asking, and may they? Principals, their tokens, and the one refusal of both.

Asked at every door that changes something. A token is `dsp_<id>_<secret>`; it is shown once, kept
as a hash, ends by itself, and can be revoked at once. Nothing here tells a wrong token from an
unknown one, and no token reaches a message.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Self

from dispatcher.control.means import Means
from dispatcher.model.days import DAY_US
from dispatcher.model.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from dispatcher.model.people import (
    DAYS_DEFAULT,
    DAYS_MAX,
    RIGHTS,
    Principal,
    PrincipalKind,
    Right,
    Role,
)
from dispatcher.model.text import is_readable
from dispatcher.store.people import NewToken, PeopleStore

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}\Z")
_TOKEN: Final = re.compile(r"dsp_(?P<id>[0-9a-f]{12})_(?P<secret>[0-9a-f]{64})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The people of one registry. `mint` gives so many random bytes."""

    store: PeopleStore
    mint: Callable[[int], bytes]

    @classmethod
    def over(cls, means: Means) -> Self:
        """Take what it needs of these means."""
        return cls(
            store=PeopleStore(means.registry_database, means.audit),
            mint=means.random_bytes,
        )

    async def authenticate(self, token: str) -> Principal:
        """Say whose token this is. Raises `Unauthenticated`, with a code for an ended one."""
        parts = _TOKEN.match(token)
        found = await self.store.token(parts["id"]) if parts is not None else None
        if parts is None or found is None:
            raise _unknown()
        if not hmac.compare_digest(_digest(parts["secret"]), found.secret_sha256):
            raise _unknown()
        if found.is_revoked or found.is_expired:
            how = "revoked" if found.is_revoked else "expired"
            raise Unauthenticated(
                f"the token of {found.principal.name} is {how}",
                where="token",
                fix=f"ask for a new one: dispatcher token issue {found.principal.name}",
                code=f"token_{how}",
            )
        return found.principal

    async def add(
        self,
        name: str,
        kind: PrincipalKind,
        roles: Collection[Role],
        *,
        by: Principal | None,
        days: int = DAYS_DEFAULT,
    ) -> str:
        """Add a principal, and give a first token of it, this once.

        The first of all, who must be an admin, needs nobody's leave.
        """
        if not NAME.match(name):
            raise InvalidInput(
                f"not a name for a principal: {name!r}",
                where="NAME",
                fix="use lower-case letters, digits, '_', '.', '@', '-'; at most 64",
                code="principal_name",
            )
        principal = Principal(name=name, kind=kind, roles=frozenset(roles))
        if by is not None:
            require(by, Right.PEOPLE)
        elif Right.PEOPLE not in principal.rights or kind is not PrincipalKind.HUMAN:
            raise InvalidInput(
                "the first principal must be a person who can add the next",
                where="--role",
                fix="give the first one --role admin, and others beside it if you like",
                code="first_principal",
            )
        token, secret = self._token(name, days, None)
        await self.store.add(principal, token, by=by.name if by is not None else None)
        return secret

    async def issue(self, name: str, *, days: int, by: Principal, tenant: str | None = None) -> str:
        """Make a token for a principal, of one tenant if one is named; give it, this once."""
        require(by, Right.PEOPLE)
        if tenant is not None and not (tenant.strip() and is_readable(tenant)):
            raise InvalidInput(
                "the tenant is not a readable name",
                where="--tenant",
                fix="name the tenant as events name it, or leave it out for all of them",
                code="tenant_name",
            )
        await self.read(name)
        token, secret = self._token(name, days, tenant)
        await self.store.add_token(token, by=by.name)
        return secret

    def _token(self, name: str, days: int, tenant: str | None) -> tuple[NewToken, str]:
        """Make a token, and what is shown of it once."""
        if not 1 <= days <= DAYS_MAX:
            raise InvalidInput(
                f"a token is good for 1 to {DAYS_MAX} days",
                where="--days",
                fix="choose a shorter life, and renew it",
                code="token_days",
            )
        token_id, secret = self.mint(6).hex(), self.mint(32).hex()
        token = NewToken(
            id=token_id,
            principal=name,
            secret_sha256=_digest(secret),
            life_us=days * DAY_US,
            tenant=tenant,
        )
        return token, f"dsp_{token_id}_{secret}"

    async def read(self, name: str) -> Principal:
        """Give one principal. Raises `NotFound`."""
        found = await self.store.principal(name)
        if found is None:
            raise NotFound(
                f"there is no principal {name!r}",
                where="NAME",
                fix="'dispatcher principal list' shows who there is",
                code="principal_unknown",
            )
        return found

    async def revoke(self, token_id: str, *, by: Principal) -> None:
        """Make a token worthless at once."""
        require(by, Right.PEOPLE)
        await self.store.revoke(token_id, by=by.name)


def require(principal: Principal, right: Right) -> None:
    """Raise `Forbidden` unless this principal has this right."""
    if right in principal.rights:
        return
    roles = sorted(role for role, rights in RIGHTS.items() if right in rights)
    held = ", ".join(sorted(principal.roles)) or "none"
    is_service = principal.kind is PrincipalKind.SERVICE
    raise Forbidden(
        f"{principal.name} ({principal.kind}, roles: {held}) may not {right}",
        where="token",
        fix="set DISPATCHER_TOKEN to that of a person with one of the roles "
        f"{', '.join(roles)}; 'dispatcher principal list' shows who there is",
        code="service_cannot_approve" if is_service and right is Right.APPROVE else "forbidden",
    )


def _digest(secret: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()


def _unknown() -> Unauthenticated:
    return Unauthenticated(
        "nobody has this token",
        where="token",
        fix="check DISPATCHER_TOKEN, or ask an admin for a new token",
    )
