"""What is wrong with an event type: its version, its limit, its schema, its classes."""

from collections.abc import Iterator
from typing import Any, Final

from dispatcher.model.registry import EventType
from dispatcher.model.schema import compile_schema, read_schema
from dispatcher.stages.revising.fault import Fault, out_of_range
from dispatcher.stages.shaping.schema import CLASSIFICATION, classify

PAYLOAD_BYTES_LIMIT: Final = 16 * 1024 * 1024
VERSION_LIMIT: Final = 1_000_000
OWN_PREFIX: Final = "dispatcher."
"""What is sent under such a name comes from nobody's outbox: a challenge, for one."""
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


def check_event_type(event_type: EventType) -> Iterator[Fault]:
    """Find every fault of one event type."""
    of = f"event type {event_type.name!r}"
    if event_type.name.startswith(OWN_PREFIX):
        yield Fault(f"{of}: name", f"{OWN_PREFIX}* are dispatcher's own", "choose another name")
    if not 1 <= event_type.payload_bytes_max <= PAYLOAD_BYTES_LIMIT:
        yield out_of_range(f"{of}: payload_bytes_max", 1, PAYLOAD_BYTES_LIMIT)
    if not 1 <= event_type.version <= VERSION_LIMIT:
        yield out_of_range(f"{of}: version", 1, VERSION_LIMIT)
    try:
        schema = read_schema(event_type.schema)
    except ValueError as error:
        yield Fault(f"{of}: schema", str(error), "write one JSON object")
        return
    faults = [*_check_schema_words(f"{of}: schema", schema)]
    yield from faults
    if faults:
        return
    try:
        compile_schema(event_type.schema)
    except ValueError as error:
        why = str(error).partition("\n")[0]
        yield Fault(f"{of}: schema", f"not JSON Schema 2020-12: {why}", "correct the schema")


def _check_schema_words(where: str, schema: object) -> Iterator[Fault]:
    """Find references and misspelt classes anywhere in the schema."""
    waiting: list[object] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            waiting.extend(node.values())
            yield from _check_node(where, node)


def _check_node(where: str, node: dict[str, Any]) -> Iterator[Fault]:
    for word in _REFERENCES:
        if isinstance(node.get(word), str):
            yield Fault(where, f"{word} is not supported", "write the referenced schema in place")
    said = node.get(CLASSIFICATION)
    # A member of `properties` may bear the word as its name: then it is a schema, not a class.
    is_class = CLASSIFICATION in node and not (isinstance(said, dict) and "type" in said)
    if is_class and classify(node) is None:
        yield Fault(
            where,
            f"{CLASSIFICATION} is not in the vocabulary",
            'write {"category": ..., "sensitivity": ...} with the words of the documentation',
        )
