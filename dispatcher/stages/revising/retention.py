"""The policy's word on how long things stay, made into rules: the strictest window for each class.

`worker.purging` follows the rules, `api.purges` counts by them. Nothing outlives what it hangs
on: a payload goes no later than its envelope, and that no later than its ledger rows. What is kept
of an event type that the registry no longer knows is treated as if it had fields of every class.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.registry import EventType
from dispatcher.model.retention import Ceiling, Retention, Rule, Span, Store
from dispatcher.stages.shaping.schema import Leaf, flatten

PERSONAL: Final = "personal"
"""The class of every field that is about a person."""
CLASSES: Final = frozenset({PERSONAL, *Category, *Sensitivity})
UNITS_US: Final = {"hours": 3_600_000_000, "days": 86_400_000_000}

KEYS: Final[Mapping[Store, tuple[str, ...]]] = {
    Store.PAYLOADS: ("payload_hours", "envelope_days", "ledger_days"),
    Store.DEAD_PAYLOADS: ("dead_payload_days", "envelope_days", "ledger_days"),
    Store.ENVELOPES: ("envelope_days", "ledger_days"),
    Store.FINDINGS: ("finding_days", "ledger_days"),
    Store.TICKETS: ("ticket_days", "ledger_days"),
    Store.LEDGER: ("ledger_days",),
    Store.TRIAGE: ("triage_days",),
    Store.PURGES: ("purge_days",),
}
"""The keys that bound each store, its own first; in the order in which stores are swept."""

_Window = tuple[float, str]
"""Microseconds, and the policy's word for it."""


def retention_rules(
    retention: Retention, event_types: Iterable[EventType], today: date
) -> tuple[Rule, ...]:
    """Give every rule, in the order to follow them in; what is kept for ever has none."""
    holds = tuple(
        (hold.tenant, hold.event_type) for hold in retention.holds if hold.is_in_force(today)
    )
    classes = {each.name: classes_of(each, retention.classes) for each in event_types}
    return tuple(rule for store in KEYS for rule in _rules(store, retention, classes, holds))


def _rules(
    store: Store,
    retention: Retention,
    classes: Mapping[str, frozenset[str]],
    holds: tuple[tuple[str, str], ...],
) -> Iterator[Rule]:
    if not store.is_personal:
        yield from _rule(store, window_of(store, retention, ()))
        return
    by_window: dict[_Window, list[str]] = defaultdict(list)
    for name, those in classes.items():
        by_window[window_of(store, retention, those)].append(name)
    unknown = window_of(store, retention, retention.classes)
    for window in sorted(by_window.keys() - {unknown}):
        yield from _rule(store, window, tuple(sorted(by_window[window])), False, holds)
    others = (name for window in by_window.keys() - {unknown} for name in by_window[window])
    yield from _rule(store, unknown, tuple(sorted(others)), True, holds)


def _rule(
    store: Store,
    window: _Window,
    event_types: tuple[str, ...] = (),
    is_rest: bool = True,
    holds: tuple[tuple[str, str], ...] = (),
) -> Iterator[Rule]:
    kept_us, said = window
    if kept_us < math.inf:
        yield Rule(
            store=store,
            said=said,
            kept_us=int(kept_us),
            event_types=event_types,
            is_rest=is_rest,
            holds=holds,
        )


def window_of(store: Store, retention: Retention, classes: Iterable[str]) -> _Window:
    """Give the shortest window that holds for a store where fields have these classes."""
    bounds: list[_Window] = []
    for key in KEYS[store]:
        bounds.append(_bound(key, getattr(retention, key), ""))
        for name in sorted(classes):
            span = getattr(retention.classes[name], key, None)
            if span is not None:
                bounds.append(_bound(key, span, f" for class {name}"))
    # Of equal ones the first said counts: the store's own key, and no class.
    return min(bounds, key=lambda bound: bound[0])


def _bound(key: str, span: Span, of: str) -> _Window:
    said = span if isinstance(span, str) else f"{span:g}"
    return span_us(key, span), f"{key} = {said}{of}"


def span_us(key: str, span: Span) -> float:
    """Give a window in microseconds; infinite is one without an end."""
    if isinstance(span, str):
        return math.inf
    return span * UNITS_US[key.rpartition("_")[2]]


def classes_of(event_type: EventType, named: Mapping[str, Ceiling]) -> frozenset[str]:
    """Give those of these classes that an event type has fields of."""
    try:
        leaves = [leaf for leaf in flatten(event_type.schema).values() if isinstance(leaf, Leaf)]
    except ValueError:
        return frozenset(named)
    return frozenset(name for name in named if any(_is_of(leaf, name) for leaf in leaves))


def _is_of(leaf: Leaf, name: str) -> bool:
    if name == PERSONAL:
        return leaf.category.is_personal
    if name in _SENSITIVITIES:
        return Sensitivity(name).is_within(leaf.sensitivity)
    return leaf.category == name


_SENSITIVITIES: Final[Sequence[str]] = tuple(Sensitivity)
