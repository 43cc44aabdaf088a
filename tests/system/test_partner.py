"""`dispatcher partner`: a process of its own that answers tickets, confirms holds, and may die."""

import asyncio
import json
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dispatcher.model.delivery import Outcome
from dispatcher.partner.published import PATH
from dispatcher.store.workers import WorkerStore
from tests.support.fetching import World, fetching
from tests.support.waiting import until
from tests.support.world_nursery import Child, Nursery

PORT = re.compile(r"partners on port (\d+)|\"address\": \"127\.0\.0\.1:(\d+)\"")


def config_of(world: World) -> str:
    assert world.config.source is not None
    return str(world.config.source)


async def started(child: Child, world: World) -> Child:
    """Wait until a process answers partners, and ask that one from now on."""

    def found() -> Any:
        return PORT.search(child.said())

    await until(found, 30)
    world.port = int(next(filter(None, found().groups())))
    return child


async def knows_its_policy(world: World) -> bool:
    """True once a process that listens has read its policy too: then it shows the public keys."""
    return (await world.get(PATH)).status == 200


async def serve(world: World, nursery: Nursery) -> Child:
    child = nursery.start(
        "dispatcher", "partner", "--config", config_of(world), folder=world.config.base
    )
    return await started(child, world)


async def hold(world: World, nursery: Nursery) -> Any:
    words = ("hold", "connector:acme", "--reason", "a test", "--json", "--config")
    child = nursery.start("dispatcher", *words, config_of(world), folder=world.config.base)
    assert await asyncio.to_thread(child.wait) == 0, child.said()
    return json.loads(child.out.read_text())


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_a_process_of_its_own_answers_and_a_hold_waits_for_it(
    tmp_path: Path, engine: str, nursery: Nursery, request: pytest.FixtureRequest
):
    url = request.getfixturevalue(f"{engine}_url")
    async with fetching(tmp_path, url) as world:
        letter = await world.letter()
        child = await serve(world, nursery)
        assert (await world.fetch(letter)).status == 200
        assert (await world.fetch_certified(letter)).status == 200
        held = await hold(world, nursery)
        assert (held["workers_confirmed"], held["workers_fenced"]) == (2, 0)
        assert (await world.fetch(letter)).code == "held"
        child.send(signal.SIGTERM)
        assert await asyncio.to_thread(child.wait, 20) == 0, child.said()
        assert len(await WorkerStore(world.house.registry_database).all()) == 1
        assert letter["ticket"] not in child.said()


async def test_a_frozen_process_is_fenced_and_answers_nothing_when_it_thaws(
    tmp_path: Path, postgres_url: str, nursery: Nursery
):
    async with fetching(tmp_path, postgres_url, lease=4.0) as world:
        letter = await world.letter()
        child = await serve(world, nursery)
        child.send(signal.SIGSTOP)
        asking = asyncio.create_task(world.fetch(letter))
        held = await hold(world, nursery)
        assert (held["workers_confirmed"], held["workers_fenced"]) == (1, 1)
        child.send(signal.SIGCONT)
        assert (await asking).code in ("held", "unavailable")
        assert await world.reads(letter["id"]) == []
        assert child.kill() == -signal.SIGKILL


async def test_a_process_that_dies_between_record_and_answer_leaves_a_read_that_is_unknown(
    tmp_path: Path, postgres_url: str, nursery: Nursery
):
    async with fetching(tmp_path, postgres_url) as world:
        letter = await world.letter()
        words = ("--config", config_of(world), "--kill-before", "post")
        child = await started(nursery.start("worker", *words, folder=world.config.base), world)
        await until(lambda: knows_its_policy(world))
        with pytest.raises(aiohttp.ClientError):
            await world.fetch(letter)
        assert await asyncio.to_thread(child.wait) == -signal.SIGKILL
        (read,) = await world.reads(letter["id"])
        assert (read["outcome"], read["ended_us"]) == (None, None)
        await world.kit.tickets.lose_reads(0)
        (read,) = await world.reads(letter["id"])
        assert (read["outcome"], read["code"]) == (Outcome.UNKNOWN, "read_lost")
        ticket = await world.kit.tickets.find(letter["id"])
        assert ticket is not None
        assert ticket.reads == 1


def test_without_its_configuration_it_says_what_is_missing(clear_folder: Path, nursery: Nursery):
    child = nursery.start("dispatcher", "partner", folder=clear_folder)
    assert child.wait() == 2
    assert "base_url, certificate and key" in child.err.read_text()
