"""Keeps a list of the fields that events carry and nobody has classed, for whoever keeps schemas.

The relay lets it look at one event of each type a second; upkeep has it write down what it found
and strike out what a later schema classes. It holds up neither: looking is bounded, writing is a
chore of its own. Names of places only, never a value.
"""

from typing import Final

from dispatcher.model.event import Event
from dispatcher.model.ids import Revision
from dispatcher.model.path import format_path
from dispatcher.model.registry import EventType
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Refusal
from dispatcher.stages.shaping.shape import read_payload
from dispatcher.stages.shaping.surveying import classed_places, survey
from dispatcher.store.triage import PATH_CHARS_MAX
from dispatcher.worker.kit import Kit

LOOK_SECONDS: Final = 1.0
"""How long an event type is left alone after an event of it was looked at."""
WRITE_SECONDS: Final = 60.0
"""How long a place that was written down is not written down again."""
LOOK_BYTES_MAX: Final = 262_144
PLACES_MAX: Final = 1000
"""How many places of one event type are kept."""

_Place = tuple[str, str]


class Triage:
    """What one worker has seen since the registry last moved."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._rests: dict[str, float] = {}
        self._seen: dict[str, dict[str, str]] = {}
        self._due: dict[_Place, float] = {}
        self._new: dict[_Place, str] = {}
        self._settled = Revision(0)

    def look(self, event: Event, event_type: EventType) -> None:
        """Look at an event, unless one of its type was looked at a moment ago."""
        now = self._kit.clock.boot()
        if now < self._rests.get(event_type.name, 0.0):
            return
        self._rests[event_type.name] = now + LOOK_SECONDS
        if event.payload is None or len(event.payload) > LOOK_BYTES_MAX:
            return
        document = read_payload(event)
        if isinstance(document, Refusal):
            return
        for stray in survey(document, event_type.schema):
            counter = self._kit.metrics.fields_withheld
            counter.labels(event_type.name, stray.lack.value).inc()
            self._note(event_type.name, format_path(stray.path), stray.lack.value, now)

    def _note(self, event_type: str, path: str, lack: str, now: float) -> None:
        seen = self._seen.setdefault(event_type, {})
        is_new = seen.get(path) != lack
        if is_new and (len(seen) >= PLACES_MAX or len(path) > PATH_CHARS_MAX):
            return
        if is_new or now >= self._due[event_type, path]:
            seen[path] = lack
            self._due[event_type, path] = now + WRITE_SECONDS
            self._new[event_type, path] = lack

    async def write(self, snapshot: Snapshot) -> None:
        """Write down what is new, and strike out what this revision classes."""
        if snapshot.revision != self._settled:
            await self._settle(snapshot)
            self._settled = snapshot.revision
        new, self._new = self._new, {}
        try:
            if new:
                await self._kit.triage.remember(new)
        except BaseException:
            self._new = new | self._new
            raise

    async def _settle(self, snapshot: Snapshot) -> None:
        """Strike out what has a class now; what was seen since the revision came is kept."""
        types = snapshot.event_types

        def is_settled(name: str, path: str) -> bool:
            return name not in types or path in classed_places(types[name].schema)

        places = await self._kit.triage.places()
        await self._kit.triage.settle(place for place in places if is_settled(*place))
        self._new = {place: lack for place, lack in self._new.items() if not is_settled(*place)}
        for name, seen in list(self._seen.items()):
            self._seen[name] = {p: lack for p, lack in seen.items() if not is_settled(name, p)}
        self._due = {place: due for place, due in self._due.items() if not is_settled(*place)}
