"""What a trial makes of what came back, and what it makes of keys that changed meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.ids import Revision
from dispatcher.model.keys import KeyKind, KeyTimes, SigningKey, SigningProfile
from dispatcher.model.letter import Departure, Sealed, Shaped, Stopped
from dispatcher.model.verdict import Reason
from dispatcher.stages.sealing.seal import seal
from dispatcher.store.key_trials import Claim
from dispatcher.store.signing_keys import StoredKey
from dispatcher.vault.partner_encryption import encrypt
from dispatcher.worker.challenging import Unechoed
from dispatcher.worker.key_trials import APART_SECONDS, KeyTrials, Trial
from tests.unit.stages import builders

SECOND_US = 1_000_000
NOW_US = 50 * SECOND_US
OLD = SigningKey("old", b"o" * 32, times=KeyTimes(1, until_us=99 * SECOND_US))
NEW = SigningKey("new", b"n" * 32, times=KeyTimes(2))
HELD = Stopped(Reason.SWITCH_ON)
REFUSED = Unechoed("http_401", is_withheld=True)


def stored(key: SigningKey, **times: Any) -> StoredKey:
    held = replace(key.times, **times)
    return StoredKey("acme-orders", key.fingerprint, b"sealed", key.kind, times=held)


class Desk:
    """Stands in for the registry and for the endpoint: what was done with a claim, and what came
    back for each challenge in turn. An exception among these is raised."""

    def __init__(self, *answers: Any, proofs: int = 0) -> None:
        self.answers, self.proofs = list(answers), proofs
        self.done: list[Any] = []
        self.signed_by: list[Any] = []
        self.known = [stored(NEW), stored(OLD)]
        self.places: list[str] = []

    def check(self, _route: Any) -> None:
        return None

    async def ask(self, _route: Any, sign: Callable[[Sealed], Any]) -> Any:
        departure = sign(letter())
        self.signed_by.append(departure)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def claim(self, name: str, key: str, place: str, token: Any, _lease_us: int) -> Claim:
        self.places.append(place)
        return Claim(name, key, place, token, True, 0, self.proofs, 0.0)

    async def prove(self, _claim: Claim, _wait_us: int) -> bool:
        self.done.append("proven")
        return True

    async def fail(self, _claim: Claim, fault: str, _wait_us: int) -> bool:
        self.done.append(fault)
        return True

    async def give_back(self, _claim: Claim) -> None:
        self.done.append("given back")

    async def change_keys(self, judge: Callable[..., Any], **_base: Any) -> Any:
        change = judge(self.known, NOW_US)
        self.done.append([(each.name, each.times.until_us) for each in change.turned])
        return change, 1


def letter() -> Sealed:
    admitted = builders.admitted(b'{"id":"1"}', "$.id")
    sealed = seal(Shaped(admitted=admitted, plaintext=b"{}", disclosed=()), encrypt)
    assert isinstance(sealed, Sealed)
    return sealed


def trials(desk: Desk, *keys: SigningKey) -> KeyTrials:
    silent = SimpleNamespace(info=lambda *_a, **_k: None, warning=lambda *_a, **_k: None)
    counter = SimpleNamespace(labels=lambda *_a: SimpleNamespace(inc=lambda: None))
    kit: Any = SimpleNamespace(
        key_trials=desk,
        registry=desk,
        clock=SimpleNamespace(wall_us=lambda: NOW_US),
        chance=lambda: 0.5,
        mint_token=lambda: "t1",
        mint_challenge=lambda: "word",
        metrics=SimpleNamespace(key_trials=counter),
        log=silent,
    )
    policy: Any = SimpleNamespace(
        keys={"acme-orders": keys or (NEW, OLD)}, hint=SimpleNamespace(set=lambda: None)
    )
    challenger: Any = desk
    return KeyTrials(kit, policy, challenger)


async def tried(desk: Desk, *keys: SigningKey) -> list[Any]:
    """Try the new key, and give what was put down."""
    route = builders.snapshot().routes["acme-orders"]
    await trials(desk, *keys).ask("acme-orders/new", Trial(route, NEW, Revision(1)))
    return desk.done


def test_only_what_others_sign_beside_is_tried_where_it_signs():
    snapshot = builders.snapshot()
    found = dict(trials(Desk()).places(snapshot))
    assert list(found) == ["acme-orders/new"]
    assert not dict(trials(Desk(), NEW).places(snapshot))
    unused = [replace(each, kind=KeyKind.ED25519) for each in (NEW, OLD)]
    assert snapshot.routes["acme-orders"].signing is SigningProfile.V1
    assert not dict(trials(Desk(), *unused).places(snapshot))


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ([None, REFUSED], "proven"),
        ([REFUSED], "http_401"),
        ([None, None], "signature_unchecked"),
        ([None, Unechoed("timeout")], "timeout"),
        ([HELD], "given back"),
        ([None, HELD], "given back"),
    ],
)
async def test_a_key_is_proven_by_one_answer_that_is_right_and_one_that_is_withheld(
    answers: list[Any], wanted: str
):
    desk = Desk(*answers)
    assert await tried(desk) == [wanted]
    assert not desk.answers


async def test_the_first_challenge_bears_the_new_key_and_the_second_one_that_nobody_has():
    desk = Desk(None, REFUSED)
    await tried(desk)
    right, wrong = desk.signed_by
    assert isinstance(right, Departure)
    assert isinstance(wrong, Departure)
    assert right.signed_by == wrong.signed_by == ("new",)
    assert dict(right.headers)["webhook-signature"] != dict(wrong.headers)["webhook-signature"]


@pytest.mark.parametrize("proofs", [0, 1, 2, 3])
async def test_the_third_proof_in_a_row_ends_the_old_key(proofs: int):
    done = await tried(Desk(None, REFUSED, proofs=proofs))
    ended = [[("acme-orders/old", NOW_US)]]
    assert done == ["proven", *(ended if proofs >= 2 else [])]


@pytest.mark.parametrize(
    "known",
    [
        [stored(NEW, revoked_us=5), stored(OLD)],
        [stored(NEW, until_us=90 * SECOND_US), stored(OLD)],
        [stored(NEW), stored(OLD, until_us=NOW_US)],
        [stored(OLD)],
    ],
    ids=["revoked", "replaced", "ended", "gone"],
)
async def test_no_key_ends_by_a_proof_of_what_takes_its_place_no_more(known: list[StoredKey]):
    desk = Desk(None, REFUSED, proofs=2)
    desk.known = known
    assert await tried(desk) == ["proven"]


@pytest.mark.parametrize(
    "keys",
    [[replace(NEW, times=KeyTimes(2, revoked_us=3)), OLD], [OLD]],
    ids=["revoked", "gone"],
)
async def test_nothing_is_signed_with_a_key_that_signs_no_more(keys: list[SigningKey]):
    desk = Desk(Unechoed("signing_key_missing"))
    await tried(desk, *keys)
    assert desk.signed_by == [Stopped(Reason.SIGNING_KEY_MISSING)]


async def test_a_trial_that_fails_by_our_own_fault_is_left_to_whoever_comes_next():
    desk = Desk(OSError("the database is gone"))
    with pytest.raises(OSError, match="gone"):
        await tried(desk)
    assert desk.done == ["given back"]


async def test_another_query_is_another_endpoint():
    desk, url = Desk(None, REFUSED, None, REFUSED), "https://hub.example/in?team="
    for team in "78":
        route = replace(
            builders.snapshot().routes["acme-orders"], endpoint=parse_endpoint(url + team)
        )
        await trials(desk).ask("acme-orders/new", Trial(route, NEW, Revision(1)))
    assert desk.places == [f"https://hub.example:443/in?team={team}" for team in "78"]


async def test_the_next_trial_is_some_minutes_away():
    route = builders.snapshot().routes["acme-orders"]
    wait = await trials(Desk(None, REFUSED)).ask("acme-orders/new", Trial(route, NEW, Revision(1)))
    assert wait == APART_SECONDS == 300
