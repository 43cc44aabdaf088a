"""The vault, the same on every engine: one token for one value, and none after erasure."""

import asyncio
import random

import pytest

from dispatcher.store.database import Database
from dispatcher.store.vault_tokens import Erased, StoredToken, VaultStore, WantedToken
from tests.support.letters import rows

ANN, BOB = "sub_ann", "sub_bob"


def wanted(value: str = "v1", *subjects: str, **changed: str) -> WantedToken:
    """Ask for the token of a value, as different askers do: each with a token of its own."""
    terms = {"connector": "acme", "tenant": "north", "domain": "customer", "blind": value} | changed
    token = f"vlt_1_{random.getrandbits(128):032x}"
    return WantedToken(
        token=token, sealed=f"sealed {token}".encode(), subjects=subjects or (ANN,), **terms
    )


@pytest.fixture
def vault(database: Database) -> VaultStore:
    return VaultStore(database)


async def linked(database: Database) -> set[tuple[str, str]]:
    found = await rows(database, "SELECT subject, token FROM {vault_subjects}")
    return {(row["subject"], row["token"]) for row in found}


async def test_a_value_keeps_the_token_it_got_first(vault: VaultStore):
    first = wanted()
    assert await vault.mint([first]) == [first.token]
    other = wanted("v2")
    assert await vault.mint([wanted(), other, wanted()]) == [first.token, other.token, first.token]


async def test_many_values_at_once_get_their_own_tokens_in_order(vault: VaultStore):
    many = [wanted(f"v{number}") for number in range(100)]
    random.shuffle(many)
    assert await vault.mint(many) == [each.token for each in many]
    assert await vault.mint(list(reversed(many))) == [each.token for each in reversed(many)]


@pytest.mark.parametrize("key", ["connector", "tenant", "domain"])
async def test_the_same_hash_elsewhere_is_another_value(vault: VaultStore, key: str):
    here, there = wanted(), wanted(**{key: "other"})
    assert await vault.mint([here, there]) == [here.token, there.token]


async def test_a_token_is_found_with_what_is_sealed_of_it(vault: VaultStore):
    first = wanted()
    await vault.mint([first])
    found = StoredToken("north", "acme", "customer", first.sealed)
    assert await vault.find(first.token) == found
    assert "sealed" not in repr(found) + repr(first)
    assert await vault.find("vlt_1_never") is None


async def test_everybody_that_events_with_the_value_are_about_is_linked(
    vault: VaultStore, database: Database
):
    (token,) = await vault.mint([wanted("v1", ANN)])
    await vault.mint([wanted("v1", BOB), wanted("v1", ANN, BOB)])
    assert await linked(database) == {(ANN, token), (BOB, token)}


async def test_erasing_takes_a_persons_tokens_and_leaves_those_of_others(
    vault: VaultStore, database: Database
):
    mine, more, theirs = await vault.mint([wanted("v1"), wanted("v2"), wanted("v3", BOB)])
    assert await vault.erase("north", ANN) == Erased(tokens=2, shared=0, links=2)
    for token in (mine, more):
        found = await vault.find(token)
        assert found is not None
        assert found.sealed is None
    kept = await vault.find(theirs)
    assert kept is not None
    assert kept.sealed is not None
    assert await linked(database) == {(BOB, theirs)}
    held = await rows(database, "SELECT blind, sealed FROM {vault_tokens} WHERE blind IS NULL")
    assert held == [{"blind": None, "sealed": None}] * 2


async def test_erasing_again_takes_nothing_more(vault: VaultStore):
    await vault.mint([wanted()])
    await vault.erase("north", ANN)
    assert await vault.erase("north", ANN) == Erased(0, 0, 0)
    assert await vault.erase("south", BOB) == Erased(0, 0, 0)


async def test_a_value_that_comes_back_after_erasure_gets_a_new_token(vault: VaultStore):
    (before,) = await vault.mint([wanted()])
    await vault.erase("north", ANN)
    (after,) = await vault.mint([wanted()])
    assert after != before
    erased, kept = await vault.find(before), await vault.find(after)
    assert erased is not None
    assert kept is not None
    assert (erased.sealed is None, kept.sealed is None) == (True, False)


async def test_a_value_that_several_share_goes_for_all_of_them(
    vault: VaultStore, database: Database
):
    (shared, own) = await vault.mint([wanted("v1", ANN, BOB), wanted("v2", BOB)])
    assert await vault.erase("north", ANN) == Erased(tokens=1, shared=1, links=2)
    assert await linked(database) == {(BOB, own)}
    (again,) = await vault.mint([wanted("v1", BOB)])
    assert again != shared


async def test_a_pseudonym_erases_in_its_own_tenant_alone(vault: VaultStore):
    (token,) = await vault.mint([wanted(tenant="south")])
    assert await vault.erase("north", ANN) == Erased(0, 0, 0)
    found = await vault.find(token)
    assert found is not None
    assert found.sealed is not None


async def test_the_vault_is_emptied_of_a_retired_partner_in_batches(
    vault: VaultStore, database: Database
):
    await vault.mint([wanted(f"v{number}") for number in range(5)])
    (kept,) = await vault.mint([wanted(connector="bolt")])
    await vault.erase("north", ANN)
    (kept,) = await vault.mint([wanted(connector="bolt")])
    await vault.mint([wanted("v1")])
    assert [await vault.purge(["acme", "gone"], rows_max=4) for _ in range(3)] == [4, 2, 0]
    assert await vault.purge([], rows_max=4) == 0
    left = await rows(database, "SELECT token FROM {vault_tokens} WHERE erased_us IS NULL")
    assert left == [{"token": kept}]
    assert await linked(database) == {(ANN, kept)}


async def test_askers_racing_for_one_value_are_all_given_the_same(postgres: Database):
    vault = VaultStore(postgres)
    values = [f"v{number}" for number in range(20)]

    async def ask(number: int) -> list[str]:
        order = random.Random(number).sample(values, len(values))
        minted = await vault.mint([wanted(value, f"sub_{number}") for value in order])
        given = dict(zip(order, minted, strict=True))
        return [given[value] for value in values]

    first, *others = await asyncio.gather(*(ask(number) for number in range(12)))
    assert all(other == first for other in others)
    assert len(await linked(postgres)) == 12 * len(values)


async def test_erasing_while_others_ask_leaves_no_token_without_its_person(postgres: Database):
    """Whatever is given out after an erasure began is erased by it, or can be erased later."""
    vault = VaultStore(postgres)
    given: list[tuple[str, bool]] = []
    is_over = False

    async def ask() -> None:
        while not is_over:
            after = erased_at
            minted = await vault.mint([wanted(f"v{number}") for number in range(4)])
            given.extend((token, after) for token in minted)

    erased_at = False
    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for _ in range(15):
        await asyncio.sleep(0.01)
        await vault.erase("north", ANN)
    await vault.erase("north", ANN)
    erased_at = True
    old = {token for token, _ in given}
    await asyncio.sleep(0.1)
    is_over = True
    await asyncio.gather(*asking)
    late = {token for token, is_late in given if is_late}
    assert late
    found = {row["token"]: row for row in await rows(postgres, "SELECT * FROM {vault_tokens}")}
    erased = {token for token, row in found.items() if row["sealed"] is None}
    assert late.isdisjoint(erased)
    assert len(old & erased) > 4
    # What is left has its person, so that the next erasure finds it.
    assert {token for _, token in await linked(postgres)} == found.keys() - erased
    await vault.erase("north", ANN)
    assert await linked(postgres) == set()
