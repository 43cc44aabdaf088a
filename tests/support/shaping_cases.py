"""Generated schemas, documents and scopes for the properties of shaping, and tokens to shape with.

Documents mostly keep to their schema, with surprises anywhere: other types, `null`, containers at
leaves and leaves at containers, members nobody declared. Names are odd on purpose.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import strategies as st

from dispatcher.model.action import parse_action
from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import format_path
from dispatcher.model.scope import Scope
from dispatcher.stages.shaping.schema import Leaf, flatten
from dispatcher.stages.shaping.scopes import resolve_scope
from dispatcher.stages.shaping.transforms import suits
from tests.unit.stages.builders import TOKENS, leaf, text_of

PLAIN = ("a", "b", "c")
ODD = ("odd key", "d-e", "a.b", "[*]", "$", "@subject", "0", "-1", '"', "ключ", "\U0001f98a", "A")
NAMES = st.sampled_from(PLAIN * 4 + ODD)
NEW = "brand new"
"""A member that no schema here declares."""
BIG = 2**64
TEXTS = st.text(max_size=6) | st.sampled_from(
    ("1990-05-17", "2026-02-30", "203.0.113.77", "2001:db8:1::7", "4111111111111111", "a" * 40)
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from((BIG, -BIG - 1, BIG**4, 0, 1))
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
TYPES = (
    "string",
    "number",
    "integer",
    "boolean",
    "null",
    ["string", "null"],
    ["integer", "string"],
    ["boolean", "number"],
    ["integer", "null", "string"],
)
ACTIONS = (
    "pass",
    "mask(last=2)",
    "mask(first=1,last=1)",
    "truncate(2)",
    "truncate(4)",
    "pseudonym(a)",
    "pseudonym(b)",
    "siv(a)",
    "vault(a)",
    "encrypt(k)",
    "generalise(year)",
    "generalise(month)",
    "generalise(ip)",
    "generalise(postcode=2)",
    "generalise(bucket=10)",
    'const("fixed")',
    "const(0)",
)
LEAVES = st.builds(
    leaf,
    st.sampled_from(TYPES),
    st.just("other"),
    st.sampled_from(("public", "restricted")),
)


class Answering:
    """Tokens of every kind, as if all were minted and every key there."""

    def pseudonym(self, domain: str, text: str) -> str:
        return TOKENS.pseudonym(domain, text)

    def siv(self, domain: str, text: str) -> str:
        return TOKENS.siv(domain, text)

    def vault(self, domain: str, text: str) -> str | None:
        return "vlt_" + TOKENS.pseudonym(f"vault-{domain}", text)

    def encrypt(self, kid: str, plaintext: bytes) -> str | None:
        return f"jwe_{kid}_{TOKENS.pseudonym('jwe', plaintext.decode())}"

    def ticket(self, webhook_id: str) -> str:
        return f"tkt_{webhook_id}"


ANSWERS = Answering()


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


@dataclass(frozen=True)
class Case:
    """A schema, a document of it, and a scope of some of its leaves."""

    schema: Any
    document: Any
    grants: tuple[str, ...]
    scope: Scope


@st.composite
def documents_of(draw: st.DrawFn, schema: Any) -> Any:
    """Draw a document that mostly keeps to the schema, with surprises anywhere."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANYTHING)
    if schema["type"] == "array":
        return draw(st.lists(documents_of(schema["items"]), max_size=3))
    if schema["type"] == "object":
        each = schema.get("additionalProperties")
        if each is not None:
            return draw(st.dictionaries(NAMES, documents_of(each), max_size=3))
        members = schema["properties"].items()
        made = {name: draw(documents_of(inner)) for name, inner in members if draw(st.booleans())}
        return made | draw(st.dictionaries(st.just("extra"), ANYTHING, max_size=1))
    return draw(_scalars_of(schema["type"]))


def _scalars_of(types: str | list[str]) -> st.SearchStrategy[Any]:
    """Give scalars, most of the type that is asked for."""
    fitting = {
        "string": TEXTS,
        "integer": st.integers(),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    said = [types] if isinstance(types, str) else types
    return st.one_of(*(fitting[name] for name in said), SCALARS)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a schema, a document that is an object, and a scope with any action that suits."""
    schema = draw(SCHEMAS)
    document = draw(documents_of(schema).filter(lambda drawn: isinstance(drawn, dict)))
    grants = tuple(
        f"{format_path(path)} {draw(actions_for(found.type))}"
        for path, found in flatten(text_of(schema)).items()
        if isinstance(found, Leaf) and draw(st.integers(0, 3))
    )
    return Case(schema, document, grants, scope_of(schema, grants))


def scope_of(schema: Any, grants: tuple[str, ...]) -> Scope:
    """Resolve grants for a recipient who may have everything."""
    scope, withheld = resolve_scope(
        text_of(schema), grants, Sensitivity.RESTRICTED, frozenset(Category)
    )
    assert withheld == ()
    assert len(scope.fields) == len(grants)
    return scope


def actions_for(types: str) -> st.SearchStrategy[str]:
    """Give the actions that suit a leaf of these types."""
    scalars = types.rpartition("/")[2]
    return st.sampled_from([text for text in ACTIONS if suits(parse_action(text), scalars)])


def written(value: Any) -> bytes:
    return msgspec.json.encode(value)
