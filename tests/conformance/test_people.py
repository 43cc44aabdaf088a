"""Tokens: shown once, kept as a hash, ended by time or by a person; and the first principal."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from dispatcher.control.people import People
from dispatcher.model.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.store.database import Database
from dispatcher.store.people import PeopleStore
from tests.support.letters import change, rows
from tests.support.records import audit_of

HUMAN = PrincipalKind.HUMAN
ADA = Principal(name="ada", kind=HUMAN, roles=frozenset({Role.ADMIN}))
_numbers = itertools.count(1)


def mint(count: int) -> bytes:
    return next(_numbers).to_bytes(count, "big")


@pytest.fixture
async def people(database: Database) -> People:
    opened = People(store=PeopleStore(database, audit_of(database)), mint=mint)
    await opened.add("ada", HUMAN, [Role.ADMIN], by=None)
    await opened.add("bob", HUMAN, [Role.SRE, Role.READER], by=ADA)
    return opened


async def test_a_token_says_whose_it_is_and_what_they_may_do(people: People):
    token = await people.issue("bob", days=1, by=ADA)
    found = await people.authenticate(token)
    assert found == Principal(name="bob", kind=HUMAN, roles=frozenset({Role.SRE, Role.READER}))


async def test_who_added_somebody_or_issued_their_token_vouches_for_them(people: People):
    first = await people.add("cy", HUMAN, [Role.READER], by=replace(ADA, name="zoe"))
    assert (await people.authenticate(first)).vouched_by == {"zoe"}
    second = await people.issue("cy", days=1, by=ADA)
    assert (await people.authenticate(second)).vouched_by == {"zoe", "ada"}


async def test_a_principal_comes_with_a_token_or_not_at_all(people: People):
    with pytest.raises(InvalidInput):
        await people.add("cy", HUMAN, [Role.READER], by=ADA, days=0)
    assert "cy" not in [each.name for each in await people.store.principals()]
    token = await people.add("cy", HUMAN, [Role.READER], by=ADA, days=1)
    assert (await people.authenticate(token)).name == "cy"


async def test_the_secret_of_a_token_is_nowhere_in_the_database(people: People, database: Database):
    token = await people.issue("bob", days=1, by=ADA)
    secret = token.rpartition("_")[2]
    held = await rows(database, "SELECT * FROM {tokens}")
    assert held
    assert secret not in str(held)
    assert secret not in str(await people.store.tokens())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token.replace("dsp_", "dsp_f", 1)[:-1],
        lambda token: token + "\n",
        lambda token: token.upper(),
        lambda token: "dsp_" + "0" * 12 + "_" + "0" * 64,
    ],
    ids=["none", "short", "wrong", "shifted", "newline", "upper", "unknown"],
)
async def test_a_token_that_is_not_exactly_right_is_nobody_s(people: People, spoil):
    token = await people.issue("bob", days=1, by=ADA)
    with pytest.raises(Unauthenticated) as caught:
        await people.authenticate(spoil(token))
    assert (caught.value.reason, caught.value.why) == ("token_invalid", "nobody has this token")
    assert token[-60:] not in str(caught.value)


async def test_a_revoked_token_is_worthless_at_once_and_others_are_not(people: People):
    one, two = [await people.issue("bob", days=1, by=ADA) for _ in range(2)]
    await people.revoke(one.split("_")[1], by=ADA)
    with pytest.raises(Unauthenticated) as caught:
        await people.authenticate(one)
    assert caught.value.reason == "token_revoked"
    assert (await people.authenticate(two)).name == "bob"
    with pytest.raises(NotFound):
        await people.revoke(one.split("_")[1], by=ADA)


async def test_a_token_ends_by_itself(people: People, database: Database):
    token = await people.issue("bob", days=1, by=ADA)
    await change(database, "UPDATE {tokens} SET expires_us = {now}")
    with pytest.raises(Unauthenticated) as caught:
        await people.authenticate(token)
    assert caught.value.reason == "token_expired"


async def test_the_first_principal_is_an_admin_and_there_is_only_one_first(database: Database):
    people = People(store=PeopleStore(database, audit_of(database)), mint=mint)
    with pytest.raises(InvalidInput) as caught:
        await people.add("eve", HUMAN, [Role.READER], by=None)
    assert caught.value.reason == "first_principal"
    with pytest.raises(InvalidInput):
        await people.add("bot", PrincipalKind.SERVICE, [Role.ADMIN], by=None)
    await people.add("ada", HUMAN, [Role.ADMIN], by=None)
    with pytest.raises(Conflict) as second:
        await people.add("eve", HUMAN, [Role.ADMIN], by=None)
    assert second.value.reason == "people_exist"
    assert [each.name for each in await people.store.principals()] == ["ada"]


async def test_of_two_first_principals_at_once_one_is_made(postgres: Database):
    people = People(store=PeopleStore(postgres, audit_of(postgres)), mint=mint)
    done = await asyncio.gather(
        *(people.add(f"p{number}", HUMAN, [Role.ADMIN], by=None) for number in range(5)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict"] * 4 + ["str"]


async def test_only_an_admin_adds_people_and_makes_or_revokes_tokens(people: People):
    bob = replace(ADA, name="bob", roles=frozenset(Role) - {Role.ADMIN})
    token = await people.issue("bob", days=1, by=ADA)
    for attempt in (
        people.add("eve", HUMAN, [Role.READER], by=bob),
        people.issue("bob", days=1, by=bob),
        people.revoke(token.split("_")[1], by=bob),
    ):
        with pytest.raises(Forbidden):
            await attempt
    assert (await people.authenticate(token)).name == "bob"


@pytest.mark.parametrize("name", ["", "Ada", "a b", "local:ada", "-a", "a" * 65])
async def test_a_name_outside_the_grammar_is_refused(people: People, name: str):
    with pytest.raises(InvalidInput) as caught:
        await people.add(name, HUMAN, [Role.READER], by=ADA)
    assert caught.value.reason == "principal_name"


async def test_a_name_is_used_once(people: People):
    with pytest.raises(Conflict) as caught:
        await people.add("bob", HUMAN, [Role.READER], by=ADA)
    assert caught.value.reason == "principal_exists"


@pytest.mark.parametrize("days", [0, -1, 367])
async def test_a_token_is_good_for_a_year_at_most(people: People, days: int):
    with pytest.raises(InvalidInput):
        await people.issue("bob", days=days, by=ADA)


async def test_a_token_for_nobody_is_refused(people: People):
    with pytest.raises(NotFound):
        await people.issue("eve", days=1, by=ADA)
