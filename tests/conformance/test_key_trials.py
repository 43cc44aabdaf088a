"""Who tries which key when, and how often it was proven: the same on every engine."""

import asyncio

import pytest

from dispatcher.model.ids import LeaseToken
from dispatcher.store.database import Database
from dispatcher.store.key_trials import Claim, KeyTrialStore, Standing
from tests.conformance.test_api import activate
from tests.support.letters import MINUTE_US, rows
from tests.support.planes import Caller, means_of
from tests.unit.stages import builders

NAME, KEY = "acme-orders", "1f0c9a27"
PLACE = "https://hooks.example.com:443/in"


@pytest.fixture
def trials(database: Database) -> KeyTrialStore:
    return KeyTrialStore(database)


async def claim(
    trials: KeyTrialStore, token: str = "t1", lease_us: int = MINUTE_US, place: str = PLACE
) -> Claim:
    return await trials.claim(NAME, KEY, place, LeaseToken(token), lease_us)


async def standing(trials: KeyTrialStore) -> Standing:
    return (await trials.standings())[NAME, KEY]


async def test_one_of_two_workers_gets_the_trial(trials: KeyTrialStore):
    first, second = await claim(trials, "t1"), await claim(trials, "t2")
    assert (first.is_ours, second.is_ours) == (True, False)
    assert 50 < second.wait_seconds <= 60
    await trials.give_back(first)
    assert (await claim(trials, "t3")).is_ours


async def test_claims_racing_for_one_key_have_one_winner(postgres: Database):
    trials = KeyTrialStore(postgres)
    found = await asyncio.gather(*(claim(trials, f"t{number}") for number in range(8)))
    assert sum(each.is_ours for each in found) == 1


async def test_what_a_worker_found_that_was_taken_for_dead_counts_for_nothing(
    trials: KeyTrialStore,
):
    dead = await claim(trials, "t1", lease_us=0)
    mine = await claim(trials, "t2")
    assert mine.is_ours
    assert not await trials.prove(dead, 0)
    assert not await trials.fail(dead, "http_401", 0)
    assert await trials.prove(mine, MINUTE_US)
    assert await standing(trials) == Standing(1)


async def test_proofs_are_counted_in_a_row_and_failures_too(trials: KeyTrialStore):
    await trials.prove(await claim(trials), 0)
    await trials.prove(await claim(trials), 0)
    assert await standing(trials) == Standing(2)
    again = await claim(trials)
    assert (again.proofs, again.failures) == (2, 0)
    await trials.fail(again, "http_401", 0)
    assert await standing(trials) == Standing(0, "http_401")
    await trials.fail(await claim(trials), "http_401", 0)
    assert (await claim(trials)).failures == 2


async def test_a_trial_given_back_leaves_the_count_as_it_was(trials: KeyTrialStore):
    await trials.prove(await claim(trials), 0)
    await trials.give_back(await claim(trials))
    assert (await claim(trials)).proofs == 1


async def test_what_another_endpoint_proved_counts_for_nothing(trials: KeyTrialStore):
    await trials.prove(await claim(trials), 0)
    at_old = await claim(trials)
    elsewhere = await claim(trials, "t2", place="https://other.example.com:443/in")
    assert (elsewhere.is_ours, elsewhere.proofs) == (False, 0)
    assert not await trials.prove(at_old, 0)
    assert await standing(trials) == Standing(0)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_nobody_tries_a_key_whose_overlap_is_kept_before_it_is_over(
    trials: KeyTrialStore, database: Database, is_kept: bool
):
    api = Caller(means_of(database))
    await activate(api, builders.registry())
    body = {
        "subscription": NAME,
        "reason": "yearly",
        "overlap_seconds": 7200,
        "keep_overlap": is_kept,
    }
    made = await api.ask("POST", "/v1/keys/rotations", body)
    found = await trials.claim(NAME, made["fingerprint"], PLACE, LeaseToken("t1"), MINUTE_US)
    assert found.is_ours is not is_kept
    if is_kept:
        assert 7190 < found.wait_seconds <= 7200


async def test_whoever_lists_keys_is_told_how_a_trial_went(
    trials: KeyTrialStore, database: Database
):
    api = Caller(means_of(database))
    await activate(api, builders.registry())
    (key,) = (await api.ask("GET", "/v1/keys"))["items"]
    assert (key["proofs"], key["trial_fault"]) == (0, "")
    tried = await trials.claim(NAME, key["fingerprint"], PLACE, LeaseToken("t1"), MINUTE_US)
    await trials.fail(tried, "http_401", 0)
    (key,) = (await api.ask("GET", "/v1/keys"))["items"]
    assert (key["proofs"], key["trial_fault"]) == (0, "http_401")
    assert len(await rows(database, "SELECT holder FROM {key_trials}")) == 1
