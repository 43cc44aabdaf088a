"""Is the audit log what it was? Every entry, every seal, the root, and every checkpoint kept.

Called by `audit verify`. It recomputes everything from the stored bytes and trusts nothing that the
database says about them. The tree covers every byte of entries and seals, and nobody without the
keyring can sign its root, so one comparison a checkpoint is enough; where it fails, the seals name
the very entry that was altered, removed, put in or moved. Checkpoints kept elsewhere show what not
even the seals could: a log cut off at its end, or written anew by somebody who had the keyring.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from dispatcher.model.checkpoint import Checkpoint, SignedCheckpoint, key_hash, read_notes
from dispatcher.model.errors import InvalidInput
from dispatcher.model.merkle import Frontier, grown, root_hash
from dispatcher.store.audit import Extent, Head
from dispatcher.vault.record import is_signed

PAGE_ROWS: Final = 8_192
_EMPTY: Final[Frontier] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found: `first_bad` is the place of the first entry that is not as it was written.

    `checkpoints` counts those that the log was held against, `last` is the size of the newest, and
    `fragments` counts what stood between them and could not be read.
    """

    log: str
    size: int
    root: str
    checkpoints: int
    last: int
    fragments: int
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

    async def extent(self) -> Extent:
        """Give the size it says it has, how many entries there are, and the lowest place."""
        ...

    async def leaves(self, first: int, count: int) -> list[bytes]:
        """Hash so many entries with their seals from a place on; fewer where some are missing."""
        ...

    async def rows(self, first: int, count: int) -> Sequence[tuple[int, str, bytes]]:
        """Give place, entry and seal of so many entries from a place on."""
        ...

    def seals(self, place: int, entries: Sequence[bytes]) -> list[bytes] | None:
        """Give the seals that entries must have from a place on; `None` without the keyring."""
        ...


Progress = Callable[[int, int], None]
"""Is told how many entries are done, and of how many."""


def _tell_nobody(_done: int, _size: int) -> None:
    return


async def verify(log: Log, kept: str, on_progress: Progress = _tell_nobody) -> Verification:
    """Verify a whole log against its seals, its newest checkpoint and those `kept` elsewhere.

    Raises `InvalidInput` when what was kept is not a list of checkpoints.
    """
    head = await log.head()
    checkpoints, fragments = read_notes(kept)
    if fragments and not checkpoints:
        raise InvalidInput(
            "there is no checkpoint in it",
            where="--checkpoint",
            fix="name the file that [audit] checkpoint_file names, or a copy of it",
            code="checkpoint_unreadable",
        )
    found = Verification(
        log=head.log,
        size=head.size,
        root="",
        checkpoints=len(checkpoints),
        last=max((each.checkpoint.size for each in checkpoints), default=0),
        fragments=fragments,
        is_good=False,
    )
    try:
        root = await _search(log, head, checkpoints, lambda done: on_progress(done, head.size))
    except _Bad as bad:
        return replace(found, first_bad=bad.first_bad, why=bad.why)
    return replace(found, is_good=True, root=root.hex())


async def _search(
    log: Log,
    head: Head,
    kept: list[SignedCheckpoint],
    on_progress: Callable[[int], None],
) -> bytes:
    """Go through the log from checkpoint to checkpoint; give its root, or raise `_Bad`."""
    size, frontier = 0, _EMPTY
    own, _ = read_notes(head.note)
    # The log's own comes last: where it was forged, those that were kept say what is not as it was.
    for checkpoint in (
        *_checked(kept, head, log.public_key),
        *_checked(own, head, log.public_key),
    ):
        grown_by = await _grow(log, frontier, size, checkpoint.size, on_progress)
        if grown_by is None or root_hash(grown_by) != checkpoint.root:
            raise await _first_bad(log, size, checkpoint.size)
        size, frontier = max(size, checkpoint.size), grown_by
    if size != head.size:
        raise _Bad(min(size, head.size), f"the head says {head.size} entries, not {size}")
    await _nothing_beside(log)
    return root_hash(frontier)


def _checked(signed: Iterable[SignedCheckpoint], head: Head, public_key: bytes) -> list[Checkpoint]:
    """Give the checkpoints of this log by size, each signed by its key."""
    by_size: dict[int, Checkpoint] = {}
    for each in signed:
        at = f"the checkpoint of {each.checkpoint.size} entries"
        if each.checkpoint.origin != head.log:
            raise _Bad(None, f"{at} is of another log, {each.checkpoint.origin}")
        is_ours = each.name == head.log and each.key_hash == key_hash(head.log, public_key)
        text = each.checkpoint.text.encode()
        if not is_ours or not is_signed(public_key, each.signature, text):
            raise _Bad(None, f"{at} is not signed by the key of this log")
        size = each.checkpoint.size
        if by_size.setdefault(size, each.checkpoint) != each.checkpoint:
            raise _another(size, size)
    return [by_size[size] for size in sorted(by_size)]


async def _grow(
    log: Log,
    frontier: Frontier,
    size: int,
    until: int,
    on_progress: Callable[[int], None],
) -> Frontier | None:
    """Grow the tree by the entries up to a size; `None` when they are not all there."""
    while size < until:
        count = min(PAGE_ROWS, until - size)
        leaves = await log.leaves(size, count)
        if len(leaves) != count:
            return None
        frontier = grown(frontier, size, leaves)
        size += count
        on_progress(size)
    return frontier


async def _first_bad(log: Log, since: int, until: int) -> _Bad:
    """Name the first entry of a range that is missing, or whose seal is for something else."""
    place = since
    while place < until:
        rows = await log.rows(place, min(PAGE_ROWS, until - place))
        if not rows:
            return _Bad(place, f"entry {place} and all after it are missing, up to {until - 1}")
        for seq, entry, seal in rows:
            if seq != place:
                return _Bad(place, f"entry {place} is missing")
            if log.seals(place, [entry.encode()]) not in (None, [seal]):
                return _Bad(place, f"entry {place} is not what was written there")
            place += 1
    return _another(since, until)


def _another(since: int, until: int) -> _Bad:
    if since >= until:
        return _Bad(None, f"two checkpoints of {until} entries have different roots")
    return _Bad(
        since,
        f"the entries from {since} to {until - 1} are not those that the checkpoint of {until} "
        "entries was signed for",
    )


async def _nothing_beside(log: Log) -> None:
    extent = await log.extent()
    if extent.lowest < 0:
        raise _Bad(extent.lowest, f"entry {extent.lowest} stands before the beginning of the log")
    if extent.rows != extent.size:
        place = min(extent.rows, extent.size)
        raise _Bad(place, f"there are {extent.rows} entries, and the head says {extent.size}")
