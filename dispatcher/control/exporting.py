"""Writes a registry as the files a person would keep; right after it, `plan` finds no change.

One file for each connector with its subscriptions, one for the event types beside their schemas,
one for the producers, one for the policy. A folder appears whole or not at all, and nothing that
exists is overwritten.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from dispatcher.model.errors import Conflict, InvalidInput
from dispatcher.model.registry import EventType, Registry


def export_registry(registry: Registry, folder: Path) -> tuple[Path, ...]:
    """Write the files of a registry into a new folder; give what was written.

    Raises `Conflict` when something has that name, `InvalidInput` when it cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise Conflict(
            "there is something of that name already",
            where=str(folder),
            fix="name a folder that is not there yet",
            code="folder_exists",
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            names = [_write(draft / name, text) for name, text in _files(registry)]
            draft.chmod(0o755)
            draft.rename(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise InvalidInput(
            f"the files cannot be written: {error.strerror}",
            where=str(folder),
            fix="name a place that this user may write to",
            code="folder_unwritable",
        ) from None
    return tuple(folder / name.relative_to(draft) for name in names)


def _files(registry: Registry) -> Iterator[tuple[str, str]]:
    """Give each file's name and text."""
    if registry.event_types:
        documents = [_event_type(each) for each in registry.event_types]
        yield "event_types.toml", tomli_w.dumps({"event_type": documents})
    for event_type in registry.event_types:
        schema = json.loads(event_type.schema)
        text = json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False)
        yield _schema_file(event_type), f"{text}\n"
    for connector in registry.connectors:
        subscriptions = [
            _document(each) for each in registry.subscriptions if each.connector == connector.name
        ]
        found: dict[str, Any] = {"connector": [_document(connector)]}
        if subscriptions:
            found["subscription"] = subscriptions
        # The certificates of an authority are kept as the lines they are.
        text = tomli_w.dumps(found, multiline_strings=True)
        yield f"{connector.name}.connector.toml", text
    if registry.producers:
        documents = [_document(each) for each in registry.producers]
        yield "producers.toml", tomli_w.dumps({"producer": documents})
    policy = _document(registry.policy)
    if policy:
        yield "policy.toml", tomli_w.dumps({"policy": policy})


def _event_type(event_type: EventType) -> dict[str, Any]:
    return _document(event_type) | {"schema": _schema_file(event_type)}


def _schema_file(event_type: EventType) -> str:
    return f"schemas/{event_type.name}.json"


def _document(thing: Any) -> dict[str, Any]:
    """Give an object as the files have it: no key that says only what is so anyway."""
    found: dict[str, Any] = {}
    for each in fields(thing):
        value = getattr(thing, each.name)
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if value != default:
            found[each.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Give a value as TOML has it, objects within it by the same rule."""
    if is_dataclass(value):
        return _document(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return msgspec.to_builtins(value, builtin_types=(date,))


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
