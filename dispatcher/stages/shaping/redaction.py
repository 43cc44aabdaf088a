"""A document with every value taken out: names that the schema declares, types and lengths remain.

Asked by previews, for whoever may see how a letter is built, and not what it says. Only what a
schema declares is shown by name: other names, and the keys of a map, are data as much as any value.
Of a text a class of lengths is told, of a list its first element and a class of sizes.
"""

from collections.abc import Mapping
from typing import Any, Final

from dispatcher.model.path import Path, Steps
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten

HIDDEN_NAME: Final = "<name>"
_CLASSES: Final = (16, 64, 256, 1024, 16_384)
_DEPTH_MAX: Final = 64
_Declared = Mapping[Path, Leaf | Unfit]


def redact(document: object, schema_text: str) -> object:
    """Give the document without its values; without a sound schema no name is shown either."""
    try:
        declared: _Declared = flatten(schema_text)
    except ValueError:
        declared = {}
    return _redact(document, (), declared)


def size_class(size: int, noun: str) -> str:
    """Say roughly how many there are: `up to 64 bytes`."""
    most = next((each for each in _CLASSES if size <= each), None)
    return f"up to {most} {noun}" if most is not None else f"more than {_CLASSES[-1]} {noun}"


def _redact(value: object, steps: Steps, declared: _Declared) -> object:
    if len(steps) > _DEPTH_MAX:
        return "<deeper>"
    match value:
        case dict():
            return _redact_object(value, steps, declared)
        case list():
            first = [_redact(each, (*steps, None), declared) for each in value[:1]]
            return [*first, f"<{size_class(len(value), 'elements')}>"]
        case None:
            return None
        case bool():
            return "<true or false>"
        case int():
            return "<whole number>"
        case float():
            return "<number>"
        case _:
            return f"<text, {size_class(len(str(value)), 'characters')}>"


def _redact_object(value: dict[str, Any], steps: Steps, declared: _Declared) -> dict[str, object]:
    shown: dict[str, object] = {}
    hidden = 0
    for name, inner in value.items():
        if Path((*steps, name)) in declared:
            shown[name] = _redact(inner, (*steps, name), declared)
        else:
            hidden += 1
            shown.setdefault(HIDDEN_NAME, _redact(inner, (*steps, None), declared))
    if hidden > 1:
        shown["<names>"] = f"<{size_class(hidden, 'of them')}>"
    return shown
