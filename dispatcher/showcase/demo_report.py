"""What the demonstration has to say in the end: checks, counts, and whether all of it is well.

The same facts for people and for programs. Nothing is judged here.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: what it is, what was expected, what was seen."""

    name: str
    expected: int | str
    observed: int | str
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of the demonstration."""

    enqueued: int
    rolled_back: int
    delivered: int
    parked: int
    waiting: int
    held_then_released: int
    retried: int
    duplicates: int
    signatures_verified: int
    scope_violations: int
    unlisted_connections: int
    lost: int
    hold_confirmed_ms: float
    seconds: float
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True when every promise was kept."""
        return all(check.ok for check in self.checks)

    def as_document(self) -> dict[str, Any]:
        """Give the report as one JSON document."""
        return asdict(self) | {"ok": self.ok}


def equal(name: str, expected: int, observed: int) -> Check:
    """Say that two counts are the same."""
    return Check(name, expected, observed, expected == observed)


def none(name: str, observed: int, *, of: int) -> Check:
    """Say that there is nothing bad among so many; to have looked at none proves nothing."""
    return Check(name, f"0 of {of}", f"{observed} of {of}", observed == 0 and of > 0)
