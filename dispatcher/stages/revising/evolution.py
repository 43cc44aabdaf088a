"""What another version of a schema means for those who write its events and those who read them.

Asked by `dispatcher schema compare`, and by the disclosure diff for whoever approves a version. It
compares what the schemas declare, place by place. It may call a change breaking that breaks nobody,
never the other way round: what is not understood and differs breaks both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from dispatcher.model.path import Path, Steps, format_path
from dispatcher.model.schema import read_schema
from dispatcher.stages.revising.acceptance import (
    accepted_types,
    assertions,
    is_same,
    is_within,
)
from dispatcher.stages.shaping.schema import NOT_FOLLOWED, SCALARS, classify

_STRUCTURE: Final = ("type", "properties", "additionalProperties", "required", "items")
_ANY: Final = [*SCALARS, "object", "array"]


class Side(StrEnum):
    """Who has to do something before a version can be used."""

    PRODUCERS = "producers"
    CONSUMERS = "consumers"


class Kind(StrEnum):
    """What can happen to a place."""

    ADDED = "added"
    REMOVED = "removed"
    RETYPED = "retyped"
    REQUIRED = "required"
    OPTIONAL = "optional"
    TIGHTENED = "tightened"
    LOOSENED = "loosened"
    RECLASSIFIED = "reclassified"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that is otherwise: `breaks` are those who cannot go on as before."""

    kind: Kind
    path: str
    breaks: tuple[Side, ...]
    what: str


_NOBODY: Final[tuple[Side, ...]] = ()
_PRODUCERS: Final = (Side.PRODUCERS,)
_CONSUMERS: Final = (Side.CONSUMERS,)
_BOTH: Final = (Side.PRODUCERS, Side.CONSUMERS)


@lru_cache(maxsize=1024)
def compare_schemas(old_text: str, new_text: str) -> tuple[Difference, ...]:
    """List what is otherwise in the new schema, place by place. `ValueError` for no schema."""
    return tuple(_compare(read_schema(old_text), read_schema(new_text), ()))


def _compare(old: Any, new: Any, steps: Steps) -> Iterator[Difference]:
    if is_same(old, new):
        return
    if not isinstance(old, dict) or not isinstance(new, dict):
        yield _said(Kind.CHANGED, steps, _BOTH, "anything or nothing may stand there")
        return
    if not NOT_FOLLOWED.isdisjoint(old) or not NOT_FOLLOWED.isdisjoint(new):
        yield _said(Kind.CHANGED, steps, _BOTH, "in a way that cannot be followed")
        return
    was, now = _types(old), _types(new)
    if was != now:
        breaks = (*(_PRODUCERS if was - now else ()), *(_CONSUMERS if now - was else ()))
        what = f"{_shown(new)}, was {_shown(old)}"
        yield _said(Kind.RETYPED, steps, breaks, what)
    yield from _compare_bounds(old, new, steps)
    if was | now <= SCALARS:
        yield from _compare_classes(old, new, steps)
    if "object" in was & now:
        yield from _compare_members(old, new, steps)
        yield from _compare_each(old, new, "additionalProperties", "undeclared members", steps)
    if "array" in was & now:
        yield from _compare_each(old, new, "items", "elements", steps)


def _compare_bounds(
    old: Mapping[str, Any], new: Mapping[str, Any], steps: Steps
) -> Iterator[Difference]:
    was, now = _bounds(old), _bounds(new)
    words = ", ".join(
        sorted(
            word
            for word in was.keys() | now.keys()
            if not is_same(was.get(word), now.get(word)) or (word in was) != (word in now)
        )
    )
    if not is_within(was, now):
        yield _said(Kind.TIGHTENED, steps, _PRODUCERS, f"less may stand there: {words}")
    if not is_within(now, was):
        yield _said(Kind.LOOSENED, steps, _CONSUMERS, f"more may stand there: {words}")


def _compare_classes(
    old: Mapping[str, Any], new: Mapping[str, Any], steps: Steps
) -> Iterator[Difference]:
    was, now = classify(old), classify(new)
    if was == now:
        return
    is_milder = was is None or (now is not None and now[0] == was[0] and now[1].is_within(was[1]))
    what = f"{_class(new)}, was {_class(old)}"
    if not is_milder:
        what += ": a grant may no longer hold"
    yield _said(Kind.RECLASSIFIED, steps, _NOBODY if is_milder else _CONSUMERS, what)


def _compare_members(
    old: Mapping[str, Any], new: Mapping[str, Any], steps: Steps
) -> Iterator[Difference]:
    was, now = old.get("properties", {}), new.get("properties", {})
    needed, needs = set(old.get("required", ())), set(new.get("required", ()))
    is_closed = new.get("additionalProperties", True) is False
    for name in [*was, *(name for name in now if name not in was)]:
        here = (*steps, name)
        if name not in now:
            yield _said(
                Kind.REMOVED, here, _BOTH if is_closed else _CONSUMERS, f"was {_shown(was[name])}"
            )
        elif name not in was and name in needs:
            yield _said(Kind.ADDED, here, _PRODUCERS, f"{_shown(now[name])}, required")
        elif name not in was:
            yield _said(Kind.ADDED, here, _NOBODY, _shown(now[name]))
        else:
            yield from _compare(was[name], now[name], here)
    for name in sorted(needs - needed):
        if name in was or name not in now:
            yield _said(Kind.REQUIRED, (*steps, name), _PRODUCERS, "was optional")
    for name in sorted(needed - needs):
        if name in now or name not in was:
            yield _said(Kind.OPTIONAL, (*steps, name), _CONSUMERS, "was required")


def _compare_each(
    old: Mapping[str, Any], new: Mapping[str, Any], keyword: str, them: str, steps: Steps
) -> Iterator[Difference]:
    """Compare what holds for every element, or for every member that is not declared."""
    was, now = old.get(keyword, True), new.get(keyword, True)
    here = (*steps, None)
    if isinstance(was, dict) and isinstance(now, dict):
        yield from _compare(was, now, here)
    elif isinstance(was, dict):
        breaks = _BOTH if now is False else _CONSUMERS
        yield _said(Kind.REMOVED, here, breaks, f"was {_shown(was)}")
    elif isinstance(now, dict):
        yield _said(Kind.ADDED, here, _PRODUCERS if was else _NOBODY, _shown(now))
    elif was and not now:
        yield _said(Kind.TIGHTENED, steps, _PRODUCERS, f"{them} are refused")
    elif now and not was:
        yield _said(Kind.LOOSENED, steps, _NOBODY, f"{them} are accepted, and withheld")


def _types(node: Mapping[str, Any]) -> set[str]:
    said = node.get("type", "object" if "properties" in node else _ANY)
    return accepted_types(said)


def _bounds(node: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a node says of its value beyond its type, members and elements."""
    return {word: said for word, said in assertions(node).items() if word not in _STRUCTURE}


def _shown(node: Any) -> str:
    if not isinstance(node, dict):
        return "anything" if node else "nothing"
    said = node.get("type", "object" if "properties" in node else "any type")
    types = "|".join(said) if isinstance(said, list) else str(said)
    return types if classify(node) is None else f"{types}, {_class(node)}"


def _class(node: Mapping[str, Any]) -> str:
    found = classify(node)
    return "no class" if found is None else f"{found[1]} {found[0]}"


def _said(kind: Kind, steps: Steps, breaks: tuple[Side, ...], what: str) -> Difference:
    return Difference(kind, format_path(Path(steps)), breaks, what)
