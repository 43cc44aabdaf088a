"""Sets the stage of the demonstration: its folder, its files, its inboxes and its one worker.

Everything is made anew in one folder, from the registry files that are shipped. The configuration
hears nothing of the environment: a variable meant for a real installation must not lead the
demonstration to a real database.
"""

import asyncio
import shutil
import tempfile
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from dispatcher.app.config import Config
from dispatcher.app.house import House
from dispatcher.app.means import means_of
from dispatcher.app.migration import migrate_house
from dispatcher.app.wiring import open_kit
from dispatcher.control.changes import ChangeControl
from dispatcher.control.documents import named, read_registry
from dispatcher.model.errors import InvalidInput
from dispatcher.model.people import Principal, PrincipalKind, Role
from dispatcher.network.resolver import StaticResolver
from dispatcher.showcase.inbox import LOOPBACK, Behaviour, Inbox, Received, Reply, accept
from dispatcher.telemetry import log
from dispatcher.vault.keyring import create_keyring
from dispatcher.worker.loop import Worker

SHIPPED: Final = Path(__file__).parent / "registry"
NAMES: Final[Mapping[str, tuple[str, ...]]] = {"hub.parcel-post.example": ("10.20.30.40",)}
"""All the names there are in the demonstration, and the addresses they resolve to."""
TRAP: Final = "trap"
_CONFIG: Final = """\
# Made by 'dispatcher demo'.
environment = "dev"

[registry]
url = "sqlite:///dispatcher.db"
approvals = 1

[outbox]
url = "sqlite:///dispatcher.db"

[vault]
keyring = "keyring.json"

[worker]
drain_seconds = 5.0

[network]
loopback_inboxes = [{inboxes}]

[log]
level = "debug"
"""
_chance: Final = SystemRandom()


class DemoConfig(Config):
    """The configuration of the demonstration's own file, and of nothing else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let only the file speak."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Inboxes:
    """The partners' inboxes, and the trap that no partner listed."""

    partners: tuple[Inbox, ...]
    trap: Inbox

    @property
    def addresses(self) -> frozenset[tuple[str, int]]:
        """Where the partners listen."""
        return frozenset((LOOPBACK, inbox.port) for inbox in self.partners)

    @property
    def received(self) -> tuple[Received, ...]:
        """Everything the partners received."""
        return tuple(each for inbox in self.partners for each in inbox.received)


def fail_half_the_time(_received: Received) -> Reply:
    """Keep what came, then fail every other time: an error, a cut connection, or far too late."""
    if _chance.random() < 0.5:
        return Reply(after_seconds=_chance.uniform(0, 0.01))
    match _chance.randrange(5):
        case 0 | 1:
            return Reply(status=500)
        case 2:
            return Reply(status=503)
        case 3:
            return Reply(status=None)
        case _:
            return Reply(after_seconds=1.2)


_PARTNERS: Final[Mapping[str, tuple[int, Behaviour]]] = {
    "parcel-post": (18101, accept),
    "ledger-works": (18102, accept),
    "bright-mail": (18103, fail_half_the_time),
    TRAP: (18104, accept),
}
"""Each inbox: the port that stands for it in the shipped files, and how it behaves."""


@contextmanager
def a_folder(keep: Path | None) -> Iterator[Path]:
    """Give an empty folder: the one to keep, or one that is gone afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="dispatcher-demo-") as name:
            yield Path(name)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        is_empty = not any(keep.iterdir())
    except OSError as error:
        raise InvalidInput(
            f"the folder cannot be used: {error.strerror}",
            where=str(keep),
            fix="name a folder that you may write to",
            code="folder_unusable",
        ) from None
    if not is_empty:
        raise InvalidInput(
            "the folder is not empty",
            where=str(keep),
            fix="name a new or an empty folder: nothing in it is ever overwritten",
            code="folder_not_empty",
        )
    yield keep.resolve()


@asynccontextmanager
async def open_inboxes() -> AsyncIterator[Inboxes]:
    """Start every partner's inbox, and the trap."""
    async with AsyncExitStack() as stack:
        opened = {
            name: await stack.enter_async_context(Inbox(name, behave))
            for name, (_, behave) in _PARTNERS.items()
        }
        trap = opened.pop(TRAP)
        yield Inboxes(tuple(opened.values()), trap)


def lay_out(folder: Path, inboxes: Inboxes) -> Config:
    """Write configuration, keyring and registry files, with the ports that are really open."""
    listening = (*inboxes.partners, inboxes.trap)
    # The trap is among them: its address would do, so that the allowlist alone stands before it.
    pairs = ", ".join(f'"{LOOPBACK}:{inbox.port}"' for inbox in listening)
    file = folder / "dispatcher.toml"
    file.write_text(_CONFIG.format(inboxes=pairs), encoding="utf-8")
    create_keyring(folder / "keyring.json")
    shutil.copytree(SHIPPED, folder / "registry")
    ports = {_PARTNERS[inbox.name][0]: inbox.port for inbox in listening}
    for document in (folder / "registry").glob("*.toml"):
        text = document.read_text(encoding="utf-8")
        for shipped, real in ports.items():
            text = text.replace(str(shipped), f"<{real}>")
        document.write_text(text.replace("<", "").replace(">", ""), encoding="utf-8")
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return DemoConfig(**content, base=folder, source=file)


async def apply_registry(house: House, folder: Path) -> dict[str, str]:
    """Migrate, and make the folder's registry files the active revision; give the new secrets."""
    await migrate_house(house)
    files = [folder / "registry"]
    applied = await ChangeControl.over(means_of(house)).propose(
        read_registry(files),
        by=Principal(name="demo", kind=PrincipalKind.HUMAN, roles=frozenset({Role.PLATFORM})),
        reason="the demonstration's own registry",
        where=named(files),
    )
    return applied.secrets


@asynccontextmanager
async def a_worker(house: House, folder: Path) -> AsyncIterator[Worker]:
    """Run the real worker beside the block, its log in a file; drain it at the end."""
    stop = asyncio.Event()
    with (folder / "worker.log").open("w", encoding="utf-8") as lines:
        log.configure(house.config.log.level, lines)
        try:
            async with open_kit(house, resolver=StaticResolver(NAMES)) as kit:
                worker = Worker(kit)
                running = asyncio.create_task(worker.run(stop))
                try:
                    yield worker
                finally:
                    stop.set()
                    await running
        finally:
            log.configure()
