"""Signing keys as the worker holds them. The secret is in no repr and no pickle."""

from dataclasses import dataclass, field
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One Standard Webhooks secret of one subscription, named by its fingerprint."""

    fingerprint: str
    secret: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key cannot be pickled")
