"""A scope never widens: generated schemas, documents and grants."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import Path, format_path
from dispatcher.model.scope import Scope
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.projection import project
from dispatcher.stages.shaping.schema import Leaf, flatten
from dispatcher.stages.shaping.scopes import resolve_scope
from tests.unit.stages.builders import TOKENS, leaf, text_of

NAMES = st.sampled_from(["a", "b", "c", "odd key", "d-e"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
)
DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
LEAVES = st.builds(
    leaf,
    st.sampled_from(["string", "number", "integer", "boolean", ["string", "null"]]),
    st.just("other"),
    st.sampled_from(["public", "restricted"]),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.dictionaries(NAMES, inner, min_size=1, max_size=4)
    return members.map(lambda given: {"type": "object", "properties": given})


SCHEMAS = _objects(
    st.recursive(
        LEAVES,
        lambda inner: (
            _objects(inner)
            | inner.map(lambda each: {"type": "array", "items": each})
            | inner.map(lambda each: {"type": "object", "additionalProperties": each})
        ),
        max_leaves=8,
    )
)


@st.composite
def documents_of(draw: st.DrawFn, schema: Any) -> Any:
    """Draw a document that mostly keeps to the schema, with surprises anywhere."""
    if draw(st.integers(0, 9)) == 0:
        return draw(DOCUMENTS)
    if schema["type"] == "array":
        return draw(st.lists(documents_of(schema["items"]), max_size=3))
    if schema["type"] == "object":
        each = schema.get("additionalProperties")
        if each is not None:
            return draw(st.dictionaries(NAMES, documents_of(each), max_size=3))
        members = schema["properties"].items()
        made = {name: draw(documents_of(inner)) for name, inner in members if draw(st.booleans())}
        return made | draw(st.dictionaries(st.just("extra"), DOCUMENTS, max_size=1))
    return draw(SCALARS)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any, Scope]:
    """Draw a schema, a document and a scope of some of its leaves."""
    schema = draw(SCHEMAS)
    document = draw(documents_of(schema))
    paths = [
        format_path(path)
        for path, found in flatten(text_of(schema)).items()
        if isinstance(found, Leaf) and draw(st.booleans())
    ]
    scope, withheld = resolve_scope(
        text_of(schema), tuple(paths), Sensitivity.RESTRICTED, frozenset(Category)
    )
    assert () == withheld
    return schema, document, scope


def scalars_in(document: Any, schema: Any, at: Path) -> list[tuple[Path, Any]]:
    """Walk a projection along its schema, giving each scalar with its path."""
    if isinstance(document, dict):
        members = schema.get("properties")
        found = []
        for name, inner in document.items():
            step = None if members is None else name
            below = schema["additionalProperties"] if members is None else members[name]
            found += scalars_in(inner, below, Path((*at, step)))
        return found
    if isinstance(document, list):
        each = Path((*at, None))
        return [pair for inner in document for pair in scalars_in(inner, schema["items"], each)]
    return [(at, document)]


def encoded(document: Any, scope: Scope) -> bytes:
    return msgspec.json.encode(project(document, Draft(scope, TOKENS)))


@given(cases())
def test_what_leaves_is_granted_and_listed_exactly(case):
    schema, document, scope = case
    draft = Draft(scope, TOKENS)
    built, disclosed = project(document, draft), draft.disclosed
    seen = {path for path, _ in scalars_in(built, schema, Path(()))}
    assert seen == {field.path for field in disclosed}
    assert seen <= {field.path for field in scope.fields}


@given(cases(), st.data())
def test_a_field_nobody_declared_never_changes_what_leaves(case, data):
    schema, document, scope = case
    before = encoded(document, scope)
    spots = list(_declared_objects(document, schema))
    if spots:
        spot = data.draw(st.sampled_from(spots))
        spot["brand new"] = data.draw(DOCUMENTS)
    assert before == encoded(document, scope)


def _declared_objects(document: Any, schema: Any) -> Any:
    if isinstance(document, dict) and schema.get("type") == "object":
        members = schema.get("properties")
        if members is not None:
            yield document
        for name, inner in list(document.items()):
            below = schema["additionalProperties"] if members is None else members.get(name)
            if below is not None:
                yield from _declared_objects(inner, below)
    elif isinstance(document, list) and schema.get("type") == "array":
        for inner in document:
            yield from _declared_objects(inner, schema["items"])


@given(cases(), st.data())
def test_narrowing_never_adds_a_byte(case, data):
    _, document, scope = case
    kept = tuple(field for field in scope.fields if data.draw(st.booleans()))
    assert len(encoded(document, Scope.of(kept))) <= len(encoded(document, scope))


@given(cases(), st.data())
def test_an_intersection_only_narrows_and_is_the_same_from_both_sides(case, data):
    _, _, scope = case
    one = Scope.of(tuple(field for field in scope.fields if data.draw(st.booleans())))
    other = Scope.of(tuple(field for field in scope.fields if data.draw(st.booleans())))
    both = one.intersect(other)
    assert set(one.fields) & set(other.fields) == set(both.fields)
    assert both == other.intersect(one)


@given(DOCUMENTS, cases())
def test_no_document_makes_the_projection_fail(document, case):
    project(document, Draft(case[2], TOKENS))


@given(cases())
def test_the_same_document_gives_the_same_bytes(case):
    _, document, scope = case
    assert encoded(document, scope) == encoded(document, Scope.of(scope.fields[::-1]))
