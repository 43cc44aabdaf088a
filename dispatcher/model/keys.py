"""Signing keys: what kinds there are, when each one signs, and what signs which endpoint's letters.

A key's state is worked out from the times it bears, so nothing has to run for a rotation to end.
Read by the registry's keepers, by signing in the instant before the first byte, and by whoever
publishes public keys. The secret is in no repr and no pickle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Final, NoReturn

from dispatcher.model.days import DAY_US
from dispatcher.model.paper import STRICT

SIGNATURE_TAG: Final = "dispatcher"
"""What RFC 9421 signatures of ours bear as their tag."""


class KeyKind(StrEnum):
    """What a key signs with: a secret the partner shares, or a private key only we have."""

    HMAC = "hmac"
    ED25519 = "ed25519"


class SigningProfile(StrEnum):
    """How an endpoint's letters are signed.

    `v1` and `v1a` are Standard Webhooks' symmetric and asymmetric signatures, which may stand side
    by side; the others are HTTP message signatures (RFC 9421).
    """

    V1 = "v1"
    V1A = "v1a"
    V1_V1A = "v1+v1a"
    RFC9421_ED25519 = "rfc9421-ed25519"
    RFC9421_HMAC = "rfc9421-hmac"

    @cached_property  # asked for every letter
    def kinds(self) -> tuple[KeyKind, ...]:
        """The kinds of key it takes, every one of them."""
        return _KINDS[self]


_KINDS: Final = {
    SigningProfile.V1: (KeyKind.HMAC,),
    SigningProfile.V1A: (KeyKind.ED25519,),
    SigningProfile.V1_V1A: (KeyKind.HMAC, KeyKind.ED25519),
    SigningProfile.RFC9421_ED25519: (KeyKind.ED25519,),
    SigningProfile.RFC9421_HMAC: (KeyKind.HMAC,),
}


class KeyState(StrEnum):
    """Where a key is in its life."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """When a key was made, from when and until when it signs, and when it was revoked.

    Microseconds since the epoch. `active_us` is 0 for a key that signs from the moment it is made,
    by whatever clock; `until_us` is set once another has taken its place.
    """

    created_us: int = 0
    active_us: int = 0
    until_us: int | None = None
    revoked_us: int | None = None

    def state(self, now_us: int) -> KeyState:
        """Say where the key is in its life at this instant."""
        if self.revoked_us is not None:
            return KeyState.REVOKED
        if self.until_us is not None:
            return KeyState.RETIRING if now_us < self.until_us else KeyState.RETIRED
        return KeyState.PENDING if now_us < self.active_us else KeyState.ACTIVE

    def is_signing(self, now_us: int) -> bool:
        """True while letters are signed with the key: it is active, or retiring."""
        if self.revoked_us is not None:
            return False
        return self.active_us <= now_us if self.until_us is None else now_us < self.until_us

    def age_days(self, now_us: int) -> int:
        """Say for how many days it has signed, or was to; 0 while it is yet to."""
        return max(0, now_us - max(self.created_us, self.active_us)) // DAY_US


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key of one subscription, named by its fingerprint.

    `secret` is what is shared with the partner, or the seed of an Ed25519 key.
    """

    fingerprint: str
    secret: bytes = field(repr=False)
    kind: KeyKind = KeyKind.HMAC
    times: KeyTimes = KeyTimes()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key cannot be pickled")


class CompatStyle(StrEnum):
    """An older style of signature (see `stages.sealing.compat_signature`)."""

    T_V1 = "t_v1"
    SHA256 = "sha256"

    @property
    def is_replayable(self) -> bool:
        """True where whoever has seen a letter can send it again, and it still verifies."""
        return self is CompatStyle.SHA256


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatSignature:
    """A header beside the signature, in a style that the partner's receiver knows already."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    header: str
    style: CompatStyle


def live_keys(
    keys: Sequence[SigningKey], profile: SigningProfile, now_us: int
) -> tuple[SigningKey, ...]:
    """Give the keys that sign by this profile at this instant, in the order given.

    Symmetric ones come first. None, where one of the kinds it takes has no key that signs.
    """
    live: list[SigningKey] = []
    for kind in profile.kinds:
        found = [key for key in keys if key.kind is kind and key.times.is_signing(now_us)]
        if not found:
            return ()
        live += found
    return tuple(live)
