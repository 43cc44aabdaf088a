"""The leak guard: does a text that was granted as it is hold what nobody declared?

Called by `shape` on every leaf that passed as it is, after projection and before encoding, and by
`revising` on texts of the registry that go out with every letter. It is a net under the scopes, not
a replacement. The same texts under the same rules give the same findings.
A finding never holds a value.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from dispatcher.model.classification import Category
from dispatcher.model.leak import Confidence, Detector, Finding, LeakAction, LeakRule
from dispatcher.model.path import Path, format_path
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.detectors import Hints, Spot, find, glance, hints, screen, sought
from dispatcher.stages.shaping.folding import fold, unfold

MASK: Final = "***"
_BETWEEN: Final = "|"
"""Stands between two texts under one screen; no detector reads across it."""

_GROUPS: Final = (
    None,
    *(each for each in Category if any(detector.declared_as is each for detector in Detector)),
)
"""The classes that declare something, behind one place for all others: each has its screen."""


@dataclass(frozen=True, slots=True)
class _Look:
    """How a field is looked at: by which screen, for what, and what its name says.

    `is_suspect`: its name alone is reason enough to look closely.
    """

    path: Path
    group: int
    wanted: frozenset[Detector]
    said: Hints
    is_suspect: bool


@dataclass(frozen=True, slots=True)
class _Watch:
    """How the fields of a scope are looked at, in their order; `sole` is the group of them all."""

    looks: tuple[_Look, ...]
    groups: tuple[int, ...]
    sole: int | None
    suspects: frozenset[int]


def inspect(
    scope: Scope,
    texts: Sequence[str],
    places: Sequence[int],
    event_type: str,
    rules: Collection[LeakRule],
) -> tuple[Finding, ...]:
    """Give what was found in texts that would leave, and what is to be done about each.

    `places` has the number of the field of each text in the scope. `rules` are those in force; with
    none there is nothing to look for.
    """
    if not rules:
        return ()
    watch = _watch(scope)
    hit = {at for group, among in _part(watch, places) for at in _hit(group, texts, among)}
    if watch.suspects:
        hit.update(at for at, place_ in enumerate(places) if place_ in watch.suspects)
    if not hit:
        return ()
    return _judge(_search(watch, texts, places, sorted(hit)), event_type, rules)


def mask_text(field: Field, text: str, detectors: Collection[Detector]) -> str:
    """Put `***` for everything that these detectors find in a text."""
    found = _find(_look(field), text)
    spots = sorted((spot.start, spot.end) for spot in found if spot.detector in detectors)
    parts, at = [], 0
    for start, end in unfold(text, spots):
        if start >= at:
            parts += [text[at:start], MASK]
        at = max(at, end)
    return "".join((*parts, text[at:]))


def detect(text: str, name: str) -> tuple[Detector, ...]:
    """Name what is surely in a text that nobody classed, and that goes by this name."""
    said = hints(Path((name,)))
    found = find(fold(text), sought(None), said)
    return tuple(sorted({each.detector for each in found if each.confidence is Confidence.HIGH}))


def spell(findings: Iterable[Finding]) -> str:
    """Name detectors and fields in one line, for people."""
    counts = Counter((each.detector, format_path(each.path)) for each in findings)
    return ", ".join(f"{detector} in {path}" for detector, path in sorted(counts))


@lru_cache(maxsize=8192)
def _watch(scope: Scope) -> _Watch:
    looks = tuple(_look(field) for field in scope.fields)
    groups = tuple(look.group for look in looks)
    suspects = frozenset(at for at, look in enumerate(looks) if look.is_suspect)
    return _Watch(looks, groups, groups[0] if len(set(groups)) == 1 else None, suspects)


def _look(field: Field) -> _Look:
    group = _GROUPS.index(field.category) if field.category in _GROUPS else 0
    wanted, said = sought(_GROUPS[group]), hints(field.path)
    return _Look(field.path, group, wanted, said, not wanted.isdisjoint(said.detectors))


def _part(watch: _Watch, places: Sequence[int]) -> Iterable[tuple[int, Sequence[int]]]:
    """Part the texts at these places by the groups of their fields."""
    if watch.sole is not None:
        return ((watch.sole, range(len(places))),) if places else ()
    gathered: tuple[list[int], ...] = tuple([] for _ in _GROUPS)
    for at, place_ in enumerate(places):
        gathered[watch.groups[place_]].append(at)
    return [(group, among) for group, among in enumerate(gathered) if among]


def _hit(group: int, texts: Sequence[str], among: Sequence[int]) -> Iterator[int]:
    """Give those of some texts of a group that are to be read: a glance at all, then one by one.

    A text in which the screen sees nothing by itself may be among them, never the reverse.
    """
    parts = texts if len(among) == len(texts) else [texts[at] for at in among]
    joined = _BETWEEN.join(parts)
    if not joined.isascii():
        parts = [text if text.isascii() else fold(text) for text in parts]
        joined = _BETWEEN.join(parts)
    if not glance(joined, _GROUPS[group]):
        return
    seen = joined.encode("ascii", "replace")
    search = screen(_GROUPS[group]).search
    number, end = 0, len(parts[0])
    spot = search(seen)
    while spot is not None:
        start = spot.start()
        while end < start or (end == start and number + 1 < len(parts)):
            number += 1
            end += len(_BETWEEN) + len(parts[number])
        yield among[number]
        spot = search(seen, end) if number + 1 < len(parts) else None


def _search(
    watch: _Watch, texts: Sequence[str], places: Sequence[int], hit: Iterable[int]
) -> Iterator[tuple[Path, Spot]]:
    for at in hit:
        look = watch.looks[places[at]]
        for spot in _find(look, texts[at]):
            yield look.path, spot


def _find(look: _Look, text: str) -> Iterator[Spot]:
    return find(fold(text), look.wanted, look.said)


def _judge(
    found: Iterable[tuple[Path, Spot]], event_type: str, rules: Iterable[LeakRule]
) -> tuple[Finding, ...]:
    """Let each rule say what it does about what it counts; the strictest word holds."""
    spots = tuple(found)
    if not spots:
        return ()
    actions: list[LeakAction | None] = [None] * len(spots)
    for rule in rules:
        counted = [at for at, spot in enumerate(spots) if _counts(rule, *spot, event_type)]
        for at in counted if len(counted) >= rule.count else ():
            known = actions[at]
            if known is None or known.rank < rule.action.rank:
                actions[at] = rule.action
    return tuple(
        Finding(spot.detector, path, spot.end - spot.start, action)
        for (path, spot), action in zip(spots, actions, strict=True)
        if action is not None
    )


def _counts(rule: LeakRule, path: Path, spot: Spot, event_type: str) -> bool:
    if rule.detector is not spot.detector:
        return False
    if rule.confidence is Confidence.HIGH and spot.confidence is Confidence.LOW:
        return False
    shown = format_path(path)
    return not any(f"{of} {shown}" in rule.exceptions for of in (event_type, "*"))
