"""A window of time: what a summary letter sums up.

Windows of one length lie edge to edge, aligned to the epoch. Used by fan-out, which says in which
window an event counts, by the store, and by shaping, which writes it into the letter.
"""

from dataclasses import dataclass
from typing import Final, Self

GRACE_US: Final = 5_000_000
"""How long after its end a window still takes events that were enqueued in it."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """From `start_us` to before `end_us`, microseconds since the epoch, UTC."""

    start_us: int
    end_us: int

    @classmethod
    def at(cls, moment_us: int, seconds: int) -> Self:
        """Give the window of this length that a moment lies in."""
        length_us = seconds * 1_000_000
        start_us = moment_us - moment_us % length_us
        return cls(start_us, start_us + length_us)

    @property
    def closes_us(self) -> int:
        """When its letter is due, and from when on nothing more may join."""
        return self.end_us + GRACE_US

    @property
    def following(self) -> "Window":
        """The window right after it."""
        return Window(self.end_us, 2 * self.end_us - self.start_us)


def window_for(enqueued_us: int, now_us: int, seconds: int) -> Window:
    """Say in which window an event counts that fan-out takes up now.

    That in which it was enqueued; for one that comes too late, and for a row written by hand with a
    moment to come, the window that is open now.
    """
    window = Window.at(min(enqueued_us, now_us), seconds)
    return window if now_us < window.closes_us else Window.at(now_us, seconds)
