"""A partner's published set of keys (JWKS), as the registry names it and as it was last found.

The registry says where it is and which of its keys count; workers fetch it through the same door as
letters, and share what they found. Which keys may be used now is judged in `gates.partner_keys`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Final

from dispatcher.model.classification import Sensitivity
from dispatcher.model.paper import STRICT

HOLD_HOURS_HIGH: Final = 24
HOUR_US: Final = 3_600_000_000
EXPOSED_MAX: Final = 100
"""How many published private keys of a partner are remembered; with so many, none of its counts."""


class KeySetMode(StrEnum):
    """Pinned: only keys whose thumbprints were reviewed. Follow: whatever the partner publishes."""

    PINNED = "pinned"
    FOLLOW = "follow"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """Where a partner publishes its keys, and which of them count.

    `thumbprints` (RFC 7638) are those that count where the set is pinned, the preferred first.
    Where it is followed, a key counts once it has been known for `hold_hours`; unsaid, these are 24
    for a partner cleared for restricted fields, and none for others.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    url: str
    mode: KeySetMode = KeySetMode.PINNED
    thumbprints: tuple[str, ...] = ()
    hold_hours: int | None = None

    def hold_us(self, clearance: Sensitivity) -> int:
        """Give how long a key is known before anything is encrypted to it."""
        if self.hold_hours is not None:
            return self.hold_hours * HOUR_US
        return HOLD_HOURS_HIGH * HOUR_US if clearance is Sensitivity.RESTRICTED else 0


@dataclass(frozen=True, slots=True)
class FoundKey:
    """One public key of a set: its kid, its thumbprint, the JWK as text; `is_for_encryption`: its
    owner says so.
    """

    kid: str
    thumbprint: str
    jwk: str
    is_for_encryption: bool


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """What was found in a set: keys in the partner's order, and why others of it do not count.

    `exposed` are keys whose private half was published: never to be used again, and the whole set
    with them until it is clean.
    """

    keys: tuple[FoundKey, ...] = ()
    refused: tuple[str, ...] = ()
    exposed: tuple[FoundKey, ...] = ()
    is_exposed: bool = False


@dataclass(frozen=True, slots=True)
class SeenKey:
    """A key of the set as it was last found, and when it was first seen."""

    found: FoundKey
    first_seen_us: int


@dataclass(frozen=True, slots=True)
class KeySetNow:
    """What is known of a partner's set: where it was found, when last, and what is in it.

    `exposed` are thumbprints of keys whose private half was ever published.
    """

    connector: str
    url: str
    good_us: int
    keys: tuple[SeenKey, ...] = field(default=())
    exposed: frozenset[str] = frozenset()

    @property
    def is_lost(self) -> bool:
        """True where more private keys may have been published than are remembered."""
        return len(self.exposed) >= EXPOSED_MAX
