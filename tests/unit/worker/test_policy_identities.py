"""What a worker shows as a client: by time, by file, and never what was revoked."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.identity import ClientCertificate
from dispatcher.telemetry.metrics import Metrics
from dispatcher.worker import identities as watching
from dispatcher.worker.identities import AGAIN_SECONDS, IdentityWatch


def certificate(name: str, begins: int = 0, ends: int = 1000) -> ClientCertificate:
    return ClientCertificate(
        identity="acme", fingerprint=name, not_before_us=begins, not_after_us=ends
    )


class Files:
    """The certificates at hand, and what was asked of them."""

    def __init__(self, *certificates: ClientCertificate) -> None:
        self.certificates = certificates
        self.shown: list[str] = []
        self.found: Any = SimpleNamespace(is_changed=False, faults=())
        self.looks = 0
        self.disk = asyncio.Event()
        self.disk.set()

    async def look(self) -> Any:
        self.looks += 1
        await self.disk.wait()
        return self.found

    def show(self, certificates: Any) -> None:
        self.shown = [each.fingerprint for each in certificates]


def watch(files: Files) -> tuple[IdentityWatch, Any]:
    kit: Any = SimpleNamespace(
        identities=files, clock=SimpleNamespace(boot=lambda: kit.now), now=100.0, said=[],
        metrics=Metrics(CollectorRegistry()), report=lambda line, error: kit.said.append(line),
    )  # fmt: skip
    return IdentityWatch(kit), kit


async def test_an_identity_has_something_to_show_until_all_of_it_ended_or_was_revoked():
    files = Files(certificate("old", 0, 100), certificate("new", 50, 200))
    identities, _ = watch(files)
    for now, revoked, shown in (
        (20, (), ["old"]),
        (60, (), ["new"]),
        (60, ("new",), ["old"]),
        (60, ("new", "old"), []),
        (200, (), []),
    ):
        assert identities.choose(revoked, now) == frozenset(["acme"] if shown else [])
        identities.show()
        assert files.shown == shown
    identities.choose((), 60)
    assert identities.changes_us == 100


async def test_files_are_looked_at_now_and_then():
    files = Files(certificate("one"))
    identities, kit = watch(files)
    files.found = SimpleNamespace(is_changed=True, faults=())
    assert await identities.is_changed()
    assert not await identities.is_changed()
    assert files.looks == 1
    kit.now += AGAIN_SECONDS
    assert await identities.is_changed()


async def test_what_cannot_be_used_is_said_and_counted_until_it_can():
    files = Files(certificate("one"))
    identities, kit = watch(files)
    files.found = SimpleNamespace(is_changed=False, faults=(ConfigInvalid("half"),))
    assert not await identities.look()
    assert kit.said == ["client_identity_unreadable"]
    assert b"dispatcher_client_identities_broken 1.0" in kit.metrics.render()
    files.found = SimpleNamespace(is_changed=True, faults=())
    assert await identities.look()
    assert b"dispatcher_client_identities_broken 0.0" in kit.metrics.render()


async def test_a_disk_that_hangs_holds_up_no_reading_of_policy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)
    files = Files(certificate("one"))
    identities, _ = watch(files)
    files.found = SimpleNamespace(is_changed=True, faults=())
    files.disk.clear()
    assert not await identities.look()
    assert not await identities.look()
    assert files.looks == 1, "one look at a time"
    files.disk.set()
    await asyncio.sleep(0)
    assert await identities.look()


async def test_without_client_certificates_nothing_is_looked_at():
    files = Files()
    identities, _ = watch(files)
    assert not await identities.look()
    assert files.looks == 0
