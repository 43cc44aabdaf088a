"""What partners publish, as workers share it: the same on every engine."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dispatcher.control.auditing import verify
from dispatcher.model.errors import Conflict
from dispatcher.model.ids import LeaseToken
from dispatcher.model.key_set import EXPOSED_MAX, FoundKey, FoundKeys, KeySetNow
from dispatcher.store.database import Database
from dispatcher.store.epoch import POLICY_CHANNEL
from dispatcher.store.partner_keys import EXPOSED, GONE_MAX, REFRESH_US, Claim, PartnerKeyStore
from dispatcher.store.registry import RegistryStore
from dispatcher.store.wakeup import listen
from tests.support.letters import MINUTE_US, change, rows
from tests.support.records import audit_of

URL = "https://keys.acme.example/jwks.json"
HOUR_US = 3_600_000_000
A, B, C = (FoundKey(f"k{n}", f"print-{n}", f'{{"kty":"{n}"}}', n != 3) for n in (1, 2, 3))


@pytest.fixture
def store(database: Database) -> PartnerKeyStore:
    return PartnerKeyStore(database, audit_of(database))


async def claim(store: PartnerKeyStore, token: str = "t1", **more: Any) -> Claim:
    terms: dict[str, Any] = {"url": URL, "lease_us": MINUTE_US, "is_short": False} | more
    url, lease_us = terms.pop("url"), terms.pop("lease_us")
    return await store.claim("acme", url, LeaseToken(token), lease_us, **terms)


async def find(
    store: PartnerKeyStore, *keys: FoundKey, wait_us: int = 0, url: str = URL, **more: Any
) -> bool:
    """Have a worker fetch the set, and find these keys in it."""
    mine = await claim(store, url=url)
    assert mine.is_ours
    return await store.record(mine, FoundKeys(keys, **more), wait_us)


async def read(database: Database) -> dict[str, KeySetNow]:
    return (await RegistryStore(database, audit_of(database)).policy_now()).key_sets


async def kids(database: Database) -> list[str]:
    return [each.found.kid for each in (await read(database))["acme"].keys]


async def entries(database: Database) -> list[dict[str, Any]]:
    found = await audit_of(database).newest(
        before=10**6, limit=100, actor=None, kind="partner_keys", about=None
    )
    return [each.document for each in reversed(found)]


async def test_one_of_two_workers_fetches_a_set_and_the_other_waits(store: PartnerKeyStore):
    first, second = await claim(store, "t1"), await claim(store, "t2")
    assert (first.is_ours, second.is_ours) == (True, False)
    await store.give_back(first)
    assert (await claim(store, "t3")).is_ours


async def test_workers_racing_for_one_set_have_one_winner(postgres: Database):
    store = PartnerKeyStore(postgres, audit_of(postgres))
    found = await asyncio.gather(*(claim(store, f"t{number}") for number in range(8)))
    assert sum(each.is_ours for each in found) == 1


async def test_what_a_worker_finds_all_workers_have_in_the_partners_order(
    store: PartnerKeyStore, database: Database
):
    before = (await RegistryStore(database, audit_of(database)).active()).epoch
    assert {} == await read(database)
    assert await find(store, B, A, C)
    now = (await read(database))["acme"]
    assert (URL, [B, A, C]) == (now.url, [each.found for each in now.keys])
    assert now.good_us <= now.keys[0].first_seen_us < now.good_us + MINUTE_US
    after = (await RegistryStore(database, audit_of(database)).active()).epoch
    assert after == before + 1


async def test_finding_the_same_again_moves_nothing_but_how_fresh_it_is(
    store: PartnerKeyStore, database: Database
):
    await find(store, A)
    await change(database, "UPDATE {partner_key_sets} SET good_us = 1")
    epoch = (await RegistryStore(database, audit_of(database)).active()).epoch
    assert not await find(store, A)
    assert epoch == (await RegistryStore(database, audit_of(database)).active()).epoch
    assert (await read(database))["acme"].good_us > 1
    assert 1 == len(await entries(database))


async def test_a_key_that_goes_and_comes_back_was_first_seen_when_it_was(
    store: PartnerKeyStore, database: Database
):
    await find(store, A)
    first = (await read(database))["acme"].keys[0].first_seen_us
    await find(store, B)
    assert ["k2"] == await kids(database)
    await find(store, B, A)
    seen = {each.found.kid: each.first_seen_us for each in (await read(database))["acme"].keys}
    assert (first, True) == (seen["k1"], seen["k2"] >= first)


async def test_each_change_of_a_set_is_on_the_record(store: PartnerKeyStore, database: Database):
    await find(store, A)
    await find(store, B, refused=("key 2: its use is not enc",))
    first, second = await entries(database)
    assert ("partner_keys.found", "dispatcher", "connector acme") == (
        first["kind"],
        first["actor"],
        first["about"],
    )
    assert (["print-1"], []) == (first["detail"]["first_seen"], first["detail"]["gone"])
    assert (["print-2"], ["print-1"]) == (second["detail"]["first_seen"], second["detail"]["gone"])
    assert ["key 2: its use is not enc"] == second["detail"]["refused"]
    audit = audit_of(database)
    assert (await verify(audit, (await audit.head()).note)).is_good


async def test_a_set_with_a_private_key_leaves_none_and_that_key_is_never_used_again(
    store: PartnerKeyStore, database: Database
):
    await find(store, A, B)
    exposed = FoundKey("k1", "print-1", "", False)
    assert await find(store, exposed=(exposed,), is_exposed=True)
    assert [] == await kids(database)
    assert {"print-1"} == (await read(database))["acme"].exposed
    assert not await find(store, exposed=(exposed,), is_exposed=True)
    assert await find(store, A, B)
    assert ["k2"] == await kids(database)
    assert ["partner_keys.found", "partner_keys.exposed", "partner_keys.found"] == [
        each["kind"] for each in await entries(database)
    ]
    (row,) = await rows(database, "SELECT fault FROM {partner_key_sets}")
    assert EXPOSED != row["fault"]


async def test_a_key_exposed_while_another_was_already_is_never_used_again_either(
    store: PartnerKeyStore, database: Database
):
    first, second = (FoundKey(f"k{n}", f"print-{n}", "", False) for n in (1, 2))
    await find(store, exposed=(first,), is_exposed=True)
    assert await find(store, exposed=(first, second), is_exposed=True)
    await find(store, A, B, C)
    assert ["k3"] == await kids(database)


async def test_a_partner_that_publishes_ever_new_private_keys_fills_nothing_and_loses_all(
    store: PartnerKeyStore, database: Database
):
    many = [FoundKey(f"k{n}", f"lost-{n}", "", False) for n in range(EXPOSED_MAX + 5)]
    assert await find(store, A, exposed=tuple(many[:-6]), is_exposed=True)
    assert not (await read(database))["acme"].is_lost
    assert await find(store, A, exposed=tuple(many), is_exposed=True)
    assert not await find(store, A, exposed=tuple(many), is_exposed=True), "nothing moves any more"
    now = (await read(database))["acme"]
    assert (EXPOSED_MAX, True) == (len(now.exposed), now.is_lost)
    assert 2 == len(await entries(database))


async def test_a_set_is_left_alone_until_it_is_due_or_lacks_what_is_wanted(
    store: PartnerKeyStore, database: Database
):
    await find(store, A, wait_us=HOUR_US)
    assert not (await claim(store)).is_ours
    assert not (await claim(store, is_short=True)).is_ours, "at most once a minute"
    await change(database, f"UPDATE {{partner_key_sets}} SET tried_us = tried_us - {REFRESH_US}")
    assert not (await claim(store)).is_ours
    assert (await claim(store, is_short=True)).is_ours


async def test_another_place_is_asked_at_once_and_its_keys_replace_the_others(
    store: PartnerKeyStore, database: Database
):
    await find(store, A, wait_us=HOUR_US)
    other = f"{URL}?v=2"
    assert await find(store, A, wait_us=HOUR_US, url=other)
    assert other == (await read(database))["acme"].url


async def test_a_failed_fetch_leaves_what_was_found_and_puts_the_next_off(
    store: PartnerKeyStore, database: Database
):
    await find(store, A)
    await store.fail(await claim(store), "http_503", MINUTE_US)
    assert ["k1"] == await kids(database)
    waiting = await claim(store)
    assert (waiting.is_ours, waiting.failures) == (False, 1)
    assert 50 < waiting.wait_seconds <= 60


async def test_what_comes_after_the_claim_was_lost_is_dropped(
    store: PartnerKeyStore, database: Database
):
    dead = await claim(store, "t1", lease_us=0)
    assert (await claim(store, "t2")).is_ours
    with pytest.raises(Conflict):
        await store.record(dead, FoundKeys((A,)), 0)
    assert {} == await read(database)
    assert [] == await entries(database)


async def test_a_key_long_gone_is_forgotten_but_not_one_that_was_exposed(
    store: PartnerKeyStore, database: Database
):
    await find(store, A, B)
    await find(store, exposed=(FoundKey("k1", "print-1", "", False),), is_exposed=True)
    await change(database, "UPDATE {partner_keys} SET fetched_us = 1")
    await find(store, C)
    left = await rows(database, "SELECT thumbprint FROM {partner_keys} ORDER BY thumbprint")
    assert ["print-1", "print-3"] == [each["thumbprint"] for each in left]


async def test_a_partner_with_ever_new_keys_fills_no_table(
    store: PartnerKeyStore, database: Database
):
    for number in range(GONE_MAX // 20 + 3):
        await find(store, *(replace(A, thumbprint=f"print-{number}-{n}") for n in range(20)))
    (row,) = await rows(database, "SELECT count(*) AS n FROM {partner_keys}")
    assert GONE_MAX + 20 == row["n"]


async def test_new_keys_are_announced(postgres: Database):
    store, heard = PartnerKeyStore(postgres, audit_of(postgres)), asyncio.Event()
    listening = asyncio.create_task(listen(postgres, POLICY_CHANNEL, heard.set))
    try:
        async with asyncio.timeout(10):
            while not heard.is_set():
                await find(store, A)
                await find(store, B)
                await asyncio.sleep(0.02)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
