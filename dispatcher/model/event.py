"""A fact in the outbox. It never changes; only its payload may be sealed, and later dropped."""

from dataclasses import dataclass, field
from typing import Final

from dispatcher.model.ids import EventId

UNREADABLE: Final = b""
"""Stands for a payload that does not open. It is no JSON, so shaping refuses it with a reason."""


INTAKE_FORMAT: Final = 2
"""The first byte of a payload that was sealed to the intake: a worker seals it anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event as the relay and the courier see it, its payload opened.

    `payload` is the exact JSON text; `None` once retention has dropped it. `occurred_us` is
    microseconds since the epoch, UTC. `role` is the database role that wrote the row, where that
    was not dispatcher's own; only fan-out, which judges by it, is told. `is_locked` tells that the
    payload is sealed still, for its key was not at hand when the row was read.
    """

    seq: int
    id: EventId
    tenant: str
    type: str
    producer: str
    subjects: tuple[str, ...]
    occurred_us: int
    payload: bytes | None = field(repr=False)
    ordering_key: str | None = None
    traceparent: str | None = None
    role: str | None = None
    is_locked: bool = False
