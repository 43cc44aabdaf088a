"""Is the audit log what it was? Every entry, every seal, the root, and every checkpoint kept.

Called by `audit verify`. It recomputes everything from the stored bytes and trusts nothing that the
database says about them. The tree covers every byte, so one comparison a checkpoint is enough;
where it fails, the seals name the very entry that was altered, removed, put in or moved.
Checkpoints kept elsewhere show what not even the seals could: a log cut off at its end, or written
anew by somebody who had the keyring.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from dispatcher.model.checkpoint import Checkpoint, SignedCheckpoint, key_hash, read_notes
from dispatcher.model.errors import InvalidInput
from dispatcher.model.merkle import Frontier, grown, leaf_hash, root_hash
from dispatcher.store.audit import Head
from dispatcher.vault.record import is_signed

PAGE_ROWS: Final = 4_000
_EMPTY: Final[Frontier] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found: `first_bad` is the place of the first entry that is not as it was written.

    `checkpoints` counts those that the log was held against, `last` is the size of the newest.
    """

    log: str
    size: int
    root: str
    checkpoints: int
    last: int
    is_good: bool
    first_bad: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Bad(Exception):
    first_bad: int | None
    why: str


class Log(Protocol):
    """What is verified: a registry's log, or a file that it was written to."""

    @property
    def public_key(self) -> bytes:
        """The key that checkpoints of this log are signed with."""
        ...

    async def head(self) -> Head:
        """Give its name, its size, and its newest checkpoint if it has one of its own."""
        ...

    async def rows(self, first: int, count: int) -> Sequence[tuple[int, str, bytes]]:
        """Give place, entry and seal of so many entries from a place on."""
        ...

    def seal(self, place: int, entry: bytes) -> bytes | None:
        """Give the seal an entry must have at a place; `None` for those without the keyring."""
        ...


async def verify(
    log: Log, kept: str, on_progress: Callable[[int], None] = lambda _done: None
) -> Verification:
    """Verify a whole log against its seals, its newest checkpoint and those `kept` elsewhere.

    Raises `InvalidInput` when what was kept is not a list of checkpoints.
    """
    head = await log.head()
    checkpoints = _read(kept)
    try:
        root = await _search(log, head, checkpoints, on_progress)
    except _Bad as bad:
        return _found(head, checkpoints, is_good=False, first_bad=bad.first_bad, why=bad.why)
    return _found(head, checkpoints, is_good=True, root=root.hex())


async def _search(
    log: Log,
    head: Head,
    kept: list[SignedCheckpoint],
    on_progress: Callable[[int], None],
) -> bytes:
    """Go through the log from checkpoint to checkpoint; give its root, or raise `_Bad`."""
    size, frontier = 0, _EMPTY
    for checkpoint in _checked([*kept, *_read(head.note)], head, log.public_key):
        grown_by = await _grow(log, frontier, size, checkpoint.size, on_progress)
        if grown_by is None or root_hash(grown_by) != checkpoint.root:
            raise await _first_bad(log, size, checkpoint.size)
        size, frontier = checkpoint.size, grown_by
    if size != head.size:
        raise _Bad(min(size, head.size), f"the head says {head.size} entries, not {size}")
    await _nothing_after(log, head)
    return root_hash(frontier)


def _read(text: str) -> list[SignedCheckpoint]:
    try:
        return list(read_notes(text))
    except ValueError as error:
        raise InvalidInput(
            f"not a list of checkpoints: {error}",
            where="--checkpoint",
            fix="name the file that [audit] checkpoint_file names, or a copy of it",
            code="checkpoint_unreadable",
        ) from None


def _checked(signed: Iterable[SignedCheckpoint], head: Head, public_key: bytes) -> list[Checkpoint]:
    """Give the checkpoints of this log by size, each signed by its key."""
    found = []
    for each in signed:
        at = f"the checkpoint of {each.checkpoint.size} entries"
        if each.checkpoint.origin != head.log:
            raise _Bad(None, f"{at} is of another log, {each.checkpoint.origin}")
        is_ours = each.name == head.log and each.key_hash == key_hash(head.log, public_key)
        text = each.checkpoint.text.encode()
        if not is_ours or not is_signed(public_key, each.signature, text):
            raise _Bad(None, f"{at} is not signed by the key of this log")
        found.append(each.checkpoint)
    return sorted(set(found), key=lambda each: each.size)


async def _grow(
    log: Log,
    frontier: Frontier,
    size: int,
    until: int,
    on_progress: Callable[[int], None],
) -> Frontier | None:
    """Grow the tree by the entries up to a size; `None` when they are not all there."""
    while size < until:
        rows = await log.rows(size, min(PAGE_ROWS, until - size))
        if not rows or [row[0] for row in rows] != list(range(size, size + len(rows))):
            return None
        leaves = [leaf_hash(entry.encode() + seal) for _, entry, seal in rows]
        frontier = grown(frontier, size, leaves)
        size += len(rows)
        on_progress(size)
    return frontier


async def _first_bad(log: Log, since: int, until: int) -> _Bad:
    """Name the first entry of a range whose seal is not for what stands there."""
    place = since
    while place < until:
        rows = await log.rows(place, min(PAGE_ROWS, until - place))
        if not rows:
            return _Bad(place, f"entry {place} and all after it are missing, up to {until - 1}")
        for seq, entry, seal in rows:
            if seq != place:
                return _Bad(place, f"entry {place} is missing")
            if log.seal(place, entry.encode()) not in (None, seal):
                return _Bad(place, f"entry {place} is not what was written there")
            place += 1
    return _Bad(
        since,
        f"the entries from {since} to {until - 1} are not those that the checkpoint of {until} "
        "entries was signed for",
    )


async def _nothing_after(log: Log, head: Head) -> None:
    for seq, _, _ in await log.rows(head.size, 1):
        # Somebody may have done something meanwhile: then the log has grown too.
        if seq >= (await log.head()).size:
            raise _Bad(seq, f"entry {seq} stands after the end of the log")


def _found(
    head: Head,
    kept: list[SignedCheckpoint],
    *,
    is_good: bool,
    root: str = "",
    first_bad: int | None = None,
    why: str = "",
) -> Verification:
    return Verification(
        log=head.log,
        size=head.size,
        root=root,
        checkpoints=len(kept),
        last=max((each.checkpoint.size for each in kept), default=0),
        is_good=is_good,
        first_bad=first_bad,
        why=why,
    )
