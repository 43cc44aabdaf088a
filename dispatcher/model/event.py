"""A fact in the outbox. It never changes; only its payload may be sealed, and later dropped.

With the payload is sealed what else of an event may speak of people: `Content` is the whole.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from dispatcher.model.ids import EventId

UNREADABLE: Final = b""
"""Stands for a payload that does not open. It is no JSON, so shaping refuses it with a reason."""


SEALED_SUBJECTS: Final = "*"
"""Stands in a row for subjects that are sealed with the payload. It is no JSON."""

INTAKE_FORMAT: Final = 2
"""The first byte of a payload that was sealed to the intake: a worker seals it anew."""
INTAKE_MARK: Final = bytes([INTAKE_FORMAT])


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event as the relay and the courier see it, its payload opened.

    `payload` is the exact JSON text; `None` once retention has dropped it. `occurred_us` is
    microseconds since the epoch, UTC. `role` is the database role that wrote the row, where that
    was not dispatcher's own; only fan-out, which judges by it, is told. `is_locked` tells that the
    payload is sealed still, for its key was not at hand when the row was read; then subjects and
    ordering key, sealed with it, are not known. `subjects_text` is what `subjects` were read from.
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
    subjects_text: str = field(default="[]", repr=False)


class Content(NamedTuple):
    """What is sealed of an event as one record: whom it is about, as JSON, its key, its payload."""

    subjects: str
    ordering_key: str | None
    payload: bytes

    def pack(self, event_type: str) -> bytes:
        """Give the bytes that are sealed, with the type: by that it is granted who sees what."""
        head = msgspec.json.encode((event_type, self.subjects, self.ordering_key))
        return len(head).to_bytes(_HEAD_BYTES, "big") + head + self.payload

    @classmethod
    def unpack(cls, packed: bytes, event_type: str) -> "Content | None":
        """Read what was sealed; `None` where it is not of this form, or not of this type."""
        start = _HEAD_BYTES + int.from_bytes(packed[:_HEAD_BYTES], "big")
        try:
            sealed_type, subjects, ordering_key = _head.decode(packed[_HEAD_BYTES:start])
        except (msgspec.MsgspecError, UnicodeError):
            return None
        if sealed_type != event_type:
            return None
        return cls(subjects, ordering_key, packed[start:])


def read_subjects(text: str) -> tuple[str, ...] | None:
    """Read whom an event is about; `None` when a row written by hand does not say it properly.

    Whoever is named twice is one subject.
    """
    try:
        return tuple(dict.fromkeys(_subjects.decode(text)))
    except (msgspec.MsgspecError, UnicodeError):
        return None


_HEAD_BYTES: Final = 4
_head = msgspec.json.Decoder(tuple[str, str, str | None])
_subjects = msgspec.json.Decoder(tuple[str, ...])
