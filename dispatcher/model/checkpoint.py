"""A signed statement of how long the audit log is, and what is in it: a C2SP checkpoint.

    <origin>            which log
    <size>              entries
    <root>              base64 of the tree's root

    — <origin> <base64 of key hash and Ed25519 signature>

Written by `store.audit` with every entry, kept outside the database by `app`, compared by
`control.auditing`. Formats: C2SP tlog-checkpoint and signed-note.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_ED25519: Final = b"\x01"
_NOTE: Final = re.compile(
    "(?P<text>(?P<origin>[^\\s+]+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n)"
    "\n\u2014 (?P<name>[^\\s+]+) (?P<signature>[A-Za-z0-9+/=]+)\n"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log, its size in entries, and the root of its tree."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it was read, its signature not yet checked."""

    checkpoint: Checkpoint
    name: str
    key_hash: bytes
    signature: bytes


def write_note(checkpoint: Checkpoint, public_key: bytes, signature: bytes) -> str:
    """Give the note: the text, and the signature under the name of the log."""
    mark = base64.b64encode(key_hash(checkpoint.origin, public_key) + signature).decode()
    return f"{checkpoint.text}\n\u2014 {checkpoint.origin} {mark}\n"


def read_notes(text: str) -> Iterator[SignedCheckpoint]:
    """Read notes that stand one after another, blank lines between them.

    Raises `ValueError` with the number of the first line that is not part of a note.
    """
    at = 0
    while at < len(text):
        if text[at] == "\n":
            at += 1
            continue
        found = _NOTE.match(text, at)
        if found is None:
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1} begins no checkpoint")
        yield _signed(found)
        at = found.end()


def verifier_key(origin: str, public_key: bytes) -> str:
    """Give the public key as C2SP tools take it: `<name>+<hash>+<key>`."""
    key = base64.b64encode(_ED25519 + public_key).decode()
    return f"{origin}+{key_hash(origin, public_key).hex()}+{key}"


def key_hash(name: str, public_key: bytes) -> bytes:
    """Give the four bytes that tell which key signed."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def _signed(found: re.Match[str]) -> SignedCheckpoint:
    try:
        mark = base64.b64decode(found["signature"], validate=True)
    except binascii.Error:
        mark = b""
    root = base64.b64decode(found["root"])
    checkpoint = Checkpoint(found["origin"], int(found["size"]), root)
    return SignedCheckpoint(checkpoint, found["name"], mark[:4], mark[4:])
