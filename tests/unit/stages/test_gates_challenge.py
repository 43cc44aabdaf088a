"""May an endpoint be asked, and what counts as an answer?"""

import json
from dataclasses import replace

import pytest

from dispatcher.model.ids import WebhookId
from dispatcher.model.letter import Admitted, Answer, Shaped, Stopped
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Policy
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.challenge import (
    CHALLENGE_TYPE,
    ECHO_BYTES_MAX,
    clear_challenge,
    has_token,
    is_echo,
    judge_challenge,
    may_challenge,
)
from dispatcher.stages.shaping.shape import shape
from tests.unit.stages import builders
from tests.unit.stages.builders import TODAY, connector, event_type, registry, subscription

WORD = "f00d" * 16
BOTH = {"order.paid": ("$.id",), "order.sent": ("$.id",)}


def judge(*stops, **more):
    snapshot = builders.snapshot(registry(**more), *stops, proofs=())
    return judge_challenge(snapshot, snapshot.routes["acme-orders"])


def test_an_endpoint_that_only_lacks_its_proof_may_be_asked():
    assert judge() is None


@pytest.mark.parametrize(
    ("stops", "more", "reason"),
    [
        (["everything"], {}, Reason.SWITCH_ON),
        (["connector:acme"], {}, Reason.SWITCH_ON),
        (["host:hooks.acme.example"], {}, Reason.SWITCH_ON),
        (["subscription:acme-orders"], {}, Reason.SWITCH_ON),
        (["event-type:order.paid"], {}, Reason.SWITCH_ON),
        (["tenant:north"], {}, Reason.SWITCH_ON),
        ([], {"connectors": (connector(destinations=()),)}, Reason.DESTINATION_UNLISTED),
        ([], {"connectors": (connector(owner=""),)}, Reason.OWNER_UNCONFIRMED),
        (
            [],
            {"connectors": (connector(state=ConnectorState.DRAFT),)},
            Reason.CONNECTOR_INACTIVE,
        ),
        (
            [],
            {"policy": Policy(revoked_hosts=("hooks.acme.example",))},
            Reason.DESTINATION_REVOKED,
        ),
    ],
)
def test_whatever_else_closes_a_lane_forbids_the_challenge(stops, more, reason):
    refusal = judge(*stops, **more)
    assert isinstance(refusal, Refusal)
    assert refusal.reasons == (reason,)


def test_one_lane_that_waits_for_the_proof_alone_is_enough():
    types = (event_type(), event_type("order.sent"))
    two = {"event_types": types, "subscriptions": (subscription(scope=BOTH),)}
    assert judge("event-type:order.paid", **two) is None
    assert judge("event-type:order.paid", "event-type:order.sent", **two) is not None


def test_a_subscription_to_nothing_has_nothing_to_ask_for():
    assert judge(subscriptions=(subscription(scope={}),)) is not None


def leave(snapshot, route=None, *, now=1.0):
    route = route or snapshot.routes["acme-orders"]
    return may_challenge(route, snapshot, now=now, policy_lease_ends=2.0)


def test_a_challenge_leaves_only_within_the_policy_lease():
    unproven = builders.snapshot(proofs=())
    assert leave(unproven) is None
    assert leave(unproven, now=2.0) == Stopped(Reason.POLICY_LEASE_EXPIRED)


def test_a_challenge_does_not_leave_once_a_switch_is_on_or_its_route_is_another():
    before = builders.snapshot(proofs=())
    route = before.routes["acme-orders"]
    assert leave(builders.snapshot(None, "connector:acme", proofs=()), route) == Stopped(
        Reason.SWITCH_ON
    )
    moved = registry(subscriptions=(subscription(url="https://hooks.acme.example/in/new"),))
    assert leave(builders.snapshot(moved, proofs=()), route) == Stopped(Reason.POLICY_CHANGED)
    gone = registry(subscriptions=())
    assert leave(builders.snapshot(gone, proofs=()), route) == Stopped(Reason.POLICY_CHANGED)


def test_a_challenge_holds_the_word_and_nothing_of_the_company():
    snapshot = builders.snapshot(proofs=())
    route = snapshot.routes["acme-orders"]
    moment = builders.us_of(TODAY)
    cleared = clear_challenge(route, snapshot, WebhookId("msg_9"), WORD, moment)
    shaped = shape(Admitted(cleared=cleared, addresses=("8.8.8.8",)), builders.TOKENS)
    assert isinstance(shaped, Shaped)
    assert json.loads(shaped.plaintext) == {
        "id": "msg_9",
        "type": CHALLENGE_TYPE,
        "timestamp": "2026-06-01T00:00:00.000000Z",
        "data": {"challenge": WORD},
    }


@pytest.mark.parametrize("status", [200, 201, 299])
@pytest.mark.parametrize(
    "body",
    [WORD, json.dumps({"challenge": WORD}), json.dumps({"challenge": WORD}, indent=1)],
)
def test_the_word_alone_or_as_all_of_an_object_is_an_echo(status, body):
    assert is_echo(Answer(status, body=body.encode()), WORD)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        # What was posted, sent back by somebody who stores or shows it, proves nothing.
        json.dumps({"id": 17, "challenge": WORD}).encode(),
        WORD[:-1].encode(),
        f"{WORD}\n".encode(),
        f"<p>{WORD}</p>".encode(),
        json.dumps(WORD).encode(),
        json.dumps([{"challenge": WORD}]).encode(),
        json.dumps({"Challenge": WORD}).encode(),
        json.dumps({"challenge": [WORD]}).encode(),
        json.dumps({"challenge": None}).encode(),
        # Whoever gives back whatever comes in has shown nothing.
        json.dumps({"type": CHALLENGE_TYPE, "data": {"challenge": WORD}}).encode(),
        b'{"challenge": "\\ud800"}',
        b"\xff\xfe",
        b"[" * ECHO_BYTES_MAX,
        json.dumps({"challenge": WORD}).encode() + b" " * ECHO_BYTES_MAX,
    ],
)
def test_nothing_else_is_an_echo(body):
    assert not is_echo(Answer(200, body=body), WORD)


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_only_a_yes_is_an_echo(status):
    assert not is_echo(Answer(status, body=WORD.encode()), WORD)


@pytest.mark.parametrize(
    ("texts", "is_found"),
    [
        (("dispatcher-proof=abc",), True),
        (("v=spf1 -all", "dispatcher-proof=abc"), True),
        ((), False),
        (("dispatcher-proof=abcd",), False),
        (("dispatcher-proof=ab",), False),
        (("abc",), False),
        (("Dispatcher-Proof=abc",), False),
        ((" dispatcher-proof=abc",), False),
        (("dispatcher-proof=abc\ud800",), False),
    ],
)
def test_a_record_must_bear_the_token_exactly(texts, is_found):
    assert has_token(texts, "abc") is is_found


def test_nothing_shows_the_word_it_waits_for():
    assert WORD not in repr(Answer(200, body=WORD.encode()))
    snapshot = builders.snapshot(proofs=())
    route = replace(snapshot.routes["acme-orders"])
    assert WORD not in repr(clear_challenge(route, snapshot, WebhookId("msg_9"), WORD, 0))
