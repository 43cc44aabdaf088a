"""What should leave, by other code than the product's: python-jsonpath finds, this file transforms.

The paths of grants are a subset of RFC 9535, so an independent implementation can say what they
reach. What an action makes of a value is written here a second time, in other ways where there are
some; tokens alone are asked of the same answers, for only the keys make them.
"""

import ipaddress
import json
import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import jsonpath

from dispatcher.model.path import SUBJECT, Path, format_path
from dispatcher.model.scope import Field, Scope
from dispatcher.model.token import write_value
from tests.support.shaping_cases import ANSWERS, written

NOTHING = object()


def found(field: Field, document: Any) -> Iterator[Any]:
    """Give what stands at a granted path, whatever it is."""
    kinds = field.type.split("/")[:-1]
    for match in jsonpath.finditer(format_path(field.path), document):
        if _has_kinds(field.path, match.parts, kinds):
            yield match.obj


def _has_kinds(path: Path, parts: tuple[Any, ...], kinds: list[str]) -> bool:
    """True when every `[*]` ran over the kind of container that was declared."""
    ran = [part for step, part in zip(path, parts, strict=True) if step is None]
    wanted = [int if kind == "array" else str for kind in kinds]
    return [type(part) for part in ran] == wanted


def expected(scope: Scope, document: Any) -> list[tuple[Field, Any]]:
    """Give each scalar that should leave, with its field."""
    made = (
        (field, outcome(field.action, value))
        for field in scope.fields
        if field.path != SUBJECT
        for value in found(field, document)
        if is_of(field.type.split("/")[-1], value)
    )
    return [(field, value) for field, value in made if value is not NOTHING]


def mistaken(scope: Scope, document: Any) -> set[Field]:
    """Give the fields of which something is not what was granted, and has to be counted."""
    return {field for field in scope.fields if field.path != SUBJECT and _is_off(field, document)}


def _is_off(field: Field, document: Any) -> bool:
    types = field.type.split("/")[-1]
    for value in found(field, document):
        if not is_of(types, value) or outcome(field.action, value) is NOTHING:
            return True
    for length in range(1, len(field.path)):
        above, step = Path(field.path[:length]), field.path[length]
        passed = field.type.split("/")[: sum(each is None for each in above)]
        wanted: type = list if step is None and _kind_at(field, length) == "array" else dict
        within = Field(above, "pass", "/".join([*passed, "x"]), field.category, field.sensitivity)
        if any(v is not None and not isinstance(v, wanted) for v in found(within, document)):
            return True
    return False


def _kind_at(field: Field, place: int) -> str:
    return field.type.split("/")[sum(each is None for each in field.path[:place])]


def is_of(types: str, value: Any) -> bool:
    """True when a value is a scalar of one of these types of JSON Schema."""
    match value:
        case None:
            said = {"null"}
        case bool():
            said = {"boolean"}
        case str():
            said = {"string"}
        case int():
            said = {"integer", "number"}
        case float():
            said = {"number", "integer"} if value == math.trunc(value) else {"number"}
        case _:
            said = set()
    return not said.isdisjoint(types.split("|"))


def outcome(action: str, value: Any) -> Any:
    """Give what an action makes of a value, or `NOTHING`."""
    name, _, rest = action.partition("(")
    argument = rest.removesuffix(")")
    if name == "pass" or (value is None and name not in ("const", "encrypt")):
        return value
    match name:
        case "const":
            return json.loads(argument)
        case "mask":
            return _masked(value, argument)
        case "truncate":
            return "".join(char for at, char in enumerate(value) if at < int(argument))
        case "generalise":
            return _coarser(value, argument)
        case "encrypt":
            return ANSWERS.encrypt(argument, written(value))
        case _:
            return getattr(ANSWERS, name)(argument, write_value(value))


def _masked(value: str, argument: str) -> str:
    kept = dict(part.split("=") for part in argument.split(","))
    first, last = int(kept.get("first", 0)), int(kept.get("last", 0))
    if first + last > len(value) / 2:
        return "***"
    return "".join([*list(value)[:first], "***", *list(value)[len(value) - last :]])


def _coarser(value: Any, argument: str) -> Any:
    match argument.split("="):
        case ["year" | "month"]:
            is_date = re.fullmatch(r"[1-9][0-9]{3}-(0[1-9]|1[0-2])(-[0-9]{2}([Tt ].*)?)?", value)
            return value[: 4 if argument == "year" else 7] if is_date else NOTHING
        case ["ip"]:
            try:
                at = ipaddress.ip_address(value)
            except ValueError:
                return NOTHING
            size = 24 if at.version == 4 else 48
            return str(ipaddress.ip_interface(f"{at}/{size}").network)
        case ["postcode", number]:
            return value[: int(number)] if value[int(number) :] else NOTHING
        case [_, number]:
            return math.floor(Fraction(value) / int(number)) * int(number)


def scalars(node: Any) -> Iterator[Any]:
    """Give every scalar of a document."""
    if isinstance(node, dict):
        for inner in node.values():
            yield from scalars(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from scalars(inner)
    else:
        yield node
