"""What is installed and what is shipped: locks, dependencies, the wheel, the bare producer."""

import re
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.architecture.house import PACKAGE, ROOT, kept_files

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>\S+)")

# What only a server, an operator or a developer needs; the producer must do without.
BARE = """
import importlib.metadata, sys

base = set(sys.argv[1].split(","))
owners = importlib.metadata.packages_distributions()

class OnlyBase:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        given = {one.lower().replace("_", "-") for one in owners.get(top, ())}
        if given and not given & base:
            raise ModuleNotFoundError(f"{top} is not in the base package", name=top)
        return None

sys.meta_path.insert(0, OnlyBase())
from dispatcher.producer import enqueue
from dispatcher.receiver import opening
from dispatcher.testing import exposure, partners
assert callable(enqueue)
"""


def pins(lock: Path) -> dict[str, str]:
    """Name what a lock file installs, and which version."""
    found = (PIN.match(line) for line in lock.read_text().splitlines())
    return {one["name"]: one["version"] for one in found if one}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the root of the repository."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_locks_are_all_there() -> None:
    assert [lock.stem for lock in LOCKS] == ["aws", "base", "build", "dev", "helm", "run"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_host_and_hashes_everything(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-e|--(?!hash=)|\.|/|[a-z0-9-]+ @)", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())


def test_the_locks_agree_with_each_other() -> None:
    versions = defaultdict(set)
    for lock in LOCKS:
        for name, version in pins(lock).items():
            versions[name].add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_locks_are_nested() -> None:
    aws, base, build, dev, helm, server = (set(pins(lock)) for lock in LOCKS)
    assert base < server < aws < dev < helm
    assert build < dev


def test_every_dependency_is_declared_and_every_declared_one_is_used() -> None:
    report = run("-m", "deptry", PACKAGE, "migrations")
    assert report.returncode == 0, report.stderr


def test_a_producer_and_a_receiver_import_with_the_base_package_alone() -> None:
    base = ",".join(pins(ROOT / "requirements" / "base.txt"))
    report = run("-c", BARE, f"dispatcher,{base}")
    assert report.returncode == 0, report.stderr


def test_a_package_outside_the_base_would_be_missed() -> None:
    report = run("-c", BARE + "\nimport click\n", "dispatcher,sqlalchemy,msgspec,cryptography,cffi")
    assert "is not in the base package" in report.stderr


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    report = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    assert report.returncode == 0, report.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def package_files(folder: str) -> Iterator[tuple[str, bytes]]:
    """Every kept file below a folder of the repository, by its path there."""
    for file in kept_files():
        if file.is_relative_to(ROOT / folder):
            yield file.relative_to(ROOT / folder).as_posix(), file.read_bytes()


def test_the_wheel_carries_the_package_whole(shipped: dict[str, bytes]) -> None:
    wanted = {f"{PACKAGE}/{name}": content for name, content in package_files(PACKAGE)}
    assert wanted.items() <= shipped.items()


def test_the_wheel_carries_the_migrations(shipped: dict[str, bytes]) -> None:
    wanted = {f"{PACKAGE}/_migrations/{name}": text for name, text in package_files("migrations")}
    assert any(name.endswith("env.py") for name in wanted)
    assert wanted.items() <= shipped.items()


def test_the_wheel_carries_nothing_else(shipped: dict[str, bytes]) -> None:
    tops = {name.partition("/")[0] for name in shipped}
    version = metadata.version(PACKAGE)
    assert tops == {PACKAGE, f"{PACKAGE}-{version}.dist-info"}
    assert f"{PACKAGE}-{version}.dist-info/licenses/LICENSE" in shipped
    assert not [name for name in shipped if name.endswith((".pyc", ".db", ".sqlite3"))]


def test_no_file_mentions_the_machine_it_was_written_on() -> None:
    places = [
        re.escape(f"{place}") for place in (ROOT, Path(sys.prefix), Path.home()) if _is_deep(place)
    ]
    pattern = re.compile("|".join([*places, r"/(?:home|Users|root|work|workspaces?)/\w"]))
    faults = []
    for file in kept_files():
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        name = file.relative_to(ROOT)
        faults += [
            f"{name}:{number}" for number, line in enumerate(lines, 1) if pattern.search(line)
        ]
    assert faults == []


def _is_deep(place: Path) -> bool:
    """Whether a path is too particular to be written anywhere by chance."""
    return len(place.parts) > 2
