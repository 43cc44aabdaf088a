"""Sum up the events of a window into one letter: how many, sums, latest values; of groups only.

Called by the worker, page by page, for the letter of a window. The same events give the same bytes
in whatever order they come. About fewer people than the scope's `group_min` it tells nothing: a sum
or a latest value needs that many people behind it, and so does the count of events. An event that
names nobody is nobody's, and makes no group larger.
"""

from collections.abc import Iterator
from decimal import Context, Decimal
from typing import Any, Final

import msgspec

from dispatcher.model.action import ActionKind, parse_action
from dispatcher.model.event import Event
from dispatcher.model.letter import Admitted, Cleared, Shaped
from dispatcher.model.registry import WireFormat
from dispatcher.model.scope import Field, Scope
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.model.window import Window
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.envelope import format_moment
from dispatcher.stages.shaping.projection import ABSENT, note, project
from dispatcher.stages.shaping.shape import finish, read_payload
from dispatcher.stages.shaping.tokens import Tokens

GROUP_LEAST: Final = 2
"""One person is no group, whatever a scope says."""

# Ample for every sum of JSON's fractions: from 1e308 down to 5e-324.
_EXACT: Final = Context(prec=1000)


class _Aggregate:
    """What is known so far of one field; it remembers no more people than make a group."""

    __slots__ = ("at", "field", "fraction", "kind", "latest", "latest_of", "people", "whole")

    def __init__(self, at: int, field: Field) -> None:
        self.at = at
        self.field = field
        self.kind = parse_action(field.action).kind
        self.people: set[str] = set()
        self.whole = 0
        self.fraction: Decimal | None = None
        self.latest: object = None
        self.latest_of: tuple[int, int] | None = None

    def take(self, value: object, event: Event, group_min: int) -> None:
        if self.kind is ActionKind.SUM and value is None:
            return  # the schema allows it, and it is no number
        if len(self.people) < group_min:
            self.people.update(event.subjects)
        if self.kind is ActionKind.SUM:
            self._add(value)
            return
        moment = (event.occurred_us, event.seq)
        if self.latest_of is None or moment > self.latest_of:
            self.latest, self.latest_of = value, moment

    def _add(self, value: object) -> None:
        if isinstance(value, int):
            self.whole += value
        elif isinstance(value, float):
            # As it is written: a tenth is a tenth.
            written = Decimal(repr(value))
            if value.is_integer():
                self.whole += int(written)
            else:
                self.fraction = _EXACT.add(self.fraction or Decimal(0), written)

    @property
    def value(self) -> object:
        if self.kind is ActionKind.LATEST:
            return self.latest
        total = Decimal(self.whole)
        if self.fraction is not None:
            digits = self.whole.bit_length() // 3 + _EXACT.prec
            total = Context(prec=digits).add(total, self.fraction)
        return msgspec.Raw(str(total).encode())


class Tally:
    """The events of one window, taken one by one in any order; holds values, so it has no repr."""

    __slots__ = ("_aggregates", "_cleared", "_dropped", "_scope", "_tokens", "count", "people")

    def __init__(self, cleared: Cleared, tokens: Tokens) -> None:
        self._cleared = cleared
        self._tokens = tokens
        self._scope = Scope.of(_summing(cleared.scope), group_min=cleared.scope.group_min)
        self._aggregates = [_Aggregate(at, each) for at, each in enumerate(self._scope.fields)]
        self._dropped: set[int] = set()
        self.count = 0
        self.people: set[str] = set()

    def take(self, event: Event) -> Refusal | None:
        """Count one event in; say why the letter cannot be made, where it cannot."""
        limits = self._cleared.route.limits
        if event.tenant != self._cleared.leased.event.tenant:
            return refuse(Reason.TENANT_NOT_SERVED)
        if event.type != self._cleared.leased.event.type:
            return refuse(Reason.EVENT_UNREADABLE, detail="an event of another type is in it")
        document = read_payload(event)
        if isinstance(document, Refusal):
            return document
        self.count += 1
        self.people.update(event.subjects)
        if self.count > limits.records_max:
            detail = f"more than {limits.records_max} events"
            return refuse(Reason.TOO_MANY_RECORDS, detail=detail)
        if len(self.people) > limits.subjects_max:
            detail = f"more than {limits.subjects_max} subjects"
            return refuse(Reason.TOO_MANY_SUBJECTS, detail=detail)
        draft = Draft(self._scope, self._tokens)
        granted = project(document, draft)
        self._dropped |= draft.dropped
        for aggregate in self._aggregates:
            value = _find(granted, aggregate.field)
            if value is not ABSENT:
                aggregate.take(value, event, self._group_min)
        return None

    def tell(self, draft: Draft) -> dict[str, Any]:
        """Give what may be told, and note on the draft which fields that discloses."""
        if len(self.people) < self._group_min:
            return {"suppressed": True}
        draft.dropped |= self._dropped
        told: dict[str, Any] = {"suppressed": False, "count": self.count}
        for aggregate in self._aggregates:
            if len(aggregate.people) < self._group_min:
                told["suppressed"] = True
                continue
            _plant(told.setdefault(str(aggregate.kind), {}), aggregate.field, aggregate.value)
            draft.marks[aggregate.at] = 1
            if aggregate.kind.is_raw:
                note(aggregate.value, aggregate.at, draft)
        return told

    def draft(self) -> Draft:
        """Begin the notes of the letter."""
        return Draft(self._scope, self._tokens)

    @property
    def _group_min(self) -> int:
        return max(self._scope.group_min, GROUP_LEAST)


def shape_window(admitted: Admitted, window: Window, tally: Tally) -> Shaped | Refusal:
    """Make the plaintext of a window's letter; its moment is the window's end."""
    start, end = format_moment(window.start_us), format_moment(window.end_us)
    if start is None or end is None:
        return refuse(Reason.EVENT_UNREADABLE, detail="its window is not from year 1 to 9999")
    draft = tally.draft()
    data = {"window": {"start": start, "end": end}, **tally.tell(draft)}
    members: dict[str, Any] = {"data": data}
    if admitted.cleared.route.format is WireFormat.CLOUDEVENTS:
        members = {"datacontenttype": "application/json", **members}
    within = {"data": data.get("latest", {})}
    return finish(admitted, end, members, draft, tuple(sorted(tally.people)), within)


def _summing(scope: Scope) -> Iterator[Field]:
    """Give the fields that sum up: whatever else is left of an older scope stays."""
    return (field for field in scope.fields if parse_action(field.action).kind.sums_up)


def _find(granted: object, field: Field) -> object:
    for step in field.path:
        if not isinstance(granted, dict):
            return ABSENT
        granted = granted.get(step, ABSENT)
    return granted


def _plant(tree: dict[str, Any], field: Field, value: object) -> None:
    *above, name = (str(step) for step in field.path)
    for step in above:
        tree = tree.setdefault(step, {})
    tree[name] = value
