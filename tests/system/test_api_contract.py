"""The API held to its description by schemathesis: every check, in every phase."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from dispatcher.vault.keyring import create_keyring
from tests.conformance.test_api import DISCLOSED, EVENT, activate, registry_document
from tests.conformance.test_changes import OTHER
from tests.support.letters import change
from tests.support.planes import Caller
from tests.support.served import served

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = [
    "2xx", "304", "401", "403", "404", "409", "422", "504"
]
"""
"""What is well formed may still be refused for what it says: 422, as every such route states."""


@pytest.mark.parametrize(
    "examples", [6, pytest.param(150, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]
)
async def test_the_api_does_what_its_description_says(
    postgres_url: str, tmp_path: Path, examples: int
):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    create_keyring(tmp_path / "keyring.json")
    async with served(
        postgres_url, failures=1_000_000, keyring=tmp_path / "keyring.json"
    ) as client:
        caller = Caller(client.means)
        await activate(caller)
        body = {"registry": registry_document(OTHER), "reason": "more"}
        await caller.ask("POST", "/v1/change-sets", body)
        await caller.ask("POST", "/v1/events", EVENT)
        await change(client.means.outbox_database, DISCLOSED, delivery=1, attempt=1, begun=1)
        running = await asyncio.create_subprocess_exec(
            SCHEMATHESIS,
            *("run", f"{client.url}/v1/openapi.json"),
            *("--header", f"Authorization: Bearer {client.token}"),
            *("--checks", "all", "--max-examples", str(examples), "--seed", "1"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await running.communicate())[0].decode()
    (tmp_path / "said.txt").write_text(said)
    assert running.returncode == 0, said[-4_000:]
    phases = re.search(r"Test Phases:\n(.*?)\n\n", said, re.DOTALL)
    assert phases, said
    assert all(f"✅ {name}" in phases[1] for name in ("Coverage", "Fuzzing", "Stateful")), phases[1]
    selected = re.search(r"Selected: (\d+)/(\d+)\n\s+Tested: (\d+)", said)
    assert selected
    assert len(set(selected.groups())) == 1
