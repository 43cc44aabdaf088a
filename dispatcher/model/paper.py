"""The paper behind a partner: why data may go there, under which agreement, until when.

Part of a connector's document. Every paper has an end; `stages.gates.paper` closes the lanes of one
that has passed. A date counts to the end of that day, UTC.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, ClassVar, Final

from dispatcher.model.classification import Category

STRICT: Final[dict[str, Any]] = {"extra": "forbid"}
"""Read by pydantic where files are validated: an unknown key is a fault, not a hint."""


class LegalBasis(StrEnum):
    """On what ground personal data is processed: GDPR, article 6 (1), in its order."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    VITAL_INTERESTS = "vital-interests"
    PUBLIC_TASK = "public-task"
    LEGITIMATE_INTERESTS = "legitimate-interests"


class ConnectorState(StrEnum):
    """Where a partner stands. Only an active one is sent anything; a retired one never again."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """Why data goes to a partner, which categories that covers, and on what ground.

    One that covers a personal category needs a `legal_basis`.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    categories: tuple[Category, ...] = (Category.OTHER,)
    legal_basis: LegalBasis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was signed: where it is filed, its last day, and what it allows.

    `countries` are the countries personal data may go to (ISO 3166-1 alpha-2; none given: any);
    `notice_hours` is how soon the partner must be told of an incident.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    reference: str
    until: date
    countries: tuple[str, ...] = ()
    notice_hours: int | None = None
    processors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The approved assessment that sending sensitive fields rests on, and its last day.

    `covers` are the reaches it looked at (see `stages.gates.paper.reach_of`), or `*` for whatever
    the connector is granted. None: it covers nothing.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    reference: str
    until: date
    covers: tuple[str, ...] = ()
