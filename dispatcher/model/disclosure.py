"""What a change of the registry does to disclosure: each single change, and all of them together.

Made by `stages.revising.diff`, obeyed by `control` (does it need a second person?), stored with a
change set, shown to whoever approves it. It names objects, fields and classes, never a value.
"""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way a change goes. One change that widens makes the whole widen."""

    WIDENS = "widens"
    NARROWS = "narrows"
    NEUTRAL = "neutral"


class Aspect(StrEnum):
    """What a change is about, the gravest first: they are shown in this order."""

    TLS = "tls"
    DESTINATION = "destination"
    RECIPIENT = "recipient"
    COUNTRY = "country"
    FIELD = "field"
    CLASS = "class"
    LEAK = "leak"
    TENANT = "tenant"
    PRODUCER = "producer"
    PURPOSE = "purpose"
    PERIOD = "period"
    RETENTION = "retention"
    EVENTS = "events"
    TERMS = "terms"


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `where` names the object it is about, `what` says it in a few words."""

    direction: Direction
    aspect: Aspect
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class DisclosureDiff:
    """Every change between two registries, what widens first."""

    changes: tuple[Change, ...]

    @property
    def direction(self) -> Direction:
        """The direction of the whole."""
        found = {change.direction for change in self.changes}
        if Direction.WIDENS in found:
            return Direction.WIDENS
        return Direction.NARROWS if Direction.NARROWS in found else Direction.NEUTRAL
