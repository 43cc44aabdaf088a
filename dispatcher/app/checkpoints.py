"""Keeps the audit log's checkpoints where no role of the database can rewrite them: in a file, and
in the log of serving processes.

Every process that changes something does it once its change is durable, and serving processes when
others did. A file that cannot be written is told, and stops nothing: a hold must work at three in
the morning on a full disk.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from dispatcher.model.errors import DispatcherError
from dispatcher.store.audit import AuditLog
from dispatcher.telemetry import log

EVERY_SECONDS: Final = 60.0
WAIT_SECONDS: Final = 2.0
_MODE: Final = 0o640


def keep_checkpoints(path: Path | None) -> Callable[[str], Awaitable[None]]:
    """Give what logs a checkpoint, and appends it to this file if there is one."""

    async def keep(note: str) -> None:
        log.logger().info("audit_checkpoint", note=note)
        if path is None:
            return
        try:
            # A file system that hangs may not hold up whoever waits for a stop to be confirmed.
            async with asyncio.timeout(WAIT_SECONDS):
                await asyncio.shield(asyncio.to_thread(_append, path, note))
        except (OSError, TimeoutError) as error:
            log.logger().warning(
                "checkpoint_not_kept",
                path=str(path),
                error=getattr(error, "strerror", None) or type(error).__name__,
                fix="let this user write to the file, or name another as [audit] checkpoint_file",
            )

    return keep


async def follow_checkpoints(audit: AuditLog, path: Path | None) -> None:
    """Keep a copy of the newest checkpoint from time to time, whoever made it; until cancelled."""
    keep, kept = keep_checkpoints(path), ""
    while True:
        try:
            head = await audit.head()
        except DispatcherError:
            head = None  # the database is away: there is nothing new to keep
        if head is not None and head.note not in ("", kept):
            kept = head.note
            await keep(kept)
        await asyncio.sleep(EVERY_SECONDS)


def _append(path: Path, note: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
    try:
        # The blank line ends whatever a full disk cut off before.
        os.write(handle, f"\n{note}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
