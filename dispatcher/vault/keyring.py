"""The local keyring: one JSON file of named 256-bit keys, one of them primary.

    {"format": 1, "primary": "k…", "keys": {"k…": "<base64 of 32 bytes>"}}

`app` and `cli` create and load it. `vault.local` wraps under the primary and opens under whichever
key is named. The first key listed is the *root*: pseudonyms, tokens, the audit seal and ownership
tokens hang on it, so adding a key and making it primary renames nobody. No key may reach a message,
a repr, a pickle or a file that others can read; a key that is in the file is never taken out.
"""

import base64
import binascii
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from dispatcher.model.errors import ConfigInvalid, Conflict, KeyMissing
from dispatcher.vault.xaes import KEY_BYTES

FORMAT: Final = 1
FILE_BYTES_MAX: Final = 1 << 20
_KEY_ID: Final = re.compile(r"k[0-9a-z]{1,31}\Z")
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys at hand, by id, in the order of the file."""

    primary: str
    keys: Mapping[str, bytes] = field(repr=False)

    def key(self, key_id: str) -> bytes:
        """Find a key, or say which one is missing."""
        try:
            return self.keys[key_id]
        except KeyError:
            raise KeyMissing(
                f"the keyring holds no key {key_id!r}",
                fix="put the key back into the keyring file; without it these records stay closed",
            ) from None

    @property
    def root(self) -> str:
        """The id of the key that pseudonyms are derived from."""
        return next(iter(self.keys))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a keyring cannot be pickled")


def create_keyring(path: Path) -> Keyring:
    """Write a keyring with one fresh key, readable by its owner alone.

    The file appears whole or not at all; `Conflict` when there is one already.
    """
    key_id = f"k{os.urandom(5).hex()}"
    keyring = Keyring(key_id, MappingProxyType({key_id: os.urandom(KEY_BYTES)}))
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        try:
            _write_durably(draft, _to_json(keyring))
            os.link(draft, path)  # unlike a rename, this fails where a file stands
        finally:
            draft.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError:
        raise Conflict(
            "a keyring exists already, and is never overwritten", where=str(path)
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    return keyring


def add_key(path: Path) -> Keyring:
    """Add one fresh key to the file and make it primary; the others stay, and what they opened.

    The new file takes the place of the old one whole, or not at all.
    """
    keyring = load_keyring(path)
    key_id = f"k{os.urandom(5).hex()}"
    keys = {**keyring.keys, key_id: os.urandom(KEY_BYTES)}
    grown = Keyring(key_id, MappingProxyType(keys))
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    try:
        try:
            _write_durably(draft, _to_json(grown))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    return grown


def load_keyring(path: Path) -> Keyring:
    """Read and check the file; `KeyMissing` or `ConfigInvalid` say what is wrong, and no secret."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            _check_mode(status.st_mode, path)
            text = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise KeyMissing(
            "there is no keyring",
            where=str(path),
            fix="put its backup back, or name the file in [vault] keyring; a first one is made by "
            "'dispatcher init' in an empty folder",
        ) from None
    except OSError as error:
        raise ConfigInvalid(
            f"the keyring cannot be read: {error.strerror}",
            where=str(path),
            fix="make the file readable for the user the worker runs as",
            code="keyring_unreadable",
        ) from None
    try:
        return _from_json(text)
    except ValueError as error:
        raise ConfigInvalid(
            f"not a keyring: {error}",
            where=str(path),
            fix="restore the file from its backup",
            code="keyring_malformed",
        ) from None


def _unwritable(path: Path, error: OSError) -> ConfigInvalid:
    return ConfigInvalid(
        f"the keyring cannot be written: {error.strerror}",
        where=str(path),
        fix="choose a directory that this user may write to",
        code="keyring_unwritable",
    )


def _check_mode(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise ConfigInvalid("the keyring is not a file", where=str(path), code="keyring_malformed")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigInvalid(
            f"others than its owner may use the keyring (mode {stat.S_IMODE(mode):04o})",
            where=str(path),
            fix=f"chmod 600 {path}",
            code="keyring_mode",
        )


def _to_json(keyring: Keyring) -> bytes:
    keys = {name: base64.b64encode(key).decode() for name, key in keyring.keys.items()}
    document = {"format": FORMAT, "primary": keyring.primary, "keys": keys}
    return json.dumps(document, indent=2).encode() + b"\n"


def _from_json(text: bytes) -> Keyring:
    """Read the document; every `ValueError` is worded here, so that none quotes the text."""
    if len(text) > FILE_BYTES_MAX:
        raise ValueError(f"longer than {FILE_BYTES_MAX} bytes")
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"'format' is not {FORMAT}")
    listed, primary = document.get("keys"), document.get("primary")
    if not isinstance(listed, dict) or not listed:
        raise ValueError("'keys' lists no key")
    keys = {name: _read_key(name, value) for name, value in listed.items()}
    if not isinstance(primary, str) or primary not in keys:
        raise ValueError("'primary' names none of the keys")
    return Keyring(primary, MappingProxyType(keys))


def _read_key(name: str, value: object) -> bytes:
    if not _KEY_ID.match(name):
        raise ValueError("a key id is 'k' and up to 31 lower-case letters and digits")
    try:
        key = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"key {name} is not {KEY_BYTES} bytes in base64")
    return key


def _write_durably(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
