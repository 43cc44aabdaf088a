"""Reads registry files: TOML documents and the JSON Schemas they name, into one `Registry`.

Called by `apply`. Unknown keys are refused and every fault of every file is reported together, with
file, key and fix. Files are hostile input: bounded in size and number, and a schema may not be
fetched from anywhere but the folder of the file that names it.
"""

import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from dispatcher.model.errors import RegistryInvalid
from dispatcher.model.registry import Registry
from dispatcher.model.registry_files import KINDS, SINGLE, assemble, canonical_schema
from dispatcher.stages.revising.fault import Fault

FILE_BYTES_MAX: Final = 1_048_576
FILES_MAX: Final = 10_000
FAULTS_MAX: Final = 1000
"""Faults that are told of; whoever has more begins with these."""

UNREADABLE: Final = (OSError, RuntimeError, ValueError)
"""What reading hostile files raises; too deep nesting and circles of links are `RuntimeError`."""

_READERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    kind: TypeAdapter(of) for kind, of in KINDS.items()
}


def read_registry(paths: Iterable[Path]) -> Registry:
    """Read every `.toml` file of the given files and folders. Raises `RegistryInvalid`."""
    paths = tuple(paths)
    faults: list[Fault] = []
    found: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    files = registry_files(paths)
    for file in files:
        _read_file(file, found, faults)
    if len(found[SINGLE]) > 1:
        faults.append(Fault("policy", "there are several", "keep one [policy] in all the files"))
    if faults:
        raise invalid(faults, named(paths))
    return assemble(found)


def invalid(faults: Iterable[Fault], where: str) -> RegistryInvalid:
    """Make one error of all faults, each on its own line; `where` names what they were found in.

    It has the faults' own code where they share one.
    """
    found = tuple(faults)
    codes = {fault.code for fault in found}
    lines = [f"{fault.where}: {fault.why} (fix: {fault.fix})" for fault in found[:FAULTS_MAX]]
    count = f"{len(found)} faults" if len(found) > 1 else "1 fault"
    if len(found) > FAULTS_MAX:
        lines.append(f"and {len(found) - FAULTS_MAX} more")
    return RegistryInvalid(
        "\n  ".join((f"{count} in the registry files", *lines)),
        where=where,
        fix="correct the files and apply again; nothing was changed",
        code=codes.pop() if len(codes) == 1 else "",
    )


def named(paths: Iterable[Path]) -> str:
    """Name files and folders in one line."""
    return ", ".join(map(str, paths))


def registry_files(paths: Sequence[Path]) -> list[Path]:
    """Give every `.toml` file of the given files and folders. Raises `RegistryInvalid`."""
    files: list[Path] = []
    for path in paths:
        try:
            is_folder, is_file = path.is_dir(), path.is_file()
        except OSError as error:
            raise RegistryInvalid(
                f"cannot be read: {error.strerror}", where=str(path), fix="check the path"
            ) from None
        if is_folder:
            files.extend(sorted(path.rglob("*.toml")))
        elif is_file:
            files.append(path)
        else:
            raise RegistryInvalid("no such file or folder", where=str(path), fix="check the path")
    if not files:
        raise RegistryInvalid(
            "no .toml file there",
            where=named(paths),
            fix="name the folder of your registry files",
        )
    if len(files) > FILES_MAX:
        raise RegistryInvalid(f"more than {FILES_MAX} files", fix="name a smaller folder")
    return files


def _read_file(file: Path, found: dict[str, list[Any]], faults: list[Fault]) -> None:
    try:
        content = tomllib.loads(read_text(file))
    except UNREADABLE as error:
        faults.append(Fault(where=str(file), why=said(error), fix="mend the file"))
        return
    for kind, found_here in content.items():
        documents = [found_here] if kind == SINGLE else found_here
        if kind not in KINDS or not isinstance(documents, list):
            known = ", ".join(f"[{name}]" if name == SINGLE else f"[[{name}]]" for name in KINDS)
            faults.append(
                Fault(where=f"{file}: {kind}", why="unknown key", fix=f"use one of {known}")
            )
            continue
        for number, document in enumerate(documents, start=1):
            name = document.get("name", f"#{number}") if isinstance(document, dict) else number
            where = f"{file}: {kind} {name}"
            _read_document(kind, document, where, file, found, faults)


def _read_document(
    kind: str,
    document: Any,
    where: str,
    file: Path,
    found: dict[str, list[Any]],
    faults: list[Fault],
) -> None:
    if kind == "event_type" and isinstance(document, dict):
        document = _with_schema(document, where, file, faults)
        if document is None:
            return
    try:
        found[kind].append(_READERS[kind].validate_python(document))
    except ValidationError as error:
        for fault in error.errors(include_input=False, include_url=False, include_context=False):
            key = ".".join(str(part) for part in fault["loc"])
            is_unknown = fault["type"] in ("extra_forbidden", "unexpected_keyword_argument")
            faults.append(
                Fault(
                    where=f"{where}: {key}",
                    why="unknown key" if is_unknown else fault["msg"],
                    fix="see docs/registry.md for the keys there are",
                )
            )


def _with_schema(
    document: dict[str, Any], where: str, file: Path, faults: list[Fault]
) -> dict[str, Any] | None:
    """Put the schema file's text where the document names the file."""
    named = document.get("schema")
    if not isinstance(named, str):
        faults.append(
            Fault(where=f"{where}: schema", why="names no schema file", fix="name a .json file")
        )
        return None
    try:
        schema = read_schema_file(beside(file, named))
    except UNREADABLE as error:
        where = f"{where}: schema {named!r}"
        faults.append(Fault(where=where, why=said(error), fix="mend it"))
        return None
    return document | {"schema": schema}


def read_schema_file(path: Path) -> str:
    """Give the JSON of a file in its one form. Raises one of `UNREADABLE`."""
    return canonical_schema(read_text(path))


def beside(file: Path, name: str) -> Path:
    """Give the path of a file that another names; `ValueError` when it lies outside its folder."""
    folder, path = file.parent, file.parent / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError("it lies outside the registry file's folder")
    return path


def read_text(path: Path) -> str:
    """Read a file that may be anything. Raises one of `UNREADABLE`."""
    # A size on record means nothing for a device or a pipe, so those are never opened.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise ValueError(f"larger than {FILE_BYTES_MAX} bytes")
    return content.decode()


def said(error: Exception) -> str:
    """Say for a person why a file could not be read."""
    if isinstance(error, RecursionError):
        return "cannot be read: nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"cannot be read: {error}"
