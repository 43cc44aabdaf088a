"""Reads the registry files that a product's tests are run against, with the base package alone.

Called by `plugin` and `exposure`. They are the files that `dispatcher export` writes and
`dispatcher plan` checks; here the first that cannot be read ends the reading, with its name and the
reason. It reads files and nothing else, and changes nothing.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec

from dispatcher.model.errors import RegistryInvalid
from dispatcher.model.registry import EventType, Registry
from dispatcher.model.registry_files import KINDS, SINGLE, assemble, canonical_schema

_UNREADABLE: Final = (OSError, RecursionError, ValueError)


def read_registry(*places: Path) -> Registry:
    """Read `.toml` files, and every one in the folders given. Raises `RegistryInvalid`."""
    found: dict[str, list[Any]] = defaultdict(list)
    for file in _files(places, ".toml"):
        for kind, document in _documents(file):
            found[kind].append(_convert(kind, document, file))
    if len(found[SINGLE]) > 1:
        raise RegistryInvalid("there is more than one [policy]", fix="keep one in all the files")
    return assemble(found)


def read_schemas(*places: Path) -> Registry:
    """Read `.json` files as schemas, each of the event type it is named after."""
    files = _files(places, ".json")
    return Registry(
        event_types=tuple(EventType(name=file.stem, schema=_schema(file)) for file in files)
    )


def _files(places: Iterable[Path], suffix: str) -> list[Path]:
    files: list[Path] = []
    for place in places:
        files.extend(sorted(place.rglob(f"*{suffix}")) if place.is_dir() else [place])
    if not files:
        where = ", ".join(map(str, places))
        fix = "name the folder of your registry files, as 'dispatcher export' writes it"
        raise RegistryInvalid(f"no {suffix} file there", where=where, fix=fix)
    return files


def _documents(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except _UNREADABLE as error:
        raise _invalid(file, str(error)) from None
    for kind, said in content.items():
        documents = [said] if kind == SINGLE else said
        is_known = kind in KINDS and isinstance(documents, list)
        if not is_known or not all(isinstance(each, dict) for each in documents):
            raise _invalid(file, f"there is no kind {kind!r}")
        for document in documents:
            yield kind, document


def _convert(kind: str, document: dict[str, Any], file: Path) -> Any:
    name = document.get("name", "")
    if kind == "event_type":
        document = document | {"schema": _schema(file.parent / str(document.get("schema")))}
    try:
        made: Any = msgspec.convert(document, KINDS[kind])
    except msgspec.ValidationError as error:
        raise _invalid(file, f"{kind} {name}: {error}") from None
    plain = msgspec.to_builtins(made, builtin_types=(date,))
    for key in _unknown_keys(document, plain):
        raise _invalid(file, f"{kind} {name}: there is no key {key!r}")
    return made


def _unknown_keys(given: object, known: object) -> Iterator[str]:
    """Find the keys that nobody read: one that is misspelt would otherwise do nothing."""
    if isinstance(given, dict) and isinstance(known, Mapping):
        for key, inner in given.items():
            if key not in known:
                yield key
            else:
                yield from _unknown_keys(inner, known[key])
    elif isinstance(given, list) and isinstance(known, list | tuple):
        for inner, read in zip(given, known, strict=True):
            yield from _unknown_keys(inner, read)


def _schema(file: Path) -> str:
    try:
        return canonical_schema(file.read_text(encoding="utf-8"))
    except _UNREADABLE as error:
        raise _invalid(file, str(error)) from None


def _invalid(file: Path, why: str) -> RegistryInvalid:
    return RegistryInvalid(
        why, where=str(file), fix="'dispatcher plan' names all faults of registry files"
    )
