"""Classify what came back: what the ledger says, and whether trying again makes sense.

Called by `settle`, by the courier to tell what ails, and by the prover. It never trusts the
partner's words beyond the status code.
"""

from typing import Final

from dispatcher.model.delivery import Outcome
from dispatcher.model.letter import Answer, Trouble

GONE: Final = 410
_ASKS_FOR_PATIENCE: Final = frozenset({408, 425, 429})


def is_success(status: int) -> bool:
    """True for 2xx only: a redirect is not followed and not a success."""
    return 200 <= status <= 299


def heeds_retry_after(status: int) -> bool:
    """True where the partner may say when to come again."""
    return status in _ASKS_FOR_PATIENCE or 500 <= status <= 599


def is_ailing(result: Answer | Trouble, seconds: float, attempt_seconds: float) -> bool:
    """True where the destination should be spared: it failed, asked for patience, or was slow.

    An answer that took more than half of the attempt's time cost as much as a failure would.
    """
    if isinstance(result, Trouble):
        return True
    return heeds_retry_after(result.status) or seconds > attempt_seconds / 2


def outcome_of(result: Answer | Trouble) -> Outcome:
    """Say what the partner has, or may have."""
    if isinstance(result, Answer):
        return Outcome.DELIVERED if is_success(result.status) else Outcome.ANSWERED
    return Outcome.UNKNOWN if result.is_begun else Outcome.UNREACHABLE


def code_of(result: Answer | Trouble) -> str:
    """Name a failure in one stable word."""
    return f"http_{result.status}" if isinstance(result, Answer) else result.code
