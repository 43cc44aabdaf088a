"""The keyring file: whole or absent, private, never overwritten, and silent about its keys."""

import base64
import json
import os
import pickle
import stat
from pathlib import Path

import pytest

from dispatcher.model.errors import ConfigInvalid, Conflict, KeyMissing
from dispatcher.vault.keyring import create_keyring, load_keyring

SECRET = base64.b64encode(b"S" * 32).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


def write(path: Path, content: object, mode: int = 0o600) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(mode)


def test_a_new_keyring_is_read_back_as_it_was_made(path: Path) -> None:
    made = create_keyring(path)
    read = load_keyring(path)
    assert (read.primary, dict(read.keys)) == (made.primary, dict(made.keys))
    assert [len(key) for key in read.keys.values()] == [32]
    assert read.root == read.primary


def test_two_keyrings_have_nothing_in_common(tmp_path: Path) -> None:
    one, two = create_keyring(tmp_path / "1"), create_keyring(tmp_path / "2")
    assert one.primary != two.primary
    assert set(one.keys.values()).isdisjoint(two.keys.values())


def test_only_its_owner_may_read_a_new_keyring(path: Path) -> None:
    before = os.umask(0)
    try:
        create_keyring(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_keyring_is_never_overwritten(path: Path) -> None:
    create_keyring(path)
    content = path.read_bytes()
    with pytest.raises(Conflict):
        create_keyring(path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_keyring_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        create_keyring(tmp_path / "missing" / "keyring.json")
    assert raised.value.reason == "keyring_unwritable"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o610])
def test_a_keyring_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    create_keyring(path)
    path.chmod(mode)
    with pytest.raises(ConfigInvalid) as raised:
        load_keyring(path)
    assert raised.value.reason == "keyring_mode"
    assert raised.value.fix == f"chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_keyring_is_read(path: Path, mode: int) -> None:
    create_keyring(path)
    path.chmod(mode)
    assert load_keyring(path).primary


def test_no_keyring_is_a_missing_key(path: Path) -> None:
    with pytest.raises(KeyMissing) as raised:
        load_keyring(path)
    assert raised.value.where == str(path)
    assert raised.value.fix


def test_a_key_that_is_not_there_is_named(path: Path) -> None:
    keyring = create_keyring(path)
    with pytest.raises(KeyMissing, match="kabc"):
        keyring.key("kabc")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json " + SECRET,
        "[" * 100_000,
        [],
        {"format": 2, "primary": "k1", "keys": {"k1": SECRET}},
        {"format": 1, "primary": "k2", "keys": {"k1": SECRET}},
        {"format": 1, "primary": None, "keys": {"k1": SECRET}},
        {"format": 1, "primary": "k1", "keys": {}},
        {"format": 1, "primary": "k1", "keys": [SECRET]},
        {"format": 1, "primary": "k1", "keys": {"k1": SECRET[:-4]}},
        {"format": 1, "primary": "k1", "keys": {"k1": "%" + SECRET}},
        {"format": 1, "primary": "k1", "keys": {"k1": 7}},
        {"format": 1, "primary": SECRET, "keys": {SECRET: SECRET}},
        " " * (1 << 20) + "{}",
    ],
)
def test_a_malformed_keyring_is_refused_without_a_word_of_it(path: Path, content: object) -> None:
    write(path, content)
    with pytest.raises(ConfigInvalid) as raised:
        load_keyring(path)
    assert raised.value.reason == "keyring_malformed"
    assert SECRET[:8] not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_directory_is_not_a_keyring(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        load_keyring(tmp_path)


def test_a_keyring_shows_its_keys_to_nobody(path: Path) -> None:
    write(path, {"format": 1, "primary": "k1", "keys": {"k1": SECRET}})
    keyring = load_keyring(path)
    assert repr(keyring) == "Keyring(primary='k1')"
    with pytest.raises(TypeError):
        pickle.dumps(keyring)
