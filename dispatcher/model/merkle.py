"""The tree of RFC 6962 over a log's entries: leaves, roots, and the frontier that lets it grow.

A frontier is the roots of the full subtrees of a tree, the largest first: one for each bit set in
its size. With it an entry is added without reading any other. Used by `store.audit`, which appends,
and `control.auditing`, which recomputes everything.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

Frontier = tuple[bytes, ...]
HASH_BYTES: Final = 32


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry (RFC 6962, section 2.1)."""
    return sha256(b"\0" + entry).digest()


def grown(frontier: Frontier, size: int, leaves: Sequence[bytes]) -> Frontier:
    """Give the frontier of a tree of `size` leaves after more leaves were added."""
    stack, start = list(frontier), 0
    while start < len(leaves):
        # The largest full subtree that can begin here: its size divides where it begins.
        room = len(leaves) - start
        span = 1 << (room.bit_length() - 1)
        if size:
            span = min(span, size & -size)
        stack.append(_full(leaves[start : start + span]))
        size, start = size + span, start + span
        _join(stack, size)
    return tuple(stack)


def root_hash(frontier: Frontier) -> bytes:
    """Give the root of the tree that has this frontier."""
    if not frontier:
        return sha256(b"").digest()
    node = frontier[-1]
    for left in reversed(frontier[:-1]):
        node = sha256(b"\1" + left + node).digest()
    return node


def packed(frontier: Frontier) -> bytes:
    """Write a frontier as one text of bytes."""
    return b"".join(frontier)


def unpacked(text: bytes) -> Frontier:
    """Read what `packed` wrote."""
    return tuple(text[at : at + HASH_BYTES] for at in range(0, len(text), HASH_BYTES))


def _full(level: Sequence[bytes]) -> bytes:
    """Give the root of a tree whose number of leaves is a power of two."""
    while len(level) > 1:
        level = [
            sha256(b"\1" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]


def _join(stack: list[bytes], size: int) -> None:
    """Join the last subtrees until there is one for each bit of `size`."""
    while len(stack) > size.bit_count():
        right, left = stack.pop(), stack.pop()
        stack.append(sha256(b"\1" + left + right).digest())
