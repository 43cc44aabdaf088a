"""Judge an event against its event type before it is taken in: its payload, and its subjects.

Called by the producer before anything is written, and by the relay for rows another language wrote.
It never puts a value, nor a member name that only the data knows, into its answer: places are named
as the schema names them.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import jsonschema_rs

from dispatcher.model.path import Path, format_path
from dispatcher.model.registry import EventType
from dispatcher.model.schema import compile_schema, read_json
from dispatcher.model.verdict import Reason, Refusal, refuse

_EACH: Final = frozenset(
    {"items", "contains", "unevaluatedItems", "additionalProperties", "unevaluatedProperties"}
)
_EACH_NAMED: Final = frozenset({"patternProperties", "prefixItems"})
_NAMED: Final = frozenset({"dependentSchemas", "$defs"})


def check_subjects(count: int, event_type: EventType) -> Refusal | None:
    """Say why an event about so many subjects may not be taken in, or nothing if it may."""
    if count <= event_type.subjects_max:
        return None
    return refuse(
        Reason.TOO_MANY_SUBJECTS, detail=f"{count} subjects, at most {event_type.subjects_max}"
    )


def check_payload(payload: bytes, event_type: EventType) -> Refusal | None:
    """Say why this payload may not be taken in, or nothing if it may."""
    if len(payload) > event_type.payload_bytes_max:
        return refuse(
            Reason.PAYLOAD_TOO_LARGE,
            detail=f"{len(payload)} bytes, at most {event_type.payload_bytes_max}",
        )
    try:
        document = read_json(payload)
    except ValueError as error:
        return refuse(Reason.SCHEMA_INVALID, detail=str(error))
    if not isinstance(document, dict):
        return refuse(Reason.SCHEMA_INVALID, detail="not a JSON object")
    try:
        validator = compile_schema(event_type.schema)
    except ValueError:
        return refuse(Reason.SCHEMA_INVALID, detail=f"the schema of {event_type.name} is broken")
    if validator.is_valid(document):
        return None
    fault = next(iter(validator.iter_errors(document)))
    return refuse(Reason.SCHEMA_INVALID, detail=_describe(fault))


def _describe(fault: jsonschema_rs.ValidationError) -> str:
    """Name the place and the keyword, from the schema alone: the library's text quotes values."""
    keyword, way = fault.kind.name, fault.schema_path
    path = list(_place(way[:-1] if way[-1:] == [keyword] else way))
    if isinstance(fault.kind, jsonschema_rs.ValidationErrorKind.Required):
        path.append(fault.kind.property)
    return f"{format_path(Path(tuple(path)))}: {keyword}"


def _place(schema_path: Sequence[str | int]) -> Iterator[str | None]:
    """Turn the way through the schema into the way through the document."""
    steps = iter(schema_path)
    for step in steps:
        if step == "properties":
            name = next(steps, None)
            if isinstance(name, str):
                yield name
        elif step in _EACH:
            yield None
        elif step in _EACH_NAMED:
            next(steps, None)
            yield None
        elif step in _NAMED:
            next(steps, None)
