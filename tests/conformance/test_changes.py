"""Change sets: what narrows goes at once, what widens waits for another person, on each engine."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.control.changes import ChangeControl, Outcome
from dispatcher.model.change_set import ChangeState
from dispatcher.model.disclosure import Direction
from dispatcher.model.errors import (
    ApprovalRequired,
    Conflict,
    Forbidden,
    NotFound,
    RegistryInvalid,
    StoreUnavailable,
)
from dispatcher.model.ids import Revision
from dispatcher.model.paper import ConnectorState
from dispatcher.model.people import PrincipalKind, Role
from dispatcher.model.registry import Destination, Policy, Registry
from dispatcher.store.database import Database
from dispatcher.store.registry import RegistryStore
from tests.support.letters import rows
from tests.support.planes import control_of, person
from tests.unit.stages.builders import (
    connector,
    event_type,
    leaf,
    producer,
    record,
    registry,
    subscription,
)

PAT, BEA = person("pat", Role.PLATFORM, Role.APPROVER), person("bea", Role.APPROVER)
BOT = person("bot", Role.PLATFORM, Role.APPROVER, kind=PrincipalKind.SERVICE)
LOCAL = person("local:root", Role.PLATFORM, Role.SRE, kind=PrincipalKind.LOCAL)
SMALL = registry(subscriptions=(subscription(scope={"order.paid": ("$.id",)}),))
LARGE = registry()
OTHER = registry(connectors=(connector(tenants=("north", "south")),))
EMPTY = Registry()


@pytest.fixture
def control(database: Database) -> ChangeControl:
    return control_of(database)


async def propose(control: ChangeControl, held: Registry, **more: Any) -> Outcome:
    given = {"by": PAT, "reason": "a test", "where": "files"}
    return await control.propose(held, **given | more)


async def approve(control: ChangeControl, number: int | None, **more: Any) -> Outcome:
    assert number is not None
    digest = more.pop("digest", (await control.read(number)).hash)
    return await control.approve(number, digest, **{"by": BEA, "reason": "read it"} | more)


async def make_active(control: ChangeControl, held: Registry) -> Outcome:
    return await approve(control, (await propose(control, held)).change_set)


async def active(control: ChangeControl) -> Registry:
    return (await control.registry.active()).registry


async def test_what_widens_waits_and_another_person_makes_it_active(control: ChangeControl):
    waiting = await propose(control, LARGE)
    assert (waiting.is_active, waiting.change_set, waiting.revision) == (False, 1, 0)
    assert waiting.secrets == {}
    assert await active(control) == EMPTY
    done = await approve(control, 1)
    assert (done.is_active, done.revision) == (True, 1)
    assert list(done.secrets) == ["acme-orders"]
    assert await active(control) == LARGE
    change = await control.read(1)
    assert (change.state, change.decided_by, change.revision) == (ChangeState.ACTIVE, "bea", 1)
    (made,) = await control.registry.revisions(before=2**62, limit=10)
    assert (made["author"], made["approver"], made["reason"]) == ("pat", "bea", "a test")


async def test_what_narrows_or_changes_nothing_that_flows_is_active_at_once(
    control: ChangeControl,
):
    await make_active(control, LARGE)
    narrower = await propose(control, SMALL)
    assert (narrower.is_active, narrower.diff.direction) == (True, Direction.NARROWS)
    neutral = await propose(control, replace(SMALL, policy=Policy(warn_days=(1,))))
    assert (neutral.is_active, neutral.revision) == (True, 3)
    assert neutral.secrets == {}


async def test_the_same_again_changes_nothing_and_asks_nobody(control: ChangeControl):
    await make_active(control, LARGE)
    again = await propose(control, LARGE, by=LOCAL)
    assert (again.is_active, again.revision, again.diff.changes) == (True, 1, ())


async def test_one_person_alone_may_widen_only_where_one_is_enough(database: Database):
    alone = control_of(database, approvals=1)
    assert (await propose(alone, LARGE)).is_active


async def test_nobody_approves_their_own(control: ChangeControl):
    await propose(control, LARGE)
    with pytest.raises(Forbidden) as caught:
        await approve(control, 1, by=PAT)
    assert caught.value.reason == "self_approval"
    assert await active(control) == EMPTY


async def test_a_service_proposes_but_approves_nothing(control: ChangeControl):
    await propose(control, LARGE, by=BOT)
    with pytest.raises(Forbidden) as caught:
        await approve(control, 1, by=replace(BOT, name="other-bot"))
    assert caught.value.reason == "service_cannot_approve"


async def test_whoever_sits_at_the_machine_may_narrow_and_not_widen(control: ChangeControl):
    with pytest.raises(ApprovalRequired) as caught:
        await propose(control, LARGE, by=LOCAL)
    assert "principal add" in caught.value.fix
    await make_active(control, LARGE)
    assert (await propose(control, SMALL, by=LOCAL)).is_active
    await propose(control, LARGE)
    with pytest.raises(Forbidden):
        await approve(control, 2, by=LOCAL)


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.PLATFORM])
async def test_only_the_platform_role_proposes(control: ChangeControl, role: Role):
    with pytest.raises(Forbidden):
        await propose(control, SMALL, by=person("x", role))


async def test_an_edit_voids_an_approval_of_what_stood_there_before(control: ChangeControl):
    await propose(control, SMALL)
    read = (await control.read(1)).hash
    amended = await propose(control, LARGE, amends=1)
    assert amended.change_set == 1
    with pytest.raises(Conflict) as caught:
        await approve(control, 1, digest=read)
    assert caught.value.reason == "change_set_edited"
    assert await active(control) == EMPTY
    await approve(control, 1)
    assert await active(control) == LARGE


async def test_a_change_set_amended_to_what_narrows_is_over(control: ChangeControl):
    await make_active(control, SMALL)
    await propose(control, LARGE)
    narrower = replace(SMALL, subscriptions=())
    assert (await propose(control, narrower, amends=2)).is_active
    ended = await control.read(2)
    assert (ended.state, await control.changes.content(ended)) == (ChangeState.REJECTED, LARGE)
    assert "revision 2" in (ended.decision or "")


async def test_only_its_author_edits_a_change_set(control: ChangeControl):
    await propose(control, SMALL)
    with pytest.raises(Forbidden) as caught:
        await propose(control, LARGE, by=replace(PAT, name="eve"), amends=1)
    assert caught.value.reason == "not_the_author"
    assert await control.changes.content(await control.read(1)) == SMALL


async def test_a_stale_base_is_refused_and_says_what_moved(control: ChangeControl):
    await propose(control, LARGE)
    await make_active(control, OTHER)
    with pytest.raises(Conflict) as caught:
        await approve(control, 1)
    assert caught.value.reason == "base_moved"
    assert "subscription acme-orders" in caught.value.why
    assert "--amend 1" in caught.value.fix
    assert await active(control) == OTHER


async def test_a_change_set_is_decided_once(control: ChangeControl):
    await propose(control, LARGE)
    await control.reject(1, by=BEA, reason="too much")
    assert (await control.read(1)).decision == "too much"
    for attempt in (approve(control, 1), control.reject(1, by=BEA, reason="again")):
        with pytest.raises(Conflict) as caught:
            await attempt
        assert caught.value.reason == "change_set_decided"
    with pytest.raises(Conflict):
        await propose(control, LARGE, amends=1)


async def test_of_two_approvals_at_once_one_counts(postgres: Database):
    control = control_of(postgres)
    await propose(control, LARGE)
    digest = (await control.read(1)).hash
    done = await asyncio.gather(
        *(approve(control, 1, digest=digest, by=person(name, Role.APPROVER)) for name in "abcd"),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict"] * 3 + ["Outcome"]
    assert len(await rows(postgres, "SELECT 1 FROM {revisions}")) == 1
    assert len(await rows(postgres, "SELECT 1 FROM {signing_keys}")) == 1


@pytest.mark.parametrize("step", ["active", "keys"])
async def test_an_edit_between_reading_and_activating_is_noticed(
    control: ChangeControl, monkeypatch: pytest.MonkeyPatch, step: str
):
    await propose(control, SMALL)
    read = getattr(control.registry, step)

    async def edited_meanwhile() -> Any:
        monkeypatch.setattr(RegistryStore, step, lambda self: read())
        await propose(control, LARGE, amends=1)
        return await read()

    digest = (await control.read(1)).hash
    monkeypatch.setattr(RegistryStore, step, lambda self: edited_meanwhile())
    with pytest.raises(Conflict) as caught:
        await approve(control, 1, digest=digest)
    assert caught.value.reason == "change_set_moved"
    assert await active(control) == EMPTY


async def test_a_paper_that_ended_since_the_proposal_is_noticed_at_the_approval(
    control: ChangeControl,
):
    await propose(control, LARGE)
    later = replace(control, wall_us=lambda: 4_200_000_000_000_000)  # the year 2103
    with pytest.raises(RegistryInvalid):
        await approve(later, 1)
    assert await active(control) == EMPTY


async def test_a_rollback_closes_what_the_older_revision_does_not_list(control: ChangeControl):
    await make_active(control, SMALL)
    await make_active(control, LARGE)
    back = await control.rollback(Revision(1), by=PAT, reason="")
    assert (back.is_active, back.diff.direction) == (True, Direction.NARROWS)
    assert await active(control) == SMALL
    assert (await control.registry.active()).revision == 3


async def test_an_approver_whom_the_author_made_is_recorded_and_can_be_refused(
    database: Database,
):
    made = replace(BEA, vouched_by=frozenset({"pat", "ada"}))
    strict = control_of(database, independent=True)
    await propose(strict, SMALL)
    with pytest.raises(Forbidden) as caught:
        await approve(strict, 1, by=made)
    assert caught.value.reason == "approver_not_independent"
    assert (await approve(strict, 1, by=replace(BEA, vouched_by=frozenset({"ada"})))).is_active
    lax = control_of(database)
    await propose(lax, LARGE)
    await approve(lax, 2, by=made)
    held = await rows(database, "SELECT entry FROM {audit_log} ORDER BY seq")
    approvals = [row["entry"] for row in held if "change_set.approved" in row["entry"]]
    assert ['"independent":true' in each for each in approvals] == [True, False]


async def test_an_outbox_that_is_away_hides_no_secret_of_an_activation(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    async def away(*_words: Any) -> None:
        raise StoreUnavailable("the outbox database cannot be used")

    control = control_of(database, approvals=1)
    monkeypatch.setattr(control.catalogue, "publish", away)  # another database would be away
    assert list((await propose(control, LARGE)).secrets) == ["acme-orders"]


async def test_a_rollback_that_widens_needs_another_person(control: ChangeControl):
    await make_active(control, LARGE)
    await propose(control, SMALL)
    back = await control.rollback(Revision(1), by=PAT, reason="it was fine")
    assert not back.is_active
    assert (await approve(control, back.change_set)).is_active
    assert await active(control) == LARGE


async def test_a_host_revoked_since_stays_revoked_through_a_rollback(control: ChangeControl):
    await make_active(control, LARGE)
    stop = replace(LARGE, policy=Policy(revoked_hosts=("hooks.acme.example",)))
    assert (await propose(control, stop)).is_active
    back = await control.rollback(Revision(1), by=PAT, reason="undo")
    assert back.diff.changes == ()
    assert (await active(control)).policy.revoked_hosts == ("hooks.acme.example",)


async def test_a_partner_retired_since_stays_retired_through_a_rollback(control: ChangeControl):
    await make_active(control, LARGE)
    retired = connector(state=ConnectorState.RETIRED)
    assert (await propose(control, replace(LARGE, connectors=(retired,)))).is_active
    with pytest.raises(RegistryInvalid, match="no longer listed"):
        await propose(control, EMPTY)
    back = await control.rollback(Revision(1), by=PAT, reason="undo")
    assert back.diff.changes == ()
    assert (await active(control)).connectors == (retired,)


async def test_a_rollback_goes_back_to_an_older_version_of_a_schema(control: ChangeControl):
    await make_active(control, LARGE)
    schema = record(id=leaf(), lines={"type": "array", "items": record(sku=leaf())})
    changed = replace(LARGE, event_types=(event_type(schema=schema),))
    with pytest.raises(RegistryInvalid, match=r"version still 1.*raise it: version = 2"):
        await propose(control, changed)
    raised = replace(LARGE, event_types=(event_type(schema=schema, version=2),))
    await make_active(control, raised)
    assert (await control.rollback(Revision(1), by=PAT, reason="")).is_active
    assert await active(control) == LARGE


async def test_an_activation_tells_the_outbox_who_may_enqueue(
    control: ChangeControl, database: Database
):
    sql = "SELECT producer FROM {producers}"
    await make_active(control, LARGE)
    assert (await propose(control, replace(LARGE, producers=(producer(),)))).is_active
    assert await rows(database, sql) == [{"producer": "shop"}]
    open_again = await propose(control, LARGE)
    assert (open_again.is_active, open_again.diff.direction) == (False, Direction.WIDENS)
    await approve(control, open_again.change_set)
    assert await rows(database, sql) == []


@pytest.mark.parametrize("number", [0, 7])
async def test_a_rollback_to_nothing_is_refused(control: ChangeControl, number: int):
    with pytest.raises(NotFound) as caught:
        await control.rollback(Revision(number), by=PAT, reason="")
    assert caught.value.reason == "revision_unknown"


async def test_what_does_not_hold_together_is_never_filed(control: ChangeControl):
    broken = registry(connectors=(connector(destinations=(Destination(host="*.com", reason=""),)),))
    with pytest.raises(RegistryInvalid):
        await propose(control, broken)
    with pytest.raises(RegistryInvalid) as caught:
        await propose(control, registry(connectors=(connector(owner=""),)))
    assert "not ready to be active" in str(caught.value)
    assert await control.changes.list() == ()


async def test_change_sets_are_listed_the_newest_first(control: ChangeControl):
    for held in (SMALL, LARGE, OTHER):
        await propose(control, held)
    await control.reject(2, by=BEA, reason="no")
    assert [each.number for each in await control.changes.list()] == [3, 2, 1]
    assert [each.number for each in await control.changes.list(ChangeState.PROPOSED)] == [3, 1]
    assert [each.number for each in await control.changes.list(limit=1)] == [3]


async def test_a_new_event_type_is_in_the_catalogue_once_it_is_active(
    control: ChangeControl, database: Database
):
    await propose(control, registry(event_types=(event_type(), event_type("order.sent"))))
    assert await rows(database, "SELECT * FROM {catalogue}") == []
    await approve(control, 1)
    found = await rows(database, "SELECT event_type FROM {catalogue} ORDER BY event_type")
    assert [row["event_type"] for row in found] == ["order.paid", "order.sent"]
