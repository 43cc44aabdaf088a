"""The registry's objects: what may flow, to whom, and where, as plain frozen documents.

They are read from TOML files by `control`, stored whole in an immutable revision, and compiled into
a snapshot by `stages.revising`. Their shape is the shape of the files. Unknown keys are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, Final

from dispatcher.model.classification import Category, Sensitivity

STANDARD_RETRY_SECONDS: Final = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Waits between attempts after Standard Webhooks' example: 10 attempts in about 3 days."""

STRICT: Final[dict[str, Any]] = {"extra": "forbid"}
"""Read by pydantic where files are validated: an unknown key is a fault, not a hint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A dotted name in the past tense, its JSON Schema, and how large a payload may be.

    Every leaf of the schema carries `x-data-classification`; a leaf without one is withheld.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    schema: str
    payload_bytes_max: int = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One entry of the allowlist: scheme, host, port and path prefix, with a reason and an end."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    host: str
    reason: str
    scheme: str = "https"
    port: int = 443
    path_prefix: str = "/"
    expires: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """Why data goes to a partner, and which categories that covers."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    categories: tuple[Category, ...] = (Category.OTHER,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One partner: who owns the integration, what it may know, and where it may be reached."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    owner: str
    contact: str
    tenants: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    destinations: tuple[Destination, ...]
    clearance: Sensitivity = Sensitivity.INTERNAL
    agreement: str = ""
    agreement_until: date | None = None

    def purpose(self, name: str) -> Purpose | None:
        """Find a purpose by name."""
        return next((each for each in self.purposes if each.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Which event types one endpoint of a connector receives, and which fields of each.

    `scope` maps event types to granted paths; an empty list sends the envelope alone.
    `retry_seconds` are the longest waits before each further attempt; the wait taken is drawn
    evenly between zero and that (full jitter).
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    name: str
    connector: str
    purpose: str
    url: str
    scope: Mapping[str, tuple[str, ...]]
    retry_seconds: tuple[float, ...] = STANDARD_RETRY_SECONDS
    attempt_seconds: float = 15.0
    concurrency: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Everything that may flow: the content of one revision."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    event_types: tuple[EventType, ...] = field(default=())
    connectors: tuple[Connector, ...] = field(default=())
    subscriptions: tuple[Subscription, ...] = field(default=())
