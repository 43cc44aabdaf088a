"""HMAC-SHA256 (RFC 2104) under a key that is taken in once, for the many short texts of letters.

Used for tokens of values and for signatures. Python's own takes the key in again for each text, or
copies three states where two do: for a text as short as these that is half of the cost. It shows no
key.
"""

import hashlib
from typing import Final, NoReturn

BLOCK_BYTES: Final = 64
_INNER: Final = bytes(sign ^ 0x36 for sign in range(256))
_OUTER: Final = bytes(sign ^ 0x5C for sign in range(256))


class Mac:
    """Gives the codes of texts under one key, which is no longer than a block of the hash."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > BLOCK_BYTES:
            raise ValueError("a key is no longer than a block")
        block = key.ljust(BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def code(self, text: bytes) -> bytes:
        """Give the code of a text."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()

    def __repr__(self) -> str:
        return "Mac()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key cannot be pickled")
