"""A rehearsed letter is judged as any other, and can go nowhere."""

import pytest

from dispatcher.model.ids import WebhookId
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.preflight import preflight
from dispatcher.stages.gates.rehearsal import Rehearsed, rehearse
from tests.unit.stages import builders

ID = WebhookId("msg_1")


def rehearsed(snapshot: Snapshot, filed: Scope | None = None, **event: object) -> Rehearsed:
    scope = snapshot.routes["acme-orders"].scopes["order.paid"] if filed is None else filed
    return rehearse(builders.event(**event), "acme-orders", ID, scope, snapshot)


def test_what_is_cleared_is_cleared_as_on_the_road_and_bears_no_address():
    snapshot = builders.snapshot()
    found = rehearsed(snapshot)
    assert found.refusals == ()
    assert found.admitted is not None
    assert found.admitted.addresses == ()
    leased = found.admitted.cleared.leased
    scope = snapshot.routes["acme-orders"].scopes["order.paid"]
    assert preflight(leased, snapshot, scope) == found.admitted.cleared


@pytest.mark.parametrize("stop", ["everything", "connector:acme", "tenant:north"])
def test_a_stop_is_told_and_the_letter_is_made_all_the_same(stop):
    found = rehearsed(builders.snapshot(None, stop))
    assert [each.reasons for each in found.refusals] == [(Reason.SWITCH_ON,)]
    assert found.admitted is not None


def test_what_is_refused_for_good_is_told_beside_what_only_waits():
    found = rehearsed(builders.snapshot(None, "everything"), tenant="south")
    assert [each.reasons for each in found.refusals] == [
        (Reason.SWITCH_ON,),
        (Reason.TENANT_NOT_SERVED,),
    ]
    assert found.admitted is None


def test_a_refusal_is_told_once():
    found = rehearsed(builders.snapshot(), tenant="south")
    assert [each.reasons for each in found.refusals] == [(Reason.TENANT_NOT_SERVED,)]


def test_no_rehearsal_goes_beyond_the_scope_of_the_filing():
    snapshot = builders.snapshot()
    wide = snapshot.routes["acme-orders"].scopes["order.paid"]
    narrow = Scope.of(wide.fields[:1])
    found = rehearsed(snapshot, narrow)
    assert found.admitted is not None
    assert found.admitted.cleared.scope == narrow
