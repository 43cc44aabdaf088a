"""The page of public keys that partners verify letters with, the next ones published ahead.

Asked by `listener` for whoever comes: there is nothing secret in it, nor anybody's name, and every
partner reads the same page. It is written anew when the keys or the second change, so asking often
costs little.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from dispatcher.model.keys import SigningKey
from dispatcher.stages.sealing.ed25519 import key_set
from dispatcher.worker.policy import PolicyWatch

PATH: Final = "/.well-known/dispatcher-jwks.json"
CONTENT_TYPE: Final = "application/jwk-set+json"
CACHE_SECONDS: Final = 300
"""How long a partner may keep the page. A revoked key signs nothing meanwhile."""


class PublishedKeys:
    """The page, as this process's policy has it."""

    def __init__(self, policy: PolicyWatch, wall_us: Callable[[], int]) -> None:
        self._policy = policy
        self._wall_us = wall_us
        self._keys: Mapping[str, tuple[SigningKey, ...]] = {}
        self._second = 0
        self._page = b""

    def page(self) -> bytes:
        """Give the JWK Set of what verifies letters now, or soon will."""
        keys, now_us = self._policy.keys, self._wall_us()
        second = now_us // 1_000_000
        if keys is not self._keys or second != self._second:
            self._keys, self._second = keys, second
            held = (key for each in keys.values() for key in each)
            self._page = json.dumps(key_set(held, now_us)).encode()
        return self._page
