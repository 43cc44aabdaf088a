"""How often one address may fail to say who it is: then it is told to wait.

Used by the listeners of `api` and of `partner`. Kept in this process alone and bounded, so that
nobody can fill it. A token is 256 random bits, so this is not against guessing. A good token is
never refused for it: many may share one address, and a stop must get through.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

WINDOW_SECONDS: Final = 60.0
ADDRESSES_MAX: Final = 10_000


class FailedAttempts:
    """Counts failures by address within a window. `clock` gives seconds that never go back."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def seconds_left(self, address: str) -> float:
        """Say how long this address is not listened to; 0 when it is."""
        began, count = self._failed.get(address, (0.0, 0))
        left = began + WINDOW_SECONDS - self._clock()
        return max(left, 0.0) if count >= self._most else 0.0

    def note(self, address: str) -> None:
        """Count one more failure."""
        now = self._clock()
        began, count = self._failed.pop(address, (now, 0))
        if now - began >= WINDOW_SECONDS:
            began, count = now, 0
        self._failed[address] = (began, count + 1)
        if len(self._failed) > ADDRESSES_MAX:
            self._failed.popitem(last=False)
