"""How long to wait before the next try: full jitter over a schedule, raised by `Retry-After`.

Called by `settle`. The header comes from the other side, so it is read narrowly and bounded: it may
lengthen a wait up to a day, never shorten it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

RETRY_AFTER_SECONDS_MAX: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = tuple("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())  # noqa: SIM905
_DIGITS: Final = re.compile(r"[0-9]{1,64}\Z")
_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) (" + "|".join(_MONTHS) + r") ([0-9]{4})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT\Z"
)


def delay_us(
    retry_seconds: tuple[float, ...],
    failures: int,
    chance: float,
    moment_us: int,
    retry_after: str | None = None,
) -> int:
    """Give the wait in microseconds before try number `failures + 2`; `chance` is in [0, 1)."""
    drawn = int(chance * retry_seconds[failures] * 1_000_000)
    asked = read_retry_after(retry_after, moment_us) if retry_after is not None else 0
    return max(drawn, asked)


def read_retry_after(text: str, moment_us: int) -> int:
    """Read the header as microseconds from now; 0 for anything not understood."""
    text = text[:128].strip(" \t")
    is_seconds = _DIGITS.match(text)
    asked_us = int(text) * 1_000_000 if is_seconds else _read_date(text, moment_us)
    return max(0, min(asked_us, RETRY_AFTER_SECONDS_MAX * 1_000_000))


def _read_date(text: str, moment_us: int) -> int:
    found = _DATE.match(text)
    if found is None:
        return 0
    day, month, year, *clock = found.groups()
    hour, minute, second = (int(part) for part in clock)
    try:
        when = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC
        )
    except ValueError:
        return 0
    return (when - _EPOCH) // timedelta(microseconds=1) - moment_us
