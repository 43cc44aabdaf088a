"""Propose a schema from sample events, each leaf with a class and the reason for it.

Called by `dispatcher schema infer`; a person reads the proposal before it is registered. The result
has no flaw by `linting`, and every sample fits it. It holds no value of a sample: no example, no
enumeration, and no member named by a key that may be a value: such an object is proposed as a map.
What cannot be said without `anyOf` is left undeclared, and so withheld.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dispatcher.model.path import Path, Steps, format_path
from dispatcher.model.schema import DEPTH_MAX
from dispatcher.stages.shaping.guessing import guess, recognise
from dispatcher.stages.shaping.schema import CLASSIFICATION

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
KEYS_MAX: Final = 64
"""An object with more members than this is a map."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")
_DIGITS: Final = re.compile(r"\d{4,}|[0-9a-fA-F]{12,}")
_TYPES: Final[tuple[tuple[type, str], ...]] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (dict, "object"),
    (list, "array"),
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a place is proposed as it is."""

    path: str
    why: str


class _Notes:
    """What is said of the proposal on the way."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []

    def say(self, steps: Steps, why: str) -> None:
        self.reasons.append(Reason(format_path(Path(steps)), why))


def infer_schema(samples: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], tuple[Reason, ...]]:
    """Propose a schema that all samples fit, and say why of each leaf and of what is left out.

    `ValueError` where there is no member that a schema could declare.
    """
    notes = _Notes()
    root = _object(samples, (), (), 1, notes)
    if root is None:
        raise ValueError("no member of these events can be declared")
    return {"$schema": DIALECT, **root}, tuple(notes.reasons)


def _propose(
    values: Sequence[Any], steps: Steps, keys: tuple[str, ...], depth: int, notes: _Notes
) -> dict[str, Any] | None:
    """Propose a node for all these values, or nothing where no plain node has room for them.

    `keys` are the keys of maps on the way: they travel with the values and are classed with them.
    """
    types = {_type(value) for value in values}
    if depth + 1 > DEPTH_MAX:
        notes.say(steps, "left undeclared: nested too deeply")
        return None
    kinds = types - {"null"}
    if not kinds & {"object", "array"}:
        return _leaf(values, types, steps, keys, notes)
    if len(kinds) > 1:
        notes.say(steps, "left undeclared: not always the same kind of container or value")
        return None
    inner = _object if kinds == {"object"} else _array
    made = inner([value for value in values if value is not None], steps, keys, depth, notes)
    if made is not None and "null" in types:
        made["type"] = [made["type"], "null"]
    return made


def _leaf(
    values: Sequence[Any], types: set[str], steps: Steps, keys: tuple[str, ...], notes: _Notes
) -> dict[str, Any]:
    if "number" in types:
        types = types - {"integer"}
    texts = [str(value) for value in values if isinstance(value, str | int)]
    found = guess([step for step in steps if step is not None], (*texts, *keys))
    notes.say(steps, found.why)
    said = {"category": found.category.value, "sensitivity": found.sensitivity.value}
    kind = next(iter(types)) if len(types) == 1 else sorted(types)
    return {"type": kind, CLASSIFICATION: said, "$comment": found.why}


def _array(
    arrays: Sequence[list[Any]], steps: Steps, keys: tuple[str, ...], depth: int, notes: _Notes
) -> dict[str, Any] | None:
    elements = [element for array in arrays for element in array]
    if not elements:
        notes.say(steps, "no element was seen and none is allowed: say what they are")
        return {"type": "array", "items": False}
    inner = _propose(elements, (*steps, None), keys, depth + 1, notes)
    return None if inner is None else {"type": "array", "items": inner}


def _object(
    objects: Sequence[dict[str, Any]],
    steps: Steps,
    keys: tuple[str, ...],
    depth: int,
    notes: _Notes,
) -> dict[str, Any] | None:
    counts = Counter(name for each in objects for name in each)
    if not counts:
        notes.say(steps, "no member was seen and none is allowed: say what they are")
        return {"type": "object", "additionalProperties": False}
    names = [name for name in counts if _is_name(name)]
    if _is_map(objects, counts, names, is_root=not steps):
        values = [value for each in objects for value in each.values()]
        inner = _propose(values, (*steps, None), (*keys, *counts), depth + 1, notes)
        if inner is not None:
            notes.say(steps, "a map, for its keys may be values")
            return {"type": "object", "additionalProperties": inner}
    if len(names) < len(counts):
        notes.say((*steps, None), "left undeclared: members whose names may be values")
    members: dict[str, Any] = {}
    for name in names:
        values = [each[name] for each in objects if name in each]
        inner = _propose(values, (*steps, name), keys, depth + 2, notes)
        if inner is not None:
            members[name] = inner
    if not members:
        return None
    required = [name for name in members if counts[name] == len(objects)]
    return {
        "type": "object",
        **({"required": required} if required else {}),
        "properties": members,
    }


def _is_map(
    objects: Sequence[dict[str, Any]], counts: Counter[str], names: list[str], *, is_root: bool
) -> bool:
    """True where keys look like values, are very many, or are never the same and hold one kind."""
    if is_root:  # no grant begins with a map, so the root is one only where nothing has a name
        return not names
    if len(names) < len(counts) or len(names) > KEYS_MAX:
        return True
    kinds = {_type(value) for each in objects for value in each.values()}
    return len(objects) > 1 and max(counts.values()) == 1 and len(kinds) == 1


def _is_name(key: str) -> bool:
    return bool(_NAME.match(key)) and not _DIGITS.search(key) and not recognise(key)


def _type(value: object) -> str:
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")
