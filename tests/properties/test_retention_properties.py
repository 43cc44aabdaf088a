"""However windows, ceilings and classes change: whatever is kept longer is called widening."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.registry import EventType, Policy, Registry
from dispatcher.model.retention import Ceiling, Retention
from dispatcher.stages.revising.diff import diff
from dispatcher.stages.revising.retention import KEYS, PERSONAL, retention_rules
from tests.unit.stages import builders
from tests.unit.stages.builders import TODAY, leaf, record, text_of

SPANS = st.sampled_from((1.0, 2.0, 5.0))
SHORT = st.sampled_from((0.5, 1.0, None))
NAMES = ("payload_hours", "envelope_days", "ledger_days")
CEILINGS = st.builds(Ceiling, **dict.fromkeys(NAMES, SHORT))
CLASSES = st.dictionaries(
    st.sampled_from(("contact", "health", "confidential", PERSONAL)), CEILINGS, min_size=1
)
RETENTIONS = st.builds(Retention, **dict.fromkeys(NAMES, SPANS), classes=CLASSES)
LEAVES = st.builds(
    leaf,
    st.just("string"),
    st.sampled_from(("other", "contact", "health")),
    st.sampled_from(("public", "confidential")),
)
EVENT_TYPES = st.builds(
    lambda members: EventType(name="order.paid", schema=text_of(record(**members))),
    st.fixed_dictionaries({"id": LEAVES, "note": LEAVES}),
)


def registry(retention: Retention, event_type: EventType) -> Registry:
    policy = Policy(retention=retention)
    return builders.registry(event_types=(event_type,), subscriptions=(), policy=policy)


REGISTRIES = st.builds(registry, RETENTIONS, EVENT_TYPES)


def kept(held: Registry, name: str) -> dict[str, int]:
    """Give how long each store keeps what is of this event type, in microseconds."""
    rules = retention_rules(held.policy.retention, held.event_types, TODAY)
    return {
        rule.store: rule.kept_us for rule in rules if (name in rule.event_types) != rule.is_rest
    }


@given(RETENTIONS, RETENTIONS, EVENT_TYPES, EVENT_TYPES, st.booleans())
def test_what_is_kept_longer_is_called_widening(
    retention: Retention, other: Retention, was_type: EventType, type_: EventType, is_moved: bool
):
    old, new = registry(retention, was_type), registry(other if is_moved else retention, type_)
    was, now = kept(old, "order.paid"), kept(new, "order.paid")
    assert set(was) == set(now) == set(KEYS)
    if any(now[store] > was[store] for store in KEYS):
        changes = diff(old, new, TODAY, frozenset()).changes
        assert any(c.direction == "widens" and c.aspect == "retention" for c in changes)


@given(REGISTRIES)
def test_no_ceiling_lengthens_and_what_is_unknown_goes_first(held: Registry):
    known, unknown = kept(held, "order.paid"), kept(held, "order.gone")
    bare = builders.registry(policy=Policy(retention=Retention()))
    assert kept(bare, "order.paid") == kept(bare, "order.gone")
    for store, kept_us in known.items():
        assert unknown[store] <= kept_us
    assert known["payloads"] <= known["envelopes"] <= known["ledger"]
