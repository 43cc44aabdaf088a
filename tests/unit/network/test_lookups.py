"""What all lookups share: one per name, in time, never older than allowed, and sound in shape."""

import asyncio

import pytest

from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network.lookups import (
    ADDRESSES_MAX,
    ALIASES_MAX,
    FAILED,
    LATE,
    OVERSIZED,
    ZONE_LOOKUPS_MAX,
    Lookups,
    make_answer,
)

FIRST, SECOND = Resolved(("192.0.2.1",)), Resolved(("192.0.2.2",))


class Names:
    """Stands in for a way of asking, and for the clock."""

    def __init__(self) -> None:
        self.answer: Resolved | Trouble = FIRST
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.now = 100.0

    async def ask(self, host: str) -> Resolved | Trouble:
        self.asked.append(host)
        await self.go.wait()
        return self.answer

    def lookups(self, dns_seconds: float = 5.0) -> Lookups:
        return Lookups(self.ask, dns_seconds=dns_seconds, cache_seconds=30, clock=lambda: self.now)


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1"])
async def test_an_address_is_its_own_answer(host: str, names: Names) -> None:
    assert await names.lookups().resolve(host) == Resolved((host,))
    assert names.asked == []


async def test_d9_an_answer_is_used_for_its_time_and_no_longer_whatever_comes_after(
    names: Names,
) -> None:
    lookups = names.lookups()
    assert await lookups.resolve("a.test") == FIRST
    names.answer = SECOND
    names.now += 29.9
    assert await lookups.resolve("a.test") == FIRST
    names.now += 0.1
    assert await lookups.resolve("a.test") == SECOND
    names.answer = FAILED
    names.now += 30
    assert await lookups.resolve("a.test") == FAILED


async def test_an_answer_is_as_old_as_its_question(names: Names) -> None:
    lookups = names.lookups()
    names.go.clear()
    asking = asyncio.create_task(lookups.resolve("a.test"))
    await asyncio.sleep(0)
    names.now += 29
    names.go.set()
    await asking
    names.now += 1
    await lookups.resolve("a.test")
    assert names.asked == ["a.test", "a.test"]


async def test_d2_forgetting_makes_the_next_letter_ask_again(names: Names) -> None:
    lookups = names.lookups()
    await lookups.resolve("a.test")
    lookups.forget()
    names.answer = SECOND
    assert await lookups.resolve("a.test") == SECOND


async def test_d2_an_answer_asked_for_under_an_older_revision_is_not_remembered(
    names: Names,
) -> None:
    lookups = names.lookups()
    names.go.clear()
    asking = asyncio.create_task(lookups.resolve("a.test"))
    await asyncio.sleep(0)
    lookups.forget()
    joining = asyncio.create_task(lookups.resolve("a.test"))
    await asyncio.sleep(0)
    names.go.set()
    await asyncio.gather(asking, joining)
    assert names.asked == ["a.test"]
    await lookups.resolve("a.test")
    assert names.asked == ["a.test", "a.test"]


async def test_d5_a_lookup_that_hangs_is_given_up_and_shared_by_all_who_wait(names: Names) -> None:
    lookups = names.lookups(dns_seconds=0.05)
    names.go.clear()
    assert await asyncio.gather(*(lookups.resolve("a.test") for _ in range(20))) == [LATE] * 20
    assert await lookups.resolve("a.test") == LATE
    assert names.asked == ["a.test"]
    names.go.set()
    lookups.close()


async def test_a_closed_one_answers_nothing_and_lets_nobody_wait(names: Names) -> None:
    lookups = names.lookups()
    await lookups.resolve("b.test")
    names.go.clear()
    asking = asyncio.create_task(lookups.resolve("a.test"))
    await asyncio.sleep(0)
    lookups.close()
    assert await asking == FAILED
    assert await lookups.resolve("a.test") == FAILED
    assert await lookups.resolve("b.test") == FAILED


@pytest.mark.parametrize("bad", ["fe80::1%eth0", "name.test", "127.1", "", "192.0.2.1."])
def test_d3_one_answer_that_is_no_plain_address_spoils_the_set(bad: str) -> None:
    assert make_answer("a.test", ("192.0.2.1", bad)) == FAILED
    assert make_answer("a.test", (bad, "192.0.2.1")) == FAILED


def test_d4_no_address_is_trouble_and_never_an_empty_set() -> None:
    assert make_answer("a.test", ()) == FAILED
    assert make_answer("a.test", (), ("b.test",)) == FAILED


def test_an_answer_keeps_its_order_and_drops_repeats() -> None:
    addresses = ("192.0.2.2", "2001:db8::1", "192.0.2.2")
    assert make_answer("a.test", addresses, ("b.test", "a.test", "b.test")) == Resolved(
        ("192.0.2.2", "2001:db8::1"), ("b.test",)
    )


def test_an_answer_may_be_large_but_not_absurd() -> None:
    addresses = [f"192.0.2.{number}" for number in range(ADDRESSES_MAX + 1)]
    aliases = [f"x{number}.test" for number in range(ALIASES_MAX + 1)]
    assert isinstance(make_answer("a.test", addresses[1:], aliases[1:]), Resolved)
    assert make_answer("a.test", addresses) == OVERSIZED
    assert make_answer("a.test", addresses[:1], aliases) == OVERSIZED


@pytest.mark.parametrize("alias", ["x\\.good.test", "a b.test", "a..test", "", "b.test.", "ä.test"])
def test_d7_an_alias_that_two_readers_may_read_differently_spoils_the_answer(alias: str) -> None:
    assert make_answer("a.test", ("192.0.2.1",), (alias,)) == FAILED


async def test_d9_names_whose_server_hangs_leave_the_places_of_others_free(names: Names) -> None:
    names.go.clear()
    lookups = names.lookups(dns_seconds=0.05)
    hanging = [lookups.resolve(f"h{number}.dead.example") for number in range(20)]
    assert await asyncio.gather(*hanging) == [LATE] * 20
    assert len(names.asked) == ZONE_LOOKUPS_MAX
    names.go.set()
    assert await lookups.resolve("a.well.example") == FIRST
    lookups.close()
