"""What a JSON Schema means here: draft 2020-12, offline, linear-time patterns.

Called by intake (to judge payloads) and by the registry's fault finder (to judge schemas). It never
fetches anything, asserts no format, and accepts no pattern that would need backtracking.
"""

from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

_PATTERNS: Final = jsonschema_rs.RegexOptions()
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
    return document


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
