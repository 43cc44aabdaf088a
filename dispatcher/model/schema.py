"""What a JSON Schema means here: draft 2020-12, offline, linear-time patterns.

Called by intake (to judge payloads) and by the registry's fault finder (to judge schemas). It never
fetches anything, asserts no format, and accepts no pattern that would need backtracking.
"""

import json
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

_PATTERNS: Final = jsonschema_rs.RegexOptions()
_ENCODER: Final = msgspec.json.Encoder()
_ESCAPED_COLON: Final = rb"\u003"
DEPTH_MAX: Final = 64
"""How deep a payload or a schema may nest."""


@lru_cache(maxsize=1024)
def compile_schema(text: str) -> jsonschema_rs.Draft202012Validator:
    """Compile a schema; `ValueError` says what is wrong with it."""
    return jsonschema_rs.Draft202012Validator(
        read_schema(text), offline=True, validate_formats=False, pattern_options=_PATTERNS
    )


def read_schema(text: str) -> dict[str, Any]:
    """Decode the text of a schema; `ValueError` unless it is one JSON object."""
    schema = read_json(text.encode())
    if not isinstance(schema, dict):
        raise ValueError("a schema is a JSON object")
    return schema


def read_json(text: bytes) -> Any:
    """Decode JSON strictly; `ValueError` for anything else, and the error quotes nothing."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if text.count(b"[") + text.count(b"{") > DEPTH_MAX and _is_deep(document):
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    if has_twins(text, document):
        raise ValueError("a member is named twice")
    return document


def has_twins(text: bytes, document: object) -> bool:
    """Tell whether decoding this text to this document dropped a member for its namesake.

    Every member has one colon of its own, and every other colon stands in a name or a text. So
    where no member was dropped the document, written anew, has as many colons as its text; where
    one was, it has fewer. Only a colon that was written as an escape needs a closer look.
    """
    if b"\\" not in text or _ESCAPED_COLON not in text:
        return text.count(b":") != _ENCODER.encode(document).count(b":")
    try:
        json.loads(text, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except _Twin:
        return True
    return False


def _once(members: list[tuple[str, object]]) -> None:
    if len({name for name, _ in members}) < len(members):
        raise _Twin


class _Twin(Exception):
    """A member has a namesake beside it."""


def _is_deep(document: object) -> bool:
    level = [document]
    for _ in range(DEPTH_MAX + 1):
        inner: list[object] = []
        for node in level:
            if isinstance(node, dict):
                inner.extend(node.values())
            elif isinstance(node, list):
                inner.extend(node)
        if not inner:
            return False
        level = inner
    return True
