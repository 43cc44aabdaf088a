"""A real event with nobody left in it: for tests and for places that are not production.

Called by `dispatcher schema mask`. What is classed `other` and `public` or `internal` stays as it
is; every other leaf, and every one without a class, is replaced by a fake of the same form, the
same for the same value and seed, so that joins still work. What the schema does not declare is left
out. Whoever has the seed can test guesses of a value against its fake; the seed is a key.

Where a value is one of few (a choice, a truth, a small number) its fake is drawn from the seed and
the place alone, for a fake that follows such a value gives it away.
"""

import math
import string
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import Path, Steps
from dispatcher.model.schema import compile_schema, read_schema
from dispatcher.stages.shaping.fakes import Kind, draw, fake_text, kind_by_look, kind_of
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten
from dispatcher.stages.shaping.synthetic import bounds, fits, synthesise_leaf

_ABSENT: Final = object()
_SMALL: Final = 100
_SHORT: Final = 2
"""Texts of so few characters are codes: a country, a sex."""
_SALTS: Final = 8
_TELLING_CHARACTERS: Final = 4
"""A shorter text stands in any other by chance."""
_FORMS: Final = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
_KEPT: Final = frozenset(string.punctuation + " ")


def mask_event(document: object, schema_text: str, seed: str) -> dict[str, object]:
    """Give the event with fakes in it; `ValueError` where it is none, or the schema is unsound."""
    if not isinstance(document, Mapping):
        raise ValueError("an event is a JSON object")
    compile_schema(schema_text)
    masked = _Masker(flatten(schema_text), seed).mask(document, read_schema(schema_text), ())
    return masked if isinstance(masked, dict) else {}


class _Masker:
    """Walks a document along its schema and builds another beside it."""

    def __init__(self, declared: Mapping[Path, Leaf | Unfit], seed: str) -> None:
        self._declared = declared
        self._seed = seed

    def mask(self, value: object, node: object, steps: Steps) -> object:
        """Give what stands for a value, or nothing where the schema does not declare it."""
        found = self._declared.get(Path(steps))
        if found is None:
            return _ABSENT
        if found is Unfit.CONTAINER:
            return self._container(value, node, steps)
        if value is None or isinstance(value, Mapping | list):
            return None if value is None else _ABSENT
        plain = node if isinstance(node, dict) else {}
        if isinstance(found, Leaf) and _is_harmless(found) and fits(plain, value):
            return value
        category = found.category if isinstance(found, Leaf) else None
        return self._fake(value, plain, steps, category)

    def _container(self, value: object, node: object, steps: Steps) -> object:
        said = node if isinstance(node, dict) else {}
        if isinstance(value, Mapping):
            return self._object(value, said, steps)
        if isinstance(value, list):
            masked = (self.mask(each, said.get("items"), (*steps, None)) for each in value)
            return [each for each in masked if each is not _ABSENT]
        return None if value is None else _ABSENT

    def _object(
        self, value: Mapping[str, object], node: Mapping[str, Any], steps: Steps
    ) -> dict[str, object]:
        members = node.get("properties")
        if isinstance(members, dict) and members:
            masked = {
                name: self.mask(inner, members[name], (*steps, name))
                for name, inner in value.items()
                if name in members
            }
        else:
            each, is_harmless = node.get("additionalProperties"), self._is_harmless_below(steps)
            masked = {
                name if is_harmless else self._name(name): self.mask(inner, each, (*steps, None))
                for name, inner in value.items()
            }
        return {name: inner for name, inner in masked.items() if inner is not _ABSENT}

    def _is_harmless_below(self, steps: Steps) -> bool:
        """Tell whether the names of a map say nothing: they are data, classed as what they name."""
        depth = len(steps)
        below = [
            found
            for path, found in self._declared.items()
            if path[:depth] == steps and len(path) > depth and found is not Unfit.CONTAINER
        ]
        return bool(below) and all(isinstance(each, Leaf) and _is_harmless(each) for each in below)

    def _name(self, name: str) -> str:
        return f"key-{draw(self._seed, 'name', name) % 16**16:016x}"

    def _fake(
        self, value: object, node: dict[str, Any], steps: Steps, category: Category | None
    ) -> object:
        made = synthesise_leaf(node, steps, self._seed)
        if _is_of_few(value, node):
            return made if fits(node, made) else _ABSENT
        name = next((step for step in reversed(steps) if step is not None), "")
        if isinstance(value, str):
            candidates = self._texts(value, kind_of(node, name, category))
        else:
            candidates = self._numbers(value)
        found = (
            each
            for each in chain(candidates, self._by_schema(value, node, steps))
            if fits(node, each) and not _tells(each, value)
        )
        return next(found, _ABSENT)

    def _by_schema(self, value: object, node: dict[str, Any], steps: Steps) -> Iterator[object]:
        """Give what the schema alone would have there, where nothing of the value's form fits."""
        for salt in range(_SALTS):
            number = draw(self._seed, "schema", repr(value), str(salt))
            yield synthesise_leaf(node, steps, str(number))

    def _texts(self, value: str, kind: Kind) -> Iterator[object]:
        """Give fakes of a text: of its kind, and else letter for letter and digit for digit."""
        kind = kind_by_look(value) if kind is Kind.TEXT else kind
        numbers = [draw(self._seed, "text", value, str(salt)) for salt in range(_SALTS)]
        if kind is not Kind.TEXT:
            yield from (fake_text(kind, number) for number in numbers)
        yield from (_scramble(value, self._seed, str(salt)) for salt in range(_SALTS))
        yield "x" * len(value)

    def _numbers(self, value: object) -> Iterator[object]:
        """Give numbers of as many digits, with the same sign, whole ones for whole ones."""
        whole = 0
        # An integer may be too large for a float, and a float for an integer.
        if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            whole = abs(int(value))
        digits = len(str(whole)) - 1
        sign = -1 if isinstance(value, int | float) and value < 0 else 1
        for salt in range(_SALTS):
            number = draw(self._seed, "number", repr(value), str(salt))
            fake = sign * (10**digits + number % (9 * 10**digits))
            yield float(fake) if isinstance(value, float) else fake


def _is_harmless(leaf: Leaf) -> bool:
    return leaf.category is Category.OTHER and leaf.sensitivity.is_within(Sensitivity.INTERNAL)


def _is_of_few(value: object, node: Mapping[str, Any]) -> bool:
    """True for a value that can be told by how often its fake is seen."""
    if "enum" in node or "const" in node or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return len(value) <= _SHORT
    least, most = bounds(node)
    if least is not None and most is not None and most - least < _SMALL:
        return True
    return isinstance(value, int | float) and abs(value) < _SMALL


def _tells(fake: object, value: object) -> bool:
    """True where a fake is its value, or a text has the whole value in it."""
    if fake == value:
        return True
    return (
        isinstance(fake, str)
        and isinstance(value, str)
        and len(value) >= _TELLING_CHARACTERS
        and value in fake
    )


def _scramble(text: str, seed: str, salt: str) -> str:
    """Put another letter for each letter and another digit for each digit, by the whole text."""
    number = draw(seed, "letters", text, salt)
    made = []
    for at, character in enumerate(text):
        if at % 32 == 0:
            number = draw(str(number), "letters", str(at))
        form = next((each for each in _FORMS if character in each), "")
        if form:
            made.append(form[(number >> (at % 32 * 8)) % 256 % len(form)])
        elif character in _KEPT:
            made.append(character)
        else:
            made.append("X" if character.isupper() else "x")
    return "".join(made)
