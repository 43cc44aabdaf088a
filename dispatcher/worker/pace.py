"""How fast one subscription is served by this worker: its rate, and a rest when it ails.

Kept by the desk, one for each window. A destination that fails many times in a row is left alone
for a while: what waits for it stays in the outbox and spends no retry. Then one delivery at a time
is tried, until one goes well (egress spec P7). Plain arithmetic on a clock that is handed in.
"""

from dataclasses import dataclass
from typing import Final

from dispatcher.stages.settling.outcome import Health

AHEAD_SECONDS: Final = 5.0
"""For how long ahead of its rate a subscription may have deliveries leased."""
REST_SECONDS_MAX: Final = 600.0


@dataclass(slots=True)
class Pace:
    """What this worker knows of one subscription's pace. Seconds are on its boot clock."""

    rests_until: float = 0.0
    _failures: int = 0
    _rests: int = 0
    _next: float = 0.0

    def room(self, rate: float | None, taken: int, now: float) -> int | None:
        """Say how many more may be leased beside the `taken`; nothing where pace sets no end."""
        if now < self.rests_until:
            return 0
        if self._rests:
            return max(0, 1 - taken)
        if rate is None:
            return None
        return max(0, max(1, int(rate * AHEAD_SECONDS)) - taken)

    @property
    def has_failed(self) -> bool:
        """True while the last attempt failed, or a rest is not over."""
        return self._failures > 0 or self._rests > 0

    def wait(self, rate: float, now: float, patience: float) -> float | None:
        """Take the next turn, and give how many seconds it is away.

        Nothing, and no turn taken, where that is longer than somebody's patience.
        """
        turn = max(now, self._next)
        if turn - now > patience:
            return None
        self._next = turn + 1.0 / rate
        return turn - now

    def note(self, health: Health, *, now: float, rest_after: int, rest_seconds: float) -> bool:
        """Take note of how an attempt went; true when a rest begins with it.

        A slow success ends the trying of one at a time, and otherwise mends nothing.
        """
        if health is not Health.AILING:
            if health is Health.WELL or self._rests:
                self._failures = self._rests = 0
                self.rests_until = 0.0
            return False
        self._failures += 1
        is_enough = self._rests > 0 or self._failures >= rest_after
        if not rest_after or not is_enough or now < self.rests_until:
            return False
        self.rests_until = now + min(rest_seconds * 2**self._rests, REST_SECONDS_MAX)
        self._rests = min(self._rests + 1, 10)
        return True
