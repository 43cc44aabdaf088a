"""Classify what came back: what the ledger says, and whether trying again makes sense.

Called by `settle`, by the courier to tell what ails, and by the prover. It never trusts the
partner's words beyond the status code.
"""

from enum import Enum, auto
from typing import Final

from dispatcher.model.delivery import Outcome
from dispatcher.model.letter import Answer, Trouble

GONE: Final = 410
_OURS: Final = frozenset({"source_missing", "proxy_unreachable", "proxy_failed", "header_invalid"})
"""Troubles that say nothing of the destination."""
_ASKS_FOR_PATIENCE: Final = frozenset({408, 425, 429})


def is_success(status: int) -> bool:
    """True for 2xx only: a redirect is not followed and not a success."""
    return 200 <= status <= 299


def heeds_retry_after(status: int) -> bool:
    """True where the partner may say when to come again."""
    return status in _ASKS_FOR_PATIENCE or 500 <= status <= 599


class Health(Enum):
    """What one attempt says of its destination."""

    WELL = auto()
    SLOW = auto()
    AILING = auto()
    UNSAID = auto()


def health_of(result: Answer | Trouble, seconds: float, attempt_seconds: float) -> Health:
    """Judge a destination by one attempt: it ails when it fails, or asks for patience.

    An answer that took more than half of the attempt's time is slow: it cost almost what a failure
    does. Trouble on our side says nothing of the destination.
    """
    if isinstance(result, Trouble):
        return Health.UNSAID if result.code in _OURS else Health.AILING
    if heeds_retry_after(result.status):
        return Health.AILING
    return Health.SLOW if seconds > attempt_seconds / 2 else Health.WELL


def outcome_of(result: Answer | Trouble) -> Outcome:
    """Say what the partner has, or may have."""
    if isinstance(result, Answer):
        return Outcome.DELIVERED if is_success(result.status) else Outcome.ANSWERED
    return Outcome.UNKNOWN if result.is_begun else Outcome.UNREACHABLE


def code_of(result: Answer | Trouble) -> str:
    """Name a failure in one stable word."""
    return f"http_{result.status}" if isinstance(result, Answer) else result.code
