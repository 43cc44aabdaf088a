"""Group commit: many small writes share one durable transaction.

Rows gather while the previous flush is on its way to the disk, so the batch grows with the load and
a lone row waits for nobody. Used for the ledger and for settlements by the worker; knows nothing of
what a row means. A flush that fails fails every row in it, and never the next batch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")


class GroupCommit(Generic[Row, Result]):
    """A buffer in front of one writing function, which returns a result for each row."""

    def __init__(
        self,
        flush: Callable[[Sequence[Row]], Awaitable[Sequence[Result]]],
        *,
        rows_max: int,
        gather_seconds: float,
    ) -> None:
        self._flush = flush
        self._rows_max = rows_max
        self._gather_seconds = gather_seconds
        self._waiting: list[tuple[Row, asyncio.Future[Result]]] = []
        self._full = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def put(self, row: Row) -> asyncio.Future[Result]:
        """Add a row; the future resolves once its transaction is durable."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if len(self._waiting) >= self._rows_max:
            self._full.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return future

    async def drain(self) -> None:
        """Return when everything put so far is written or has failed."""
        while self._writer is not None:
            await asyncio.shield(self._writer)

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch = self._waiting[: self._rows_max]
                del self._waiting[: self._rows_max]
                await self._flush_batch(batch)
        finally:
            self._writer = None

    async def _gather(self) -> None:
        if len(self._waiting) >= self._rows_max:
            return
        self._full.clear()
        try:
            async with asyncio.timeout(self._gather_seconds):
                await self._full.wait()
        except TimeoutError:
            return

    async def _flush_batch(self, batch: list[tuple[Row, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([row for row, _ in batch])
            settled = list(zip(batch, results, strict=True))
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
                    future.exception()
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), result in settled:
            if not future.done():
                future.set_result(result)
