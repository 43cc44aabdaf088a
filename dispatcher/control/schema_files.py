"""Reads the schemas that somebody is writing, and the sample payloads they write them after.

Called by the `schema` commands. The files are as hostile as those of `documents`, and read by the
same rules. No database is needed.
"""

import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dispatcher.control.documents import (
    UNREADABLE,
    beside,
    read_schema_file,
    read_text,
    registry_files,
    said,
)
from dispatcher.model.errors import InvalidInput, RegistryInvalid
from dispatcher.model.schema import read_json

_JSON: Final = ".json"
_STANDARD_INPUT: Final = Path("-")


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """A schema in its one form, and the file it came from."""

    path: Path
    text: str


def read_schemas(paths: Iterable[Path]) -> list[SchemaFile]:
    """Read `.json` files as schemas, and of registry files or folders every schema they name.

    Raises `InvalidInput`, naming the first file that cannot be read.
    """
    found: dict[Path, SchemaFile] = {}
    for path in paths:
        for file in [path] if path.suffix == _JSON else _named(path):
            found.setdefault(file, read_schema(file))
    return list(found.values())


def read_schema(path: Path) -> SchemaFile:
    """Read one schema file. Raises `InvalidInput`."""
    try:
        return SchemaFile(path, read_schema_file(path))
    except UNREADABLE as error:
        raise InvalidInput(
            said(error), where=str(path), fix="name a file of sound JSON", code="schema_unreadable"
        ) from None


def read_samples(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """Read sample payloads: an object, a list of objects, or one on each line; `-` is standard
    input. Raises `InvalidInput`, which quotes nothing of them."""
    return [sample for path in paths for sample in _samples(path)]


def _samples(path: Path) -> list[dict[str, Any]]:
    try:
        content = sys.stdin.buffer.read() if path == _STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise _no_sample(path, said(error)) from None
    try:
        found = read_json(content)
    except ValueError as error:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2:
            raise _no_sample(path, str(error)) from None
        found = [_line(path, number, line) for number, line in enumerate(lines, start=1)]
    samples = found if isinstance(found, list) else [found]
    if not samples or not all(isinstance(each, dict) for each in samples):
        raise _no_sample(path, "a sample is a JSON object")
    return samples


def _line(path: Path, number: int, line: bytes) -> Any:
    try:
        return read_json(line)
    except ValueError as error:
        raise _no_sample(path, f"line {number}: {error}") from None


def _no_sample(path: Path, why: str) -> InvalidInput:
    fix = "give JSON objects: one, a list of them, or one on each line"
    return InvalidInput(why, where=str(path), fix=fix, code="sample_unreadable")


def _named(path: Path) -> Iterator[Path]:
    """Give the schema files that registry files name, in order."""
    files = registry_files([path])
    found = [each for file in files for each in _named_by(file)]
    if not found:
        raise RegistryInvalid(
            "no event type there",
            where=str(path),
            fix="name a schema's .json file, or registry files with an [[event_type]]",
        )
    yield from found


def _named_by(file: Path) -> Iterator[Path]:
    try:
        kinds: Any = tomllib.loads(read_text(file)).get("event_type", [])
        for kind in kinds:
            yield beside(file, kind["schema"])
    except (*UNREADABLE, KeyError, TypeError, AttributeError) as error:
        is_ours = not isinstance(error, KeyError | TypeError | AttributeError)
        raise RegistryInvalid(
            said(error) if is_ours else "an event type names no schema file",
            where=str(file),
            fix="mend the file; 'dispatcher plan' tells all its faults",
        ) from None
