"""Why a delivery waits: told with the delivery, to whoever may know, and of waiting ones alone."""

from dataclasses import replace
from typing import Any

import pytest

from dispatcher.model.people import Role
from dispatcher.store.database import Database
from tests.conformance.test_api import LARGE, activate, registry_document
from tests.support.letters import Road, change
from tests.support.planes import Caller, means_of, open_payload, person

EVENT = {"type": "order.paid", "tenant": "north", "subjects": [], "payload": {"id": "o-1"}}
SRE = person("sue", Role.SRE)
SUBMITTER = person("pat", Role.PLATFORM)
UNPROVEN = "endpoint_unproven"


@pytest.fixture
async def api(database: Database) -> Caller:
    """A partner whose endpoint is not proven, and two events of which one is planned for it."""
    api = Caller(means_of(database))
    await activate(api, LARGE)
    await api.ask("POST", "/v1/events", EVENT)
    await Road(database, open_payload).file(subscriptions=("acme-orders",))
    await api.ask("POST", "/v1/events", EVENT)
    return api


async def told(api: Caller, **by: Any) -> list[list[str]]:
    """Give what is said of each delivery; the same wherever it is shown."""
    listed = (await api.ask("GET", "/v1/deliveries", **by))["items"]
    for each in listed:
        assert await api.ask("GET", f"/v1/deliveries/{each['id']}", **by) == each
        story = await api.ask("GET", f"/v1/events/{each['event_id']}/trace", **by)
        assert each in story["deliveries"]
    return [each["closed_by"] for each in listed]


async def test_a_delivery_that_waits_in_a_closed_lane_says_why(api: Caller, database: Database):
    assert await told(api, by=SRE) == [[UNPROVEN], []]
    stop = {"target": "connector:acme", "reason": "INC-1", "wait_seconds": 0}
    await api.ask("POST", "/v1/switches", stop)
    leak = {"subscription": "acme-orders", "reason": "INC-1"}
    await api.ask("POST", "/v1/keys/revocations", leak)
    proof = await api.ask("GET", "/v1/subscriptions/acme-orders/proof")
    assert proof["forbidden_by"] == ["switch_on", "signing_key_missing"]
    wanted = ["switch_on", UNPROVEN, "signing_key_missing"]
    assert await told(api, by=SRE) == [wanted, []]
    assert await told(api, by=replace(SRE, tenant="north")) == [wanted, []]
    assert await told(api, by=replace(SRE, tenant="south")) == []
    await change(database, "UPDATE {deliveries} SET state = 'parked', code = 'leak_suspected'")
    assert await told(api, by=SRE) == [[], []]


async def test_why_a_destination_is_refused_is_told_to_those_alone_who_may_know(api: Caller):
    unlisted = replace(LARGE, connectors=(replace(LARGE.connectors[0], destinations=()),))
    body = {"registry": registry_document(unlisted), "reason": "they moved"}
    await api.ask("POST", "/v1/change-sets", body)
    assert await told(api, by=SRE) == [["destination_unlisted", UNPROVEN], []]
    assert await told(api, by=SUBMITTER) == [["destination_refused", UNPROVEN], []]
