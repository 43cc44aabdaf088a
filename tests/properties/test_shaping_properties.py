"""Only what was granted leaves: generated schemas, documents and scopes, and a second opinion."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatcher.model.action import parse_action
from dispatcher.model.letter import Admitted, Shaped
from dispatcher.model.path import SUBJECT, Path, format_path
from dispatcher.model.registry import WireFormat
from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.projection import project
from dispatcher.stages.shaping.schema import Leaf, flatten
from dispatcher.stages.shaping.shape import shape
from tests.support import shaping_oracle as oracle
from tests.support.shaping_cases import (
    ANSWERS,
    ANYTHING,
    NEW,
    SCALARS,
    Case,
    actions_for,
    cases,
    scope_of,
    written,
)
from tests.unit.stages.builders import cleared, event, text_of

proven = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def drafted(document: Any, scope: Scope) -> tuple[Any, Draft]:
    draft = Draft(scope, ANSWERS)
    return project(document, draft), draft


def encoded(document: Any, scope: Scope) -> bytes:
    return written(drafted(document, scope)[0])


@proven
@given(cases())
def test_the_scalars_that_leave_are_those_a_second_opinion_finds(case: Case) -> None:
    owed = oracle.expected(case.scope, case.document)
    built, draft = drafted(case.document, case.scope)
    assert Counter(map(written, oracle.scalars(built))) == Counter(written(v) for _, v in owed)
    assert set(draft.disclosed) == {field for field, _ in owed}


@proven
@given(cases())
def test_what_is_not_as_granted_is_dropped_and_counted(case: Case) -> None:
    _, draft = drafted(case.document, case.scope)
    assert set(draft.mistaken) == oracle.mistaken(case.scope, case.document)


@proven
@given(cases())
def test_the_names_that_leave_are_granted_or_stand_in_a_granted_map(case: Case) -> None:
    built, draft = drafted(case.document, case.scope)
    seen = {path for path, _ in scalars_in(built, case.schema, Path(()))}
    assert seen == {field.path for field in draft.disclosed}


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


@proven
@given(cases(), st.data())
def test_a_field_added_anywhere_never_changes_what_leaves(case: Case, data: Any) -> None:
    before = encoded(case.document, case.scope)
    for spot in open_objects(case.document, case.schema):
        if data.draw(st.booleans()):
            spot[NEW] = data.draw(ANYTHING)
    assert before == encoded(case.document, case.scope)


def open_objects(node: Any, schema: Any) -> Iterator[Any]:
    """Give every object of a document but the maps, whose entries are no fields."""
    kind, inner = (schema or {}).get("type"), list(_inner(node, schema))
    if isinstance(node, dict) and not (kind == "object" and "properties" not in schema):
        yield node
    for child, below in inner:
        yield from open_objects(child, below)


def _inner(node: Any, schema: Any) -> Iterator[tuple[Any, Any]]:
    kind = (schema or {}).get("type")
    if isinstance(node, dict):
        for name, child in node.items():
            members = schema.get("properties", {}) if kind == "object" else {}
            each = schema.get("additionalProperties") if kind == "object" else None
            yield child, members.get(name, each)
    elif isinstance(node, list):
        for child in node:
            yield child, schema["items"] if kind == "array" else None


@proven
@given(cases(), st.data())
def test_a_grant_less_never_adds_a_byte(case: Case, data: Any) -> None:
    kept = tuple(field for field in case.scope.fields if data.draw(st.booleans()))
    less, more = drafted(case.document, Scope.of(kept))[0], drafted(case.document, case.scope)[0]
    assert len(written(less)) <= len(written(more))
    assert Counter(map(written, oracle.scalars(less))) <= Counter(
        map(written, oracle.scalars(more))
    )


@proven
@given(cases(), st.data())
def test_an_intersection_is_the_same_from_both_sides_and_within_both(case: Case, data: Any) -> None:
    one, other = data.draw(regranted(case)), data.draw(regranted(case))
    both = one.intersect(other)
    assert both == other.intersect(one)
    for side in (one, other):
        theirs = {field.path: field for field in side.fields}
        for field in both.fields:
            check_derivable(field, theirs[field.path], case.document)


@st.composite
def regranted(draw: st.DrawFn, case: Case) -> Scope:
    """Draw another scope over the same schema."""
    grants = tuple(
        f"{format_path(path)} {draw(actions_for(found.type))}"
        for path, found in flatten(text_of(case.schema)).items()
        if isinstance(found, Leaf) and draw(st.integers(0, 4))
    )
    return scope_of(case.schema, grants)


def check_derivable(less: Field, more: Field, document: Any) -> None:
    """Make the lesser outcome of the greater one alone, and compare."""
    types = less.type.split("/")[-1]
    for value in (*oracle.found(less, document), *ANY_VALUES):
        if oracle.is_of(types, value):
            told = oracle.outcome(more.action, value)
            assert made_of(told, less.action, more.action) == oracle.outcome(less.action, value)


ANY_VALUES = ("", "ab", "abcdef", "2024-02-30", "x" * 9, "203.0.113.7", 7, -3.5, 2**70, True, None)


def made_of(told: Any, less: str, more: str) -> Any:
    """Make an action's outcome of another's, knowing nothing of the value."""
    kind = parse_action(less).kind
    if told is oracle.NOTHING or less == more or (told is None and kind != "const"):
        return told
    if kind == "const" or more == "pass":
        return oracle.outcome(less, told)
    if kind == "truncate" and more.startswith("truncate"):
        return oracle.outcome(less, told)
    assert (less, more) == ("generalise(year)", "generalise(month)")
    return told[:4]


@proven
@given(ANYTHING, cases())
def test_no_document_makes_the_projection_fail(document: Any, case: Case) -> None:
    drafted(document, case.scope)


@proven
@given(cases())
def test_the_same_document_gives_the_same_bytes(case: Case) -> None:
    assert encoded(case.document, case.scope) == encoded(
        case.document, Scope.of(case.scope.fields[::-1])
    )


# The whole letter, in every style and format.

SUBJECTS = st.lists(st.text(min_size=1, max_size=8), max_size=3, unique=True)
SUBJECT_ACTIONS = st.sampled_from(
    (None, "", "pass", "pseudonym(a)", "truncate(2)", "vault(a)", "mask(last=2)", 'const("one")')
)
STANDARD = {"id", "type", "timestamp"}
CLOUDEVENT = {"specversion", "id", "source", "type", "time"}


@st.composite
def letters(draw: st.DrawFn) -> tuple[Case, Admitted]:
    """Draw a letter about a case's document, ready to be shaped."""
    case, action = draw(cases()), draw(SUBJECT_ACTIONS)
    person = () if action is None else (f"@subject {action}".rstrip(),)
    scope = scope_of(case.schema, (*case.grants, *person))
    scope = Scope.of(scope.fields, is_thin=draw(st.booleans()))
    made = cleared(event(written(case.document), subjects=tuple(draw(SUBJECTS))))
    # Without the leak guard, which may mask or park what was granted.
    route = replace(made.route, format=draw(st.sampled_from(WireFormat)), leak_rules=())
    return case, Admitted(cleared=replace(made, route=route, scope=scope), addresses=("8.8.8.8",))


def shaped(letter: Admitted) -> Shaped:
    found = shape(letter, ANSWERS)
    assert isinstance(found, Shaped)
    return found


@proven
@given(letters())
def test_a_letter_has_the_envelope_and_what_was_granted_and_nothing_else(drawn: Any) -> None:
    case, letter = drawn
    body = msgspec.json.decode(shaped(letter).plaintext)
    is_event = letter.cleared.route.format is WireFormat.CLOUDEVENTS
    scope, subjects = letter.cleared.scope, letter.cleared.leased.event.subjects
    names = set(body) - (CLOUDEVENT if is_event else STANDARD)
    told = [
        oracle.outcome(field.action, who)
        for field in scope.fields
        if field.path == SUBJECT
        for who in subjects
    ]
    if not told or (is_event and len(told) > 1):
        assert names.isdisjoint({"subject", "subjects"})
    elif len(told) == 1:
        assert body["subject"] == told[0]
    else:
        assert body["subjects"] == told
    names -= {"subject", "subjects"}
    if scope.is_thin:
        assert names == {"ref", "ticket"}
    else:
        assert names == ({"data", "datacontenttype"} if is_event else {"data"})
        owed = oracle.expected(scope, case.document)
        leaving = Counter(map(written, oracle.scalars(body["data"])))
        assert leaving == Counter(written(value) for _, value in owed)


@proven
@given(letters(), st.data())
def test_a_field_added_anywhere_never_changes_the_letter(drawn: Any, data: Any) -> None:
    case, letter = drawn
    before = shaped(letter)
    for spot in open_objects(case.document, case.schema):
        if data.draw(st.booleans()):
            spot[NEW] = data.draw(SCALARS | ANYTHING)
    leased = letter.cleared.leased
    grown = replace(leased, event=replace(leased.event, payload=written(case.document)))
    after = shaped(replace(letter, cleared=replace(letter.cleared, leased=grown)))
    assert (before.plaintext, before.disclosed) == (after.plaintext, after.disclosed)


@proven
@given(letters(), st.data())
def test_a_letter_of_fewer_grants_is_no_longer(drawn: Any, data: Any) -> None:
    _, letter = drawn
    whole = letter.cleared.scope
    kept = tuple(field for field in whole.fields if data.draw(st.booleans()))
    less = replace(letter.cleared, scope=Scope.of(kept, is_thin=whole.is_thin))
    narrowed = shaped(replace(letter, cleared=less))
    assert len(narrowed.plaintext) <= len(shaped(letter).plaintext)
