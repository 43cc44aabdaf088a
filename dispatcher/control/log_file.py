"""The audit log as a file: what an auditor takes away, and verifies with the public key alone.

The newest checkpoint and an empty line; then one line an entry: its seal in hexadecimal, a blank,
and its exact bytes. Written by `audit export`, read by `audit verify --log`; nothing in it needs
the keyring or the database.
"""

import base64
import binascii
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from dispatcher.control.auditing import PAGE_ROWS, Progress
from dispatcher.model.checkpoint import read_notes, verifier_key
from dispatcher.model.errors import Conflict, InvalidInput
from dispatcher.model.merkle import leaf_hash
from dispatcher.store.audit import AuditLog, Extent, Head

_LINE: Final = re.compile(r"([0-9a-f]{64}) (\{.*\})")
LINE_BYTES_MAX: Final = 1 << 24
NOTE_LINES: Final = 6


async def write_log(audit: AuditLog, file: Path, on_progress: Progress) -> int:
    """Write the log, whole or not at all; give how many entries it has.

    Raises `Conflict` when something has that name, `InvalidInput` when it cannot be written.
    """
    head = await audit.head()
    with _drafted(file) as draft:
        draft.write(f"{head.note}\n".encode())
        for first in range(0, head.size, PAGE_ROWS):
            rows = await audit.rows(first, min(PAGE_ROWS, head.size - first))
            draft.writelines(f"{seal.hex()} {entry}\n".encode() for _, entry, seal in rows)
            on_progress(first + len(rows), head.size)
    return head.size


@contextmanager
def _drafted(file: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name only once it is whole, and no other's."""
    try:
        with tempfile.NamedTemporaryFile("wb", dir=file.parent) as draft:
            yield draft
            draft.flush()
            os.fsync(draft.fileno())
            os.link(draft.name, file)
    except FileExistsError:
        raise Conflict(
            "there is something of that name already",
            where=str(file),
            fix="name a file that is not there yet",
            code="file_exists",
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"the log cannot be written: {error.strerror}",
            where=str(file),
            fix="name a place that this user may write to",
            code="file_unwritable",
        ) from None


class LogFile:
    """A log that was written to a file, to be verified with a public key.

    `key` is as `audit checkpoint --key` prints it: name, hash and key. Raises `InvalidInput` for
    another.
    """

    def __init__(self, file: Path, key: str) -> None:
        self._name, self.public_key = _read_key(key)
        self._file = file
        self._lines: Iterator[tuple[str, bytes]] = iter(())
        self._next = 0
        self._note = ""

    async def head(self) -> Head:
        """Give its name, how many entries it has, and the checkpoint it was written with."""
        size = (await self.extent()).size
        if not read_notes(self._note)[0]:
            raise self._not_a_log("it begins with no checkpoint")
        return Head(self._name, size, self._note)

    async def rows(self, first: int, count: int) -> Sequence[tuple[int, str, bytes]]:
        """Give some lines; going on where the last call ended costs nothing."""
        if first != self._next or not first:
            self._lines, self._next = self._read(), 0
            while self._next < first and next(self._lines, None) is not None:
                self._next += 1
        found = []
        for place in range(first, first + count):
            line = next(self._lines, None)
            if line is None:
                break
            found.append((place, *line))
        self._next = first + len(found)
        return found

    async def extent(self) -> Extent:
        """Give how many entries it has, from 0 on."""
        size = sum(1 for _ in self._read())
        return Extent(size, size, 0)

    async def leaves(self, first: int, count: int) -> list[bytes]:
        """Hash some entries with their seals."""
        return [
            leaf_hash(entry.encode() + seal) for _, entry, seal in await self.rows(first, count)
        ]

    def seals(self, _place: int, _entries: Sequence[bytes]) -> list[bytes] | None:
        """Nobody without the keyring can tell."""
        return None

    def _read(self) -> Iterator[tuple[str, bytes]]:
        try:
            with self._file.open("rb") as file:
                note = [file.readline(LINE_BYTES_MAX) for _ in range(NOTE_LINES)]
                self._note = b"".join(note).decode(errors="replace")
                number = NOTE_LINES
                while line := file.readline(LINE_BYTES_MAX):
                    number += 1
                    yield self._split(line, number)
        except OSError as error:
            raise self._not_a_log(f"the log cannot be read: {error.strerror}") from None

    def _split(self, line: bytes, number: int) -> tuple[str, bytes]:
        try:
            found = _LINE.fullmatch(line.decode().removesuffix("\n"))
        except UnicodeDecodeError:
            found = None
        if found is None:
            raise self._not_a_log(f"line {number} is not an entry of a log")
        return found[2], bytes.fromhex(found[1])

    def _not_a_log(self, why: str) -> InvalidInput:
        return InvalidInput(
            why,
            where=str(self._file),
            fix="name a file that 'dispatcher audit export' wrote",
            code="log_unreadable",
        )


def _read_key(text: str) -> tuple[str, bytes]:
    name, _, rest = text.strip().partition("+")
    try:
        key = base64.b64decode(rest.partition("+")[2], validate=True)[1:]
    except binascii.Error:
        key = b""
    if len(key) != 32 or verifier_key(name, key) != text.strip():
        raise InvalidInput(
            "not the key of an audit log",
            where="--key",
            fix="give what 'dispatcher audit checkpoint --key' prints",
            code="key_malformed",
        )
    return name, key
