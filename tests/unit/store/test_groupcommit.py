"""Group commit: rows that arrive while a flush runs share the next one."""

import asyncio
from collections.abc import Sequence

import pytest

from dispatcher.store.groupcommit import GroupCommit


class Recorder:
    """A flush that can be made to wait or to fail, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing: set[int] = set()

    async def __call__(self, rows: Sequence[int]) -> list[str]:
        self.batches.append(list(rows))
        await self.gate.wait()
        if self.failing & set(rows):
            raise OSError("disk full")
        return [f"row {row}" for row in rows]


@pytest.fixture
def flush() -> Recorder:
    return Recorder()


@pytest.fixture
def commit(flush: Recorder) -> GroupCommit[int, str]:
    return GroupCommit(flush, rows_max=4, gather_seconds=0.005)


async def test_each_row_gets_its_own_result(commit: GroupCommit[int, str]):
    assert await asyncio.gather(*map(commit.put, range(3))) == ["row 0", "row 1", "row 2"]


async def test_rows_put_together_are_flushed_together(
    commit: GroupCommit[int, str], flush: Recorder
):
    await asyncio.gather(*map(commit.put, range(3)))
    assert flush.batches == [[0, 1, 2]]


async def test_no_batch_is_longer_than_allowed_and_the_order_is_kept(
    commit: GroupCommit[int, str], flush: Recorder
):
    await asyncio.gather(*map(commit.put, range(10)))
    assert [row for batch in flush.batches for row in batch] == list(range(10))
    assert max(map(len, flush.batches)) == 4


async def test_a_lone_row_waits_for_nobody(commit: GroupCommit[int, str]):
    async with asyncio.timeout(1):
        assert await commit.put(1) == "row 1"


async def test_a_full_batch_does_not_wait_for_the_gathering_time(flush: Recorder):
    slow = GroupCommit(flush, rows_max=4, gather_seconds=60)
    async with asyncio.timeout(1):
        await asyncio.gather(*map(slow.put, range(4)))
    assert flush.batches == [[0, 1, 2, 3]]


async def test_the_batch_grows_while_a_flush_is_on_its_way(
    commit: GroupCommit[int, str], flush: Recorder
):
    flush.gate.clear()
    first = commit.put(0)
    while not flush.batches:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    later = []
    for row in (1, 2, 3):
        later.append(commit.put(row))
        await asyncio.sleep(0.001)
    assert not any(row.done() for row in later)
    flush.gate.set()
    await asyncio.gather(first, *later)
    assert flush.batches == [[0], [1, 2, 3]]


async def test_a_failing_flush_fails_every_row_of_its_batch_and_none_of_the_next(
    commit: GroupCommit[int, str], flush: Recorder
):
    flush.failing = {2}
    done = await asyncio.gather(*map(commit.put, range(6)), return_exceptions=True)
    assert [type(each).__name__ for each in done] == ["OSError"] * 4 + ["str"] * 2
    assert await commit.put(9) == "row 9"


async def test_a_row_nobody_waits_for_any_more_does_not_stop_the_batch(
    commit: GroupCommit[int, str],
):
    first, second = commit.put(1), commit.put(2)
    first.cancel()
    assert await second == "row 2"


async def test_draining_returns_when_everything_is_written(
    commit: GroupCommit[int, str], flush: Recorder
):
    rows = [commit.put(row) for row in range(6)]
    await commit.drain()
    assert all(row.done() for row in rows)
    await commit.drain()


async def test_a_writer_that_is_cancelled_leaves_no_row_waiting_for_ever(
    commit: GroupCommit[int, str], flush: Recorder
):
    flush.gate.clear()
    row = commit.put(1)
    while not flush.batches:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(1):
            await row
    flush.gate.set()
    assert await commit.put(2) == "row 2"
