"""Does a changed schema let in events that the old one kept out?

Asked when an event type changes: what a schema newly accepts would flow to its subscribers; and by
`evolution`, of one place at a time. The answer is safe, not complete: it says "no more" only for
what it understands keyword by keyword, and treats everything else that differs as more.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from dispatcher.model.schema import read_schema

_WORDS: Final = frozenset(
    {"title", "description", "examples", "default", "deprecated", "format", "readOnly", "writeOnly"}
)
_AT_MOST: Final = frozenset(
    {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
)
_AT_LEAST: Final = frozenset(
    {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
)
_STRUCTURE: Final = frozenset({"properties", "additionalProperties", "patternProperties"})
_RESTRICTING: Final = (
    _AT_MOST | _AT_LEAST | {"type", "enum", "const", "pattern", "required", "items", "uniqueItems"}
)
"""Keywords that, where they are new, can only keep more out."""


@lru_cache(maxsize=1024)
def accepts_no_more(old_text: str, new_text: str) -> bool:
    """True only when every payload the new schema accepts was accepted by the old one."""
    return old_text == new_text or is_within(read_schema(new_text), read_schema(old_text))


def is_within(new: Any, old: Any) -> bool:
    """True when `new` is sure to accept nothing that `old` refuses."""
    if old is True or new is False or is_same(new, old):
        return True
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return False
    was, now = assertions(old), assertions(new)
    for keyword in (was.keys() | now.keys()) - _STRUCTURE:
        if keyword not in was:
            if keyword not in _RESTRICTING:
                return False
        elif keyword not in now or not _is_stricter(keyword, now[keyword], was[keyword]):
            return False
    return _are_members_within(now, was)


def assertions(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only describes."""
    return {
        keyword: said
        for keyword, said in schema.items()
        if keyword not in _WORDS and not keyword.startswith(("x-", "$comment"))
    }


def _is_stricter(keyword: str, now: Any, was: Any) -> bool:
    if is_same(now, was):
        return True
    if keyword == "items":
        return is_within(now, was)
    if keyword == "type":
        return accepted_types(now) <= accepted_types(was)
    if keyword == "enum":
        return set(map(_written, now)) <= set(map(_written, was))
    if keyword == "required":
        return set(was) <= set(now)
    if keyword in _AT_MOST:
        return bool(now <= was)
    return keyword in _AT_LEAST and bool(now >= was)


def _written(value: Any) -> str:
    """Write a value so that two are the same text only where `is_same` says that they are one."""
    return json.dumps(value, sort_keys=True)


def _are_members_within(now: dict[str, Any], was: dict[str, Any]) -> bool:
    if "patternProperties" in now or "patternProperties" in was:
        return all(is_same(now.get(keyword), was.get(keyword)) for keyword in _STRUCTURE)
    old_members, new_members = was.get("properties", {}), now.get("properties", {})
    old_others, new_others = (
        was.get("additionalProperties", True),
        now.get("additionalProperties", True),
    )
    return (
        is_within(new_others, old_others)
        and all(
            is_within(new_members.get(name, new_others), member)
            for name, member in old_members.items()
        )
        and all(
            is_within(member, old_others)
            for name, member in new_members.items()
            if name not in old_members
        )
    )


def accepted_types(said: Any) -> set[str]:
    """Give the types that the keyword `type` lets in."""
    names = {said} if isinstance(said, str) else set(said)
    return names | {"integer"} if "number" in names else names


def is_same(one: Any, other: Any) -> bool:
    """Compare as JSON does: `true` is not `1`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    return bool(one == other)
