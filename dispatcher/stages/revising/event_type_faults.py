"""What is wrong with an event type: its name, its version, its limits, its schema, its classes."""

import re
from collections.abc import Iterator
from typing import Final

from dispatcher.model.registry import EventType
from dispatcher.stages.revising.fault import Fault, out_of_range
from dispatcher.stages.shaping.linting import lint_schema

PAYLOAD_BYTES_LIMIT: Final = 16 * 1024 * 1024
SUBJECTS_LIMIT: Final = 1000
VERSION_LIMIT: Final = 1_000_000
_NAME: Final = re.compile(r"(?=.{1,64}\Z)[a-z0-9_]+(?:\.[a-z0-9_]+)*\Z")
"""By Standard Webhooks, so that a partner may filter by a name's beginning: `order.`."""
OWN_PREFIX: Final = "dispatcher."
"""What is sent under such a name comes from nobody's outbox: a challenge, for one."""


def check_event_type(event_type: EventType) -> Iterator[Fault]:
    """Find every fault of one event type."""
    of = f"event type {event_type.name!r}"
    if not _NAME.match(event_type.name):
        yield Fault(
            f"{of}: name",
            "not a name for an event type",
            "write words of lower-case letters, digits and '_', with a '.' between them, as in "
            "order.paid_late; at most 64",
        )
    if event_type.name.startswith(OWN_PREFIX):
        yield Fault(f"{of}: name", f"{OWN_PREFIX}* are dispatcher's own", "choose another name")
    if not 1 <= event_type.payload_bytes_max <= PAYLOAD_BYTES_LIMIT:
        yield out_of_range(f"{of}: payload_bytes_max", 1, PAYLOAD_BYTES_LIMIT)
    if not 0 <= event_type.subjects_max <= SUBJECTS_LIMIT:
        yield out_of_range(f"{of}: subjects_max", 0, SUBJECTS_LIMIT)
    if not 1 <= event_type.version <= VERSION_LIMIT:
        yield out_of_range(f"{of}: version", 1, VERSION_LIMIT)
    for flaw in lint_schema(event_type.schema):
        yield Fault(f"{of}: schema {flaw.path}", flaw.why, flaw.fix)
