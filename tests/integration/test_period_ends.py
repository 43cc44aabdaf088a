"""The end of a period waits for what is being sealed at that moment, or a shred would find it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dispatcher.model.registry import OwnershipProof
from dispatcher.store.outbox import Intake
from tests.support.hostile import receiver
from tests.support.letters import rows
from tests.support.proving import a_lab, echo


async def test_no_period_ends_while_a_row_sealed_in_it_is_not_kept_yet(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed, go_on, seal = asyncio.Event(), asyncio.Event(), Intake.seal

    async def slowly(self: Intake, blobs: Sequence[tuple[int, bytes]]) -> None:
        await seal(self, blobs)
        if blobs:
            sealed.set()
            await go_on.wait()

    monkeypatch.setattr(Intake, "seal", slowly)
    body: dict[str, Any] = {"reason": "a shred follows"}
    async with receiver(echo) as partner, a_lab(tmp_path, postgres_url, partner) as lab:
        await lab.apply(partner.url(), ownership_proof=OwnershipProof.WAIVED)
        async with lab.worker():
            await lab.enqueue()
            await sealed.wait()
            ending = asyncio.create_task(lab.ask("POST", "/v1/vault/epochs/end", body))
            await asyncio.sleep(0.5)
            assert not ending.done()
            go_on.set()
            assert len((await ending)["confirmed"]) == 1
            kept = "SELECT 1 FROM {events} WHERE payload IS NOT NULL"
            assert len(await rows(lab.house.outbox_database, kept)) == 1
