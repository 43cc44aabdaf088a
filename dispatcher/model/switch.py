"""Kill switches: one row, one person, at once. Any switch that matches stops a lane.

Releasing one switch never lifts another. Targets are written `kind:name` (`connector:acme`), or
`everything`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from dispatcher.model.host import parse_host

WAIT_SECONDS_MAX: Final = 45
"""How long a stop may be waited for: shorter than a request may take."""


class TargetKind(StrEnum):
    """What a switch can stop."""

    EVERYTHING = "everything"
    TENANT = "tenant"
    CONNECTOR = "connector"
    HOST = "host"
    SUBSCRIPTION = "subscription"
    EVENT_TYPE = "event-type"


@dataclass(frozen=True, slots=True)
class Target:
    """What one switch stops."""

    kind: TargetKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `kind:name` or `everything`; `ValueError` lists the kinds there are."""
        kind, _, name = text.partition(":")
        if kind not in [each.value for each in TargetKind] or (kind == TargetKind.EVERYTHING) != (
            not name
        ):
            kinds = ", ".join(f"{each}:NAME" for each in list(TargetKind)[1:])
            raise ValueError(f"a target is 'everything' or one of {kinds}; got {text!r}")
        is_host = kind == TargetKind.HOST
        return cls(TargetKind(kind), parse_host(name) if is_host else name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One tripped switch."""

    id: int
    target: Target
    reason: str
    actor: str
    tripped_us: int
