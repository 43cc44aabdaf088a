"""Find what an event carries and its schema does not class: nobody can be granted it.

Called by the relay now and then, so that whoever keeps the schema hears of a field that a producer
added. It looks at every event type the same way and decides nothing. A member's name that only the
data knows is told where it looks like a name and few stand beside it, for it may be a value; no
value is ever told.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from dispatcher.model.path import Path, Steps, format_path
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten

STRANGERS_MAX: Final = 5
"""Members of one object that nobody declared: more are taken for the keys of a map."""
STRAYS_MAX: Final = 100
NODES_MAX: Final = 10_000
"""How much of one event is told of, and looked at."""
_NAME: Final = re.compile(
    r"(?=.{1,40}\Z)_*[A-Za-z]+[0-9]{0,3}(?:[_-][A-Za-z]*[0-9]{0,3})*\Z", re.DOTALL
)
"""Words, with few digits behind a word: an id that serves as a key has them in its midst."""
_Declared = Mapping[Path, Leaf | Unfit]


class Lack(StrEnum):
    """What a place in an event lacks."""

    UNCLASSIFIED = "unclassified"
    UNDECLARED = "undeclared"


@dataclass(frozen=True, slots=True)
class Stray:
    """A place in an event that its schema does not class. What is below it is not told."""

    path: Path
    lack: Lack


def survey(document: object, schema_text: str) -> tuple[Stray, ...]:
    """List such places of a decoded event, each once."""
    declared = flatten(schema_text)
    found: dict[Stray, None] = {}
    waiting: list[tuple[object, Steps]] = [(document, ())]
    for _ in range(NODES_MAX):
        if not waiting or len(found) >= STRAYS_MAX:
            break
        node, steps = waiting.pop()
        if declared.get(Path(steps)) is Unfit.CONTAINER:
            waiting += [
                (inner, (*steps, step)) for step, inner in _inner(node, steps, declared, found)
            ]
        elif not isinstance(declared.get(Path(steps)), Leaf):
            found[Stray(Path(steps), Lack.UNCLASSIFIED)] = None
    return tuple(found)[:STRAYS_MAX]


@lru_cache(maxsize=1024)
def classed_places(schema_text: str) -> frozenset[str]:
    """Give every place that a schema classes, or says what is in it, as paths."""
    return frozenset(
        format_path(path)
        for path, found in flatten(schema_text).items()
        if isinstance(found, Leaf) or found is Unfit.CONTAINER
    )


def _inner(
    node: object, steps: Steps, declared: _Declared, found: dict[Stray, None]
) -> Iterator[tuple[str | None, object]]:
    """Give what is declared to be in a container; note what is not."""
    each = declared.get(Path((*steps, None)))
    if isinstance(node, list):
        if each is not None:
            yield from ((None, element) for element in node)
        elif node:
            found[Stray(Path((*steps, None)), Lack.UNDECLARED)] = None
    elif isinstance(node, dict):
        strangers = sum(Path((*steps, name)) not in declared for name in node)
        for name, inner in node.items():
            if Path((*steps, name)) in declared:
                yield name, inner
            elif each is not None and each is not Unfit.UNFOLLOWED:
                yield None, inner
            else:
                # Many in one place are the keys of a map, and may be anything.
                is_name = strangers <= STRANGERS_MAX and _NAME.match(name)
                shown = name if is_name else None
                found[Stray(Path((*steps, shown)), Lack.UNDECLARED)] = None
