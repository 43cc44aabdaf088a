"""Which day it is: papers, expiries and warnings count by days, UTC."""

from datetime import UTC, date, datetime
from typing import Final

DAY_US: Final = 86_400_000_000


def day_of(wall_us: int) -> date:
    """Give the day of a moment in microseconds since the epoch."""
    return datetime.fromtimestamp(wall_us / 1_000_000, UTC).date()
