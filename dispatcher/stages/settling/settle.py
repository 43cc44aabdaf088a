"""Decide how one turn of a delivery ends: the next state, when it is due, what the ledger says.

Called by the courier at the end of every turn, however it went. Every move is one of the life
cycle. It never spends a retry on a letter of which no byte was sent by our own choice.
"""

from dataclasses import replace
from typing import Final, assert_never

from dispatcher.model.delivery import LIFE_CYCLE, Move, Outcome, State
from dispatcher.model.ids import ScopeId
from dispatcher.model.letter import Answer, Leased, Settlement, Stopped, Trouble
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.settling import backoff
from dispatcher.stages.settling.outcome import (
    GONE,
    code_of,
    heeds_retry_after,
    is_success,
    outcome_of,
)

LEASE_PAUSE_US: Final = 100_000
"""Wait after a lease that ran short, so that the row is not picked up again at once, in vain."""

HOLD_PAUSE_US: Final = 100_000
"""Wait after a hold: the lane closed, or the worker drains, and asking again at once is in vain."""

KEY_PAUSE_US: Final = 5_000_000
"""Wait for a key that cannot be had: whoever keeps it is away, and comes back when it does."""

_PARKED: Final = (
    Reason.SIGNING_KEY_MISSING,
    Reason.PIN_MISMATCH,
    Reason.ENCRYPTION_REQUIRED,
    Reason.ENCRYPTION_BROKEN,
)
"""What a person must mend before another try makes sense."""
_PAUSES_US: Final = {
    Reason.POLICY_LEASE_EXPIRED: LEASE_PAUSE_US,
    Reason.DELIVERY_LEASE_SHORT: LEASE_PAUSE_US,
}


def settle(
    leased: Leased,
    used: Scope | None,
    result: Answer | Trouble | Stopped | Refusal,
    retry_seconds: tuple[float, ...],
    chance: float,
    moment_us: int,
) -> Settlement:
    """Settle one turn. `used` is the scope the attempt disclosed under, once one was begun.

    `chance` is in [0, 1); `moment_us` is the wall clock, for a `Retry-After` given as a date.
    """
    match result:
        case Answer(status=status) if is_success(status):
            return _end(leased, Move.DELIVERED, Outcome.DELIVERED, status=status, scope=_id(used))
        case Answer(status=status) if status == GONE:
            return _end(
                leased,
                Move.PARK,
                Outcome.ANSWERED,
                status=status,
                scope=_id(used),
                code=Reason.ENDPOINT_GONE,
                is_endpoint_gone=True,
            )
        case Answer() | Trouble():
            return _settle_failure(leased, used, result, retry_seconds, chance, moment_us)
        case Stopped(reason=reason) if reason in _PARKED:
            return _end(leased, Move.PARK, Outcome.NOT_BEGUN, code=reason)
        case Stopped(reason=reason):
            pause_us = _PAUSES_US.get(reason, 0)
            return _end(leased, Move.NOT_BEGUN, Outcome.NOT_BEGUN, code=reason, delay_us=pause_us)
        case Refusal(is_hold=True):
            is_key = Reason.KEY_UNAVAILABLE in result.reasons
            pause_us = KEY_PAUSE_US if is_key else HOLD_PAUSE_US
            return _end(leased, Move.NOT_BEGUN, None, code=result.code, delay_us=pause_us)
        case Refusal(reasons=reasons) if Reason.LEAK_BLOCKED in reasons:
            return _end(leased, Move.GIVE_UP, None, code=result.code)
        case Refusal():
            return _end(leased, Move.PARK, None, code=result.code)
        case _:
            assert_never(result)


def _settle_failure(
    leased: Leased,
    used: Scope | None,
    result: Answer | Trouble,
    retry_seconds: tuple[float, ...],
    chance: float,
    moment_us: int,
) -> Settlement:
    """Spend one failure: try again while the schedule has waits left, then give up."""
    status, asked = None, None
    if isinstance(result, Answer):
        status = result.status
        asked = result.retry_after if heeds_retry_after(status) else None
    is_spent = leased.failures >= len(retry_seconds)
    wait_us = 0
    if not is_spent:
        wait_us = backoff.delay_us(retry_seconds, leased.failures, chance, moment_us, asked)
    outcome = outcome_of(result)
    settlement = _end(
        leased,
        Move.GIVE_UP if is_spent else Move.AGAIN,
        outcome,
        failures=leased.failures + 1,
        status=status,
        scope=_id(used) if outcome.is_disclosed else None,
        code=code_of(result),
        delay_us=wait_us,
    )
    if isinstance(result, Answer) and result.location_host:
        return replace(settlement, location_host=result.location_host)
    return settlement


def set_aside(leased: Leased) -> Settlement:
    """Park a delivery that a fault of ours stopped.

    How far it came is not known: if the ledger has a row for the attempt, it will say "unknown".
    """
    return _end(leased, Move.PARK, Outcome.UNKNOWN, code=Reason.INTERNAL_FAULT)


def _end(
    leased: Leased,
    move: Move,
    outcome: Outcome | None,
    *,
    failures: int | None = None,
    status: int | None = None,
    scope: ScopeId | None = None,
    code: str = "",
    delay_us: int = 0,
    is_endpoint_gone: bool = False,
) -> Settlement:
    if (State.LEASED, move) not in LIFE_CYCLE:
        raise ValueError(f"a leased delivery cannot {move}")
    return Settlement(
        id=leased.id,
        token=leased.token,
        attempt=leased.attempt,
        move=move,
        failures=leased.failures if failures is None else failures,
        scope=scope,
        outcome=outcome,
        status=status,
        code=str(code),
        delay_us=delay_us,
        is_endpoint_gone=is_endpoint_gone,
    )


def _id(used: Scope | None) -> ScopeId | None:
    return None if used is None else used.id
