"""The real worker, wired as `app` wires it, that may end itself between two steps of the road.

    python -m tests.support.world_worker --config FILE --kill-before STEP --after-count N

It ends with SIGKILL, as if the power had gone, when it comes to STEP for the Nth time. With
`--kill-before-proof` it does so with a proof of ownership in hand, before it is written down. With
`--break-shaping` the making of every letter is at fault, and says so with the payload in its words.
It serves partners too, where that is configured.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from dispatcher.app.config import Config, load_config
from dispatcher.app.house import open_house
from dispatcher.app.partners import served_partners
from dispatcher.app.running import run_async
from dispatcher.app.wiring import open_kit
from dispatcher.model.ids import WorkerId
from dispatcher.model.letter import Admitted
from dispatcher.model.proof import ProofMethod
from dispatcher.store.proofs import Claim, ProofStore
from dispatcher.telemetry import log
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker import tokens
from dispatcher.worker.kit import Step
from dispatcher.worker.loop import Worker


def die_at(fatal: Step, count: int) -> Callable[[Step], None]:
    """Make the callback that kills this process."""
    left = count

    def step(here: Step) -> None:
        nonlocal left
        if here is fatal:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return step


class FatalProofs(ProofStore):
    """Kills this process where a proof would be written down."""

    async def record(self, claim: Claim, method: ProofMethod, worker: WorkerId) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def break_shaping() -> None:
    """Put a fault into the road, of the kind that quotes what it choked on."""

    def broken(admitted: Admitted, *_more: object) -> NoReturn:
        raise ValueError(f"cannot make a letter of {admitted.cleared.leased.event.payload!r}")

    tokens.shape = broken  # type: ignore[assignment]


def never(_step: Step) -> None:
    return


async def work(config: Config, step: Callable[[Step], None], *, is_proof_fatal: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_house(config) as house, open_kit(house, metrics=Metrics(), step=step) as kit:
        await house.check_schema()
        if is_proof_fatal:
            fatal = FatalProofs(house.registry_database, house.audit)
            await Worker(replace(kit, proofs=fatal)).run(stop)
        else:
            worker = Worker(kit)
            async with served_partners(config, kit, worker.policy):
                await worker.run(stop)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--kill-before", type=Step)
    parser.add_argument("--after-count", type=int, default=1)
    parser.add_argument("--kill-before-proof", action="store_true")
    parser.add_argument("--break-shaping", action="store_true")
    given = parser.parse_args()
    if given.break_shaping:
        break_shaping()
    config = load_config(given.config)
    log.configure(config.log.level)
    step = die_at(given.kill_before, given.after_count) if given.kill_before else never
    run_async(work(config, step, is_proof_fatal=given.kill_before_proof))


if __name__ == "__main__":
    main()
