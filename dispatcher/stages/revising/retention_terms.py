"""What is wrong with the policy's windows, and which way a change of them goes.

Asked by `faults` and `diff`. To keep longer is to widen, to keep shorter is to narrow. Every change
of a legal hold that is in force takes a second person: one that begins keeps more, and what goes
because one ends cannot be brought back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date
from typing import Final

from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.registry import Registry
from dispatcher.model.retention import FOREVER, Ceiling, LegalHold, Retention, Span, Store
from dispatcher.stages.revising.fault import NAME, Fault, bad_name, out_of_range
from dispatcher.stages.revising.retention import (
    CLASSES,
    KEYS,
    classes_of,
    span_us,
    window_of,
)

RETENTION_FOREVER: Final = "retention_forever"
"""The code of a window without an end where personal data may lie."""
HOLD_DAYS_MAX: Final = 1827
"""How long a legal hold may last before somebody has to look at it again."""
LIMITS: Final[Mapping[str, int]] = {
    "payload_hours": 8760,
    "dead_payload_days": 365,
    "envelope_days": 3650,
    "finding_days": 3650,
    "ticket_days": 365,
    "ledger_days": 3650,
    "triage_days": 36500,
    "purge_days": 36500,
}
_MAY_BE_FOREVER: Final = frozenset(KEYS[store][0] for store in Store if not store.is_personal)
_WINDOWS: Final = tuple(each.name for each in fields(Ceiling))


def check_retention(retention: Retention, known: set[str]) -> Iterator[Fault]:
    """Find windows out of range or without an end, classes and holds that make no sense."""
    for key, limit in LIMITS.items():
        yield from _check_span(f"policy: retention {key}", key, getattr(retention, key), limit)
    for name, ceiling in retention.classes.items():
        where = f"policy: retention classes {name}"
        if name not in CLASSES:
            yield Fault(where, "not a class", f"use one of {', '.join(sorted(CLASSES))}")
        if ceiling == Ceiling():
            yield Fault(where, "no window", f"give one of {', '.join(_WINDOWS)}, or leave it out")
        for key in _WINDOWS:
            span = getattr(ceiling, key)
            if span is not None:
                yield from _check_span(f"{where} {key}", key, span, LIMITS[key])
    seen: set[str] = set()
    for hold in retention.holds:
        yield from _check_hold(hold, seen, known)
        seen.add(hold.name)


def _check_span(where: str, key: str, span: Span, limit: int) -> Iterator[Fault]:
    if span == FOREVER:
        if key not in _MAY_BE_FOREVER:
            yield Fault(
                where,
                f"{RETENTION_FOREVER}: personal data may lie there, and it must end",
                f"write a number up to {limit}, or name what must be kept in "
                "[[policy.retention.holds]], with an owner and an end",
                code=RETENTION_FOREVER,
            )
    elif not 0 < span <= limit:
        yield out_of_range(where, 0, limit)


def _check_hold(hold: LegalHold, seen: set[str], known: set[str]) -> Iterator[Fault]:
    where = f"policy: retention hold {hold.name!r}"
    if not NAME.match(hold.name):
        yield bad_name(where)
    if hold.name in seen:
        yield Fault(where, "defined more than once", "give each its own name")
    for key in ("owner", "reason"):
        if not getattr(hold, key).strip():
            yield Fault(f"{where} {key}", "empty", "say who answers for it, and why it must be")
    if not hold.tenant and not hold.event_type:
        yield Fault(where, "holds nothing", "name a tenant, an event_type, or both")
    if hold.event_type and hold.event_type not in known:
        why = f"there is no event type {hold.event_type!r}"
        yield Fault(f"{where} event_type", why, "name one that there is; keep it while it is held")
    if not 0 <= (hold.until - hold.since).days <= HOLD_DAYS_MAX:
        why = f"lasts more than {HOLD_DAYS_MAX} days, or ends before it begins"
        yield Fault(f"{where} until", why, "name an end; before it comes, begin the hold anew")


def compare_retention(old: Registry, new: Registry, today: date) -> Iterator[Change]:
    """Give what is kept for longer, and for less long, and every legal hold that changes."""
    was, now = old.policy.retention, new.policy.retention
    for key in LIMITS:
        yield from _compare_spans("policy", key, getattr(was, key), getattr(now, key))
    for name in sorted(was.classes.keys() | now.classes.keys()):
        before, after = was.classes.get(name, Ceiling()), now.classes.get(name, Ceiling())
        for key in _WINDOWS:
            spans = getattr(before, key), getattr(after, key)
            yield from _compare_spans("policy", f"{key} for class {name}", *spans)
    yield from _compare_holds(was, now, today)
    yield from _compare_types(old, new)


def _compare_spans(where: str, what: str, was: Span | None, now: Span | None) -> Iterator[Change]:
    if was == now:
        return
    key = what.partition(" ")[0]
    # No ceiling is one without an end.
    before, after = (span_us(key, FOREVER if span is None else span) for span in (was, now))
    direction = Direction.WIDENS if after > before else Direction.NARROWS
    what = f"{what}: {_said(now)}, was {_said(was)}"
    yield Change(direction, Aspect.RETENTION, where, what)


def _compare_holds(was: Retention, now: Retention, today: date) -> Iterator[Change]:
    before, after = (
        {hold.name: hold for hold in each.holds if hold.until >= today} for each in (was, now)
    )
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) == after.get(name):
            continue
        what = f"the legal hold on {_covered(before[name])} ends" if name in before else ""
        if name in after:
            hold = after[name]
            begins = f"everything about {_covered(hold)} is kept through {hold.until}"
            what = f"{what}; {begins}" if what else begins
        yield Change(Direction.WIDENS, Aspect.RETENTION, f"legal hold {name}", what)


def _compare_types(old: Registry, new: Registry) -> Iterator[Change]:
    """Give what is kept longer or shorter because fields of an event type are classed otherwise."""
    schemas = {each.name: each for each in old.event_types}
    for event_type in new.event_types:
        before = schemas.get(event_type.name)
        if before is None or before.schema == event_type.schema:
            continue
        was, now = old.policy.retention, new.policy.retention
        classes = classes_of(before, was.classes), classes_of(event_type, now.classes)
        for store in KEYS:
            (was_us, was_said), (now_us, now_said) = (
                window_of(store, each, those)
                for each, those in zip((was, now), classes, strict=True)
            )
            if was_us != now_us:
                direction = Direction.WIDENS if now_us > was_us else Direction.NARROWS
                what = f"{store} stay by {now_said}, was {was_said}"
                where = f"event type {event_type.name}"
                yield Change(direction, Aspect.RETENTION, where, what)


def _covered(hold: LegalHold) -> str:
    tenant = hold.tenant and f"tenant {hold.tenant}"
    event_type = hold.event_type and f"event type {hold.event_type}"
    return " of ".join(filter(None, (event_type, tenant)))


def _said(span: Span | None) -> str:
    if span is None:
        return "no ceiling"
    return span if isinstance(span, str) else f"{span:g}"
