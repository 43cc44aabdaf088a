"""The HTTP library must be young enough: older ones have faults that reach past our own bounds.

Asked by the transport when it starts. It never looks anything up.
"""

import re
from typing import Final

from dispatcher.model.errors import ConfigInvalid

AIOHTTP_FLOOR: Final = (3, 14, 4)
"""Header injection, an unpacking bomb and quadratic unpacking are mended from here on."""

_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?")


def check_aiohttp(version: str) -> None:
    """Raise `ConfigInvalid` when the library is too old, or nobody can tell how old it is."""
    found = _VERSION.match(version)
    if found is None or tuple(int(part or 0) for part in found.groups()) < AIOHTTP_FLOOR:
        floor = ".".join(map(str, AIOHTTP_FLOOR))
        raise ConfigInvalid(
            f"aiohttp {version[:40]} is too old to be let near a partner",
            where="aiohttp",
            fix=f"install aiohttp {floor} or later",
            code="aiohttp_outdated",
        )
