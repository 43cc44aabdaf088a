"""Make an event of nothing but its schema: valid, the same for the same seed, and nobody's.

Called by `dispatcher schema sample`, by previews, by producers' tests and by `masking`. It follows
what a registered schema may say (see `schema`); what is made is judged by the schema itself, and
where nothing fits it says which place asks for something it cannot make. It never makes anything up
that could be taken for a person's.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from dispatcher.model.path import Path, Steps, format_path
from dispatcher.model.schema import compile_schema, read_schema
from dispatcher.stages.shaping.fakes import Kind, draw, fake_text, kind_of
from dispatcher.stages.shaping.patterns import texts_of
from dispatcher.stages.shaping.schema import classify

_SPAN: Final = 1000
"""How many numbers are drawn from where a schema bounds them on one side at most."""
_TRIES: Final = 32
_ENTRIES: Final = 2
_MEMBERS: Final = ("some", "all", "none")
"""Which members that may be left out are there, in the order it is tried."""
_TYPES_BY_WORD: Final = {
    "properties": "object",
    "additionalProperties": "object",
    "items": "array",
    "minimum": "integer",
    "maximum": "integer",
}


def synthesise(schema_text: str, seed: str) -> object:
    """Make one event; `ValueError` says of a schema why none can be made."""
    schema, validator = read_schema(schema_text), compile_schema(schema_text)
    for members in _MEMBERS:
        made = _Maker(seed, members).make(schema, ())
        if validator.is_valid(made):
            return made
    fault = next(iter(validator.iter_errors(made)))
    steps = tuple(step if isinstance(step, str) else None for step in fault.instance_path)
    raise ValueError(
        f"no event can be made: {format_path(Path(steps))} asks by {fault.kind.name} for what only "
        'an example can tell: write "examples" there'
    )


def synthesise_leaf(node: Mapping[str, Any], steps: Steps, seed: str) -> object:
    """Make a value of one scalar leaf; whether it fits is for the caller to see."""
    return _Maker(seed, "all").make(node, steps)


def fits(node: Mapping[str, Any], value: object) -> bool:
    """True when a value is what this part of a schema, taken by itself, asks for."""
    try:
        validator = compile_schema(msgspec.json.encode(node).decode())
    except ValueError:  # it refers to what stands elsewhere
        return False
    return validator.is_valid(value)


class _Maker:
    """Makes the parts of one event, each drawn by its place: a new member changes no other."""

    def __init__(self, seed: str, members: str) -> None:
        self._seed = seed
        self._members = members

    def make(self, node: object, steps: Steps, salt: str = "") -> object:
        """Make what a node asks for; its type's plainest value where that cannot be made."""
        if not isinstance(node, dict):
            return "synthetic"
        number = draw(self._seed, format_path(Path(steps)), salt)
        if "const" in node:
            return node["const"]
        if isinstance(node.get("enum"), list) and node["enum"]:
            return node["enum"][number % len(node["enum"])]
        match _type(node):
            case "object":
                return self._object(node, steps, salt)
            case "array":
                return self._array(node, steps, salt)
            case "integer":
                return _whole(node, number)
            case "number":
                return _number(node, number)
            case "boolean":
                return bool(number % 2)
            case "null":
                return None
            case _:
                return _text(node, steps, number)

    def _object(self, node: dict[str, Any], steps: Steps, salt: str) -> dict[str, object]:
        declared, each = node.get("properties"), node.get("additionalProperties")
        members = declared if isinstance(declared, dict) else {}
        required = node.get("required", ())
        built = {
            name: self.make(inner, (*steps, name), salt)
            for name, inner in members.items()
            if name in required or (inner is not False and self._is_there((*steps, name), salt))
        }
        others = each if isinstance(each, dict) else True
        for name in required:
            built.setdefault(name, self.make(others, (*steps, None), salt + name))
        count = max(_count(node, "Properties", 0 if members else _ENTRIES), len(built))
        if each is not False:
            for at in range(len(built), count):
                name = f"key-{draw(self._seed, 'name', salt, str(at)) % 16**8:08x}"
                built[name] = self.make(others, (*steps, None), f"{salt}/{at}")
        return built

    def _is_there(self, steps: Steps, salt: str) -> bool:
        if self._members != "some":
            return self._members == "all"
        return draw(self._seed, "there", format_path(Path(steps)), salt) % 4 != 0

    def _array(self, node: dict[str, Any], steps: Steps, salt: str) -> list[object]:
        made: list[object] = []
        count, is_unique = _count(node, "Items", _ENTRIES), node.get("uniqueItems") is True
        for at in range(count * _TRIES):
            element = self.make(node.get("items"), (*steps, None), f"{salt}/{at}")
            if not is_unique or element not in made:
                made.append(element)
            if len(made) == count:
                break
        return made


def _type(node: dict[str, Any]) -> str:
    """Choose a node's type: the first that is not `null`."""
    said = node.get("type")
    names = said if isinstance(said, list) else [said]
    found = next((name for name in names if isinstance(name, str) and name != "null"), None)
    if found is not None or "null" in names:
        return found or "null"
    return next((kind for word, kind in _TYPES_BY_WORD.items() if word in node), "string")


def _count(node: dict[str, Any], of: str, wanted: int) -> int:
    least, most = node.get(f"min{of}", 0), node.get(f"max{of}", wanted)
    return int(max(least, min(wanted, most)))


def bounds(node: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Give the least and the most whole number that a node allows, as far as it says."""
    least, above = node.get("minimum"), node.get("exclusiveMinimum")
    most, below = node.get("maximum"), node.get("exclusiveMaximum")
    lows = [math.ceil(each) for each in (least,) if each is not None]
    lows += [math.floor(each) + 1 for each in (above,) if each is not None]
    highs = [math.floor(each) for each in (most,) if each is not None]
    highs += [math.ceil(each) - 1 for each in (below,) if each is not None]
    return max(lows, default=None), min(highs, default=None)


def _whole(node: dict[str, Any], number: int) -> int:
    step = node.get("multipleOf", 1)
    size = int(step) if step >= 1 and float(step).is_integer() else 1
    low, high = bounds(node)
    if low is None:
        low = 0 if high is None or high >= 0 else high - _SPAN
    if high is None:
        high = low + _SPAN * size
    first, last = math.ceil(low / size), math.floor(high / size)
    return int(first + number % max(1, last - first + 1)) * size


def _number(node: dict[str, Any], number: int) -> float:
    """Give a whole number where one fits, and else what lies in the middle of the bounds."""
    whole = _whole(node, number)
    if fits(node, whole):
        return whole
    low = node.get("minimum", node.get("exclusiveMinimum"))
    high = node.get("maximum", node.get("exclusiveMaximum"))
    step = node.get("multipleOf")
    if step is not None:
        return float(math.ceil((low or 0) / step) * step)
    return float((low + high) / 2) if low is not None and high is not None else float(whole)


def _text(node: dict[str, Any], steps: Steps, number: int) -> object:
    found = (each for each in _texts(node, steps, number) if fits(node, each))
    return next(found, fake_text(Kind.TEXT, number))


def _texts(node: dict[str, Any], steps: Steps, number: int) -> Iterator[object]:
    """Give what may fit, best first: of the leaf's kind, plain and cut to size, by its pattern."""
    name = next((step for step in reversed(steps) if step is not None), "")
    classes = classify(node)
    yield fake_text(kind_of(node, name, classes[0] if classes else None), number)
    plain = fake_text(Kind.TEXT, number)
    yield plain[: node.get("maxLength", len(plain))].ljust(node.get("minLength", 0), "x")
    pattern = node.get("pattern")
    if isinstance(pattern, str):
        yield from texts_of(pattern, number)
    examples = node.get("examples")
    if isinstance(examples, list):
        yield from examples
