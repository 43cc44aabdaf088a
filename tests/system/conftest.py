"""Fixtures of system tests: a nursery for processes, and a small company on either engine."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.desk import Desk, furnish
from tests.support.world_home import Home
from tests.support.world_nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as opened:
        yield opened


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Desk:
    """A company of three people, made once: copy it before changing it."""
    return furnish(tmp_path_factory.mktemp("desk") / "company", nursery)


@pytest.fixture
def sqlite_home(tmp_path: Path, sqlite_url: str, nursery: Nursery) -> Iterator[Home]:
    """A company on the embedded engine, with one mailbox and a configuration."""
    yield from _furnished(Home(tmp_path / "home", nursery, sqlite_url))


@pytest.fixture
def postgres_home(tmp_path: Path, postgres_url: str, nursery: Nursery) -> Iterator[Home]:
    """A company on PostgreSQL, with one mailbox and a configuration."""
    yield from _furnished(Home(tmp_path / "home", nursery, postgres_url))


def _furnished(home: Home) -> Iterator[Home]:
    try:
        home.open_mailbox()
        home.write_config()
        yield home
    finally:
        home.close()


@pytest.fixture
def clear_folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder to stand in."""
    folder = tmp_path / "empty"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
