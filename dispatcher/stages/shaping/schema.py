"""Flatten a JSON Schema to its leaves: for each path, what may stand there and how it is classed.

Called by `scopes` when grants are resolved; `linting` judges schemas by the same words. Only
`properties`, `items` and schema-valued `additionalProperties` (a map) are followed. A node that
says anything in another way (`$ref`, `anyOf`, ...) is not followed and nothing at or below it can
be granted. It never guesses: what is not plainly a classified scalar is not a leaf.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import Path, Steps
from dispatcher.model.schema import read_schema

CLASSIFICATION: Final = "x-data-classification"
SCALARS: Final = frozenset({"string", "number", "integer", "boolean", "null"})
NOT_FOLLOWED: Final = frozenset(
    {
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentSchemas",
        "patternProperties",
        "prefixItems",
        "contains",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)


class Unfit(StrEnum):
    """Why a field cannot be, or is not, granted. The words are shown to people."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    CONTAINER = "container"
    UNFOLLOWED = "unfollowed"
    UNCLASSIFIED = "unclassified"
    SECRET = "secret"  # noqa: S105 - a reason's name
    UNSUITED = "unsuited"
    PERSONAL = "personal"
    OUT_OF_STYLE = "out_of_style"
    MANY = "many"
    OVER_CLEARANCE = "over_clearance"
    OUT_OF_PURPOSE = "out_of_purpose"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A classified scalar. `type` is written as `model.scope.Field` has it."""

    type: str
    category: Category
    sensitivity: Sensitivity


@lru_cache(maxsize=1024)
def flatten(schema_text: str) -> Mapping[Path, Leaf | Unfit]:
    """Map every path the schema declares to its leaf, or to why it is none.

    `ValueError` when the text is not a JSON object.
    """
    found: dict[Path, Leaf | Unfit] = {}
    _visit(read_schema(schema_text), (), "", found)
    return found


def classify(node: Mapping[str, Any]) -> tuple[Category, Sensitivity] | None:
    """Read a node's class; anything that is not exactly in the vocabulary is no class."""
    said = node.get(CLASSIFICATION)
    if not isinstance(said, dict):
        return None
    try:
        return (
            Category(str(said.get("category"))),
            Sensitivity(str(said.get("sensitivity", Sensitivity.CONFIDENTIAL))),
        )
    except ValueError:
        return None


def _visit(node: object, steps: Steps, kinds: str, found: dict[Path, Leaf | Unfit]) -> None:
    if node is False:  # nothing can stand there
        return
    path = Path(steps)
    if not isinstance(node, dict):
        found[path] = Unfit.UNCLASSIFIED
        return
    types = read_types(node)
    if not NOT_FOLLOWED.isdisjoint(node):
        found[path] = Unfit.UNFOLLOWED
    elif types == {"object"}:
        found[path] = Unfit.CONTAINER
        _visit_object(node, steps, kinds, found)
    elif types == {"array"}:
        found[path] = Unfit.CONTAINER
        if "items" in node:
            _visit(node["items"], (*steps, None), f"{kinds}array/", found)
    else:
        found[path] = _leaf(node, types, kinds)


def _visit_object(
    node: dict[str, Any],
    steps: Steps,
    kinds: str,
    found: dict[Path, Leaf | Unfit],
) -> None:
    members = node.get("properties")
    each = node.get("additionalProperties")
    if isinstance(members, dict) and members:
        for name, inner in members.items():
            _visit(inner, (*steps, name), kinds, found)
        if isinstance(each, dict):
            # `[*]` would also reach the declared members, whatever their class.
            found[Path((*steps, None))] = Unfit.UNFOLLOWED
    elif isinstance(each, dict):
        _visit(each, (*steps, None), f"{kinds}map/", found)


def read_types(node: dict[str, Any]) -> frozenset[str]:
    """Give the node's declared types; a container's `null` is left out."""
    said = node.get("type")
    if said is None and "properties" in node:
        return frozenset({"object"})
    names = frozenset(
        name for name in (said if isinstance(said, list) else [said]) if isinstance(name, str)
    )
    return names - {"null"} if names & {"object", "array"} else names


def _leaf(node: dict[str, Any], types: frozenset[str], kinds: str) -> Leaf | Unfit:
    if not types <= SCALARS:
        return Unfit.CONTAINER
    classes = classify(node)
    if not types or classes is None:
        return Unfit.UNCLASSIFIED
    return Leaf(kinds + "|".join(sorted(types)), *classes)
