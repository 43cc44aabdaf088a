"""Who may do what: principals, their roles, and the rights each role has.

A principal is a person or a service; it shows itself by a token. Rights are asked for by name, so
that the table below is the whole of the matter. Used by `control`, which refuses, and by the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

HERE: Final = "local:"
"""How the name of whoever sits at the machine begins; no principal's has a colon."""
DAYS_DEFAULT: Final = 90
DAYS_MAX: Final = 366
"""How long a token is good when nobody says, and may be."""


class PrincipalKind(StrEnum):
    """A person and a service show a token; whoever sits at the machine itself shows none.

    A service may do much by itself, but it is nobody's second pair of eyes. Nobody can tell who is
    local, so two of them cannot be told apart.
    """

    HUMAN = "human"
    SERVICE = "service"
    LOCAL = "local"


class Role(StrEnum):
    """What somebody is here for."""

    PRODUCER = "producer"
    PLATFORM = "platform"
    APPROVER = "approver"
    SRE = "sre"
    PRIVACY = "privacy"
    READER = "reader"
    ADMIN = "admin"


class Right(StrEnum):
    """What can be done. Whoever may change a thing may also read it."""

    READ = "read"
    ENQUEUE = "enqueue"
    PROPOSE = "propose"
    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    RELEASE = "release"
    REPLAY = "replay deliveries"
    PROVE = "prove endpoints"
    KEYS = "change keys"
    PEOPLE = "add people"
    INSPECT = "see why a destination is refused"
    SEE_PAYLOADS = "see what events hold"
    DETOKENISE = "turn tokens back"
    ERASE = "erase people"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.PRODUCER: frozenset({Right.ENQUEUE}),
    Role.PLATFORM: frozenset(
        {
            Right.READ,
            Right.PROPOSE,
            Right.REJECT,
            Right.HOLD,
            Right.REPLAY,
            Right.PROVE,
            Right.KEYS,
        }
    ),
    Role.APPROVER: frozenset({Right.READ, Right.APPROVE, Right.REJECT, Right.HOLD, Right.INSPECT}),
    Role.SRE: frozenset(
        {
            Right.READ,
            Right.HOLD,
            Right.RELEASE,
            Right.REPLAY,
            Right.PROVE,
            Right.KEYS,
            Right.INSPECT,
        }
    ),
    Role.PRIVACY: frozenset(
        {
            Right.READ,
            Right.APPROVE,
            Right.REJECT,
            Right.HOLD,
            Right.INSPECT,
            Right.SEE_PAYLOADS,
            Right.DETOKENISE,
            Right.ERASE,
        }
    ),
    Role.READER: frozenset({Right.READ, Right.INSPECT}),
    Role.ADMIN: frozenset({Right.READ, Right.PEOPLE, Right.INSPECT}),
}
_HUMANS_ONLY: Final = frozenset({Right.APPROVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who may do something; with a token of one tenant, within that tenant alone.

    `vouched_by` are those who added them and issued their token: they could have used it.
    """

    name: str
    kind: PrincipalKind
    roles: frozenset[Role]
    tenant: str | None = None
    vouched_by: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def is_here(self) -> bool:
        """True for whoever sits at the machine, and could write to the databases anyway."""
        return self.name.startswith(HERE)

    @property
    def rights(self) -> frozenset[Right]:
        """Everything this principal may do."""
        rights = frozenset(right for role in self.roles for right in RIGHTS[role])
        return rights if self.kind is PrincipalKind.HUMAN else rights - _HUMANS_ONLY
