"""What keeps a schema from saying plainly what each leaf is and how it is classed.

The one judgement of it: `dispatcher schema lint` shows it to whoever writes a schema, and
`revising` refuses to register what has a flaw. It names places as the schema does and knows no
data. It is total: whatever is not understood is a flaw, never an exception.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import Path, Steps, format_path, is_nameable
from dispatcher.model.schema import compile_schema, read_schema
from dispatcher.stages.shaping.schema import (
    CLASSIFICATION,
    NOT_FOLLOWED,
    SCALARS,
    classify,
    read_types,
)

_CLASS_KEYS: Final = frozenset({"category", "sensitivity"})


class FlawCode(StrEnum):
    """Stable codes for what is wrong with a schema."""

    SCHEMA_BROKEN = "schema_broken"
    ROOT_NOT_OBJECT = "root_not_object"
    CLASS_MISSING = "class_missing"
    CLASS_UNKNOWN = "class_unknown"
    CLASS_MISPLACED = "class_misplaced"
    TYPE_MISSING = "type_missing"
    TYPE_MIXED = "type_mixed"
    NOT_FOLLOWED = "not_followed"
    MEMBERS_MISSING = "members_missing"
    MAP_WITH_MEMBERS = "map_with_members"
    NAME_UNWRITABLE = "name_unwritable"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong with a schema: what, where in the document, and what to do."""

    code: FlawCode
    path: str
    why: str
    fix: str


_WORDS: Final = (
    f"category is one of {', '.join(Category)}; sensitivity one of {', '.join(Sensitivity)}"
)
_FIXES: Final[Mapping[FlawCode, str]] = {
    FlawCode.SCHEMA_BROKEN: "write one JSON object that is JSON Schema 2020-12",
    FlawCode.ROOT_NOT_OBJECT: "declare the payload as an object with properties",
    FlawCode.CLASS_MISSING: f'give it "{CLASSIFICATION}": {{"category": ..., "sensitivity": ...}}',
    FlawCode.CLASS_UNKNOWN: _WORDS,
    FlawCode.CLASS_MISPLACED: "class the single leaves below it, one by one",
    FlawCode.TYPE_MISSING: f"give it a type: {', '.join(sorted(SCALARS))}, object or array",
    FlawCode.TYPE_MIXED: "let it be scalars alone, or one kind of container",
    FlawCode.NOT_FOLLOWED: "write it with properties, items or additionalProperties alone",
    FlawCode.MEMBERS_MISSING: "declare properties, items or additionalProperties below it",
    FlawCode.MAP_WITH_MEMBERS: "declare members, or a map: not both in one object",
    FlawCode.NAME_UNWRITABLE: "rename it, or leave it undeclared: then it is withheld",
}


@lru_cache(maxsize=1024)
def lint_schema(text: str) -> tuple[Flaw, ...]:
    """List every flaw of a schema, in the order of the schema; none means that it may be used."""
    try:
        schema = read_schema(text)
    except ValueError as error:
        return (_flaw(FlawCode.SCHEMA_BROKEN, (), str(error)),)
    found = tuple(_lint_root(schema))
    if found:
        return found
    try:
        compile_schema(text)
    except ValueError as error:
        first_line = str(error).partition("\n")[0]
        return (_flaw(FlawCode.SCHEMA_BROKEN, (), f"not JSON Schema 2020-12: {first_line}"),)
    return ()


def _lint_root(schema: dict[str, Any]) -> Iterator[Flaw]:
    if NOT_FOLLOWED.isdisjoint(schema) and read_types(schema) != {"object"}:
        yield _flaw(FlawCode.ROOT_NOT_OBJECT, (), "a payload is an object, and this is none")
    else:
        yield from _lint(schema, ())


def _lint(node: object, steps: Steps) -> Iterator[Flaw]:
    if node is False:  # nothing can stand there
        return
    if not isinstance(node, dict):
        yield _flaw(FlawCode.CLASS_MISSING, steps, "anything may stand there, and it has no class")
        return
    words = sorted(NOT_FOLLOWED.intersection(node))
    types = read_types(node)
    if words:
        yield _flaw(FlawCode.NOT_FOLLOWED, steps, f"{', '.join(words)} cannot be followed")
    elif types in ({"object"}, {"array"}):
        if CLASSIFICATION in node:
            why = "a class on a container says nothing of what is in it"
            yield _flaw(FlawCode.CLASS_MISPLACED, steps, why)
        inner = _lint_object if types == {"object"} else _lint_array
        yield from inner(node, steps)
    else:
        yield from _lint_leaf(node, types, steps)


def _lint_object(node: dict[str, Any], steps: Steps) -> Iterator[Flaw]:
    members, others = node.get("properties"), node.get("additionalProperties")
    named = members if isinstance(members, dict) else {}
    for name, inner in named.items():
        if is_nameable(name):
            yield from _lint(inner, (*steps, name))
        else:
            why = "a member's name is empty, or holds a quote, a backslash or a control character"
            yield _flaw(FlawCode.NAME_UNWRITABLE, steps, why)
    if named and isinstance(others, dict):
        why = "a grant of the map would reach its declared members too"
        yield _flaw(FlawCode.MAP_WITH_MEMBERS, (*steps, None), why)
    elif isinstance(others, dict):
        yield from _lint(others, (*steps, None))
    elif not named and others is not False:
        yield _flaw(FlawCode.MEMBERS_MISSING, steps, "it is not said what is in the object")


def _lint_array(node: dict[str, Any], steps: Steps) -> Iterator[Flaw]:
    if "items" in node:
        yield from _lint(node["items"], (*steps, None))
    else:
        yield _flaw(FlawCode.MEMBERS_MISSING, steps, "it is not said what is in the array")


def _lint_leaf(node: dict[str, Any], types: frozenset[str], steps: Steps) -> Iterator[Flaw]:
    if not types:
        yield _flaw(FlawCode.TYPE_MISSING, steps, "it is not said what type it has")
    elif not types <= SCALARS:
        kinds = ", ".join(sorted(types))
        yield _flaw(FlawCode.TYPE_MIXED, steps, f"neither a leaf nor one container: {kinds}")
    if CLASSIFICATION not in node:
        yield _flaw(FlawCode.CLASS_MISSING, steps, "it has no class")
    elif classify(node) is None:
        yield _flaw(FlawCode.CLASS_UNKNOWN, steps, "its class is not in the vocabulary")
    elif odd := sorted(node[CLASSIFICATION].keys() - _CLASS_KEYS):
        # A misspelt sensitivity would otherwise pass for none, which means confidential.
        yield _flaw(FlawCode.CLASS_UNKNOWN, steps, f"unknown in a class: {', '.join(odd)}")


def _flaw(code: FlawCode, steps: Steps, why: str) -> Flaw:
    return Flaw(code, format_path(Path(steps)), why, _FIXES[code])
