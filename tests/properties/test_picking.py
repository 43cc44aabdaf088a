"""The short way and the long way to what a scope grants: they come to the same."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.path import format_path
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.picking import pick
from dispatcher.stages.shaping.projection import project
from dispatcher.stages.shaping.schema import Leaf, flatten
from tests.properties.test_shaping_properties import proven
from tests.support.shaping_cases import (
    ANSWERS,
    LEAVES,
    NAMES,
    SCALARS,
    TEXTS,
    Case,
    actions_for,
    scope_of,
    written,
)
from tests.unit.stages.builders import text_of


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(NAMES, inner, min_size=1, max_size=4)
    return members.map(lambda given: {"type": "object", "properties": given})


# Without maps, for which there is no short way.
SCHEMAS = objects(
    st.recursive(
        LEAVES,
        lambda inner: objects(inner) | inner.map(lambda each: {"type": "array", "items": each}),
        max_leaves=8,
    )
)
FITTING = {
    "string": TEXTS,
    "integer": st.integers(-(10**8), 10**8) | st.integers(-99, 99).map(float),
    "number": st.floats(-1e8, 1e8) | st.integers(-(10**8), 10**8),
    "boolean": st.booleans(),
    "null": st.none(),
}


@st.composite
def whole(draw: st.DrawFn, schema: Any) -> Any:
    """Draw a document in which everything is there, and nearly everything as declared."""
    if draw(st.integers(0, 60)) == 0:
        return draw(SCALARS)
    if schema["type"] == "array":
        return draw(st.lists(whole(schema["items"]), min_size=1, max_size=3))
    if schema["type"] == "object":
        members = {name: draw(whole(inner)) for name, inner in schema["properties"].items()}
        return members | draw(st.dictionaries(st.just("extra"), SCALARS, max_size=1))
    said = schema["type"]
    return draw(st.one_of(*(FITTING[each] for each in ([said] if isinstance(said, str) else said))))


@st.composite
def whole_cases(draw: st.DrawFn) -> Case:
    """Draw a case that as a rule can go the short way."""
    schema = draw(SCHEMAS)
    document = draw(whole(schema).filter(lambda drawn: isinstance(drawn, dict)))
    grants = tuple(
        f"{format_path(path)} {draw(actions_for(found.type).filter(fits(found.type)))}"
        for path, found in flatten(text_of(schema)).items()
        if isinstance(found, Leaf) and draw(st.integers(0, 9))
    )
    return Case(schema, document, grants, scope_of(schema, grants))


def fits(types: str) -> Callable[[str], bool]:
    """True of actions that make something of any value, at a place where one can be done."""
    return lambda action: action == "pass" or not ("array/" in types or "generalise" in action)


def noted(draft: Draft) -> Any:
    """Give what is noted, in whatever order; an empty text is as good as none."""
    texts = Counter(zip(draft.raw, draft.places, strict=True))
    texts = Counter({each: count for each, count in texts.items() if each[0]})
    return texts, draft.marks, draft.dropped, draft.wanted, draft.longest


@proven
@given(whole_cases())
def test_what_is_picked_is_what_is_built_and_the_notes_say_the_same(case: Case) -> None:
    short, long = Draft(case.scope, ANSWERS), Draft(case.scope, ANSWERS)
    picked = pick(written(case.document), short)
    if picked is not None:
        assert written(picked) == written(project(case.document, long))
        assert noted(short) == noted(long)
