"""May a delivery be filed once more, and under which ceiling?"""

from dataclasses import replace

import pytest

from dispatcher.model.delivery import State
from dispatcher.model.ids import DeliveryId
from dispatcher.model.replay import Ancestor
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.replaying import ceiling_of, judge_replay
from tests.support.letters import NARROW, WIDE, field_of

ENDED = Ancestor(
    id=DeliveryId(7),
    event_seq=1,
    type="order.placed",
    subscription="acme",
    state=State.DELIVERED,
    is_kept=True,
    moving=None,
)


@pytest.mark.parametrize("state", [State.DELIVERED, State.DEAD])
def test_what_has_ended_and_is_kept_can_be_replayed(state: State) -> None:
    assert judge_replay(replace(ENDED, state=state)) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"state": State.DROPPED}, Reason.DELIVERY_DROPPED),
        ({"is_kept": False}, Reason.PAYLOAD_GONE),
        ({"moving": DeliveryId(9)}, Reason.DELIVERY_MOVING),
        ({"moving": DeliveryId(9), "is_kept": False}, Reason.DELIVERY_MOVING),
    ],
)
def test_what_cannot_be_sent_again_is_refused_by_its_first_reason(changed, reason) -> None:
    verdict = judge_replay(replace(ENDED, **changed))
    assert verdict is not None
    assert verdict.reasons == (reason,)


def test_the_ceiling_is_what_all_scopes_allow_in_whichever_order() -> None:
    other = Scope.of((field_of("$.id"), field_of("$.total")))
    assert ceiling_of([WIDE]) == WIDE
    assert ceiling_of([WIDE, other]) == ceiling_of([other, WIDE]) == NARROW
    assert ceiling_of([WIDE, Scope.of(())]) == Scope.of(())
    assert ceiling_of([WIDE, NARROW.fetched, Scope.of(WIDE.fields, is_thin=True)]) == Scope.of(
        NARROW.fields, is_thin=True
    )


@pytest.mark.parametrize("scopes", [[], [None], [WIDE, None]])
def test_without_knowing_every_scope_there_is_no_ceiling(scopes) -> None:
    verdict = ceiling_of(scopes)
    assert isinstance(verdict, Refusal)
    assert verdict.reasons == (Reason.SCOPE_UNKNOWN,)
