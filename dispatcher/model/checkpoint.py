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
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_ED25519: Final = b"\x01"
_SIGNATURE: Final = re.compile("^\u2014 ([^\\s+]+) ([A-Za-z0-9+/=]+)$", re.MULTILINE)
_NOTE: Final = re.compile(
    "^(?P<origin>[^\\s+]+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n\n"
    "(?P<signatures>(?:\u2014 [^\\s+]+ [A-Za-z0-9+/=]+\n)+)",
    re.MULTILINE,
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


def read_notes(text: str) -> tuple[list[SignedCheckpoint], int]:
    """Read the notes of a text, and count what stands between them and is none.

    A note that a full disk cut off is such a fragment. Of several signatures, that of the log
    itself is taken; the others are of witnesses.
    """
    found = [_signed(each) for each in _NOTE.finditer(text)]
    rest = (piece for piece in _NOTE.sub("\n\n", text).split("\n\n") if piece.strip())
    return found, sum(1 for _ in rest)


def verifier_key(origin: str, public_key: bytes) -> str:
    """Give the public key as C2SP tools take it: `<name>+<hash>+<key>`."""
    key = base64.b64encode(_ED25519 + public_key).decode()
    return f"{origin}+{key_hash(origin, public_key).hex()}+{key}"


def key_hash(name: str, public_key: bytes) -> bytes:
    """Give the four bytes that tell which key signed."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def _signed(found: re.Match[str]) -> SignedCheckpoint:
    signatures = dict(reversed(_SIGNATURE.findall(found["signatures"])))
    name = found["origin"] if found["origin"] in signatures else next(iter(signatures))
    try:
        mark = base64.b64decode(signatures[name], validate=True)
    except binascii.Error:
        mark = b""
    checkpoint = Checkpoint(found["origin"], int(found["size"]), base64.b64decode(found["root"]))
    return SignedCheckpoint(checkpoint, name, mark[:4], mark[4:])
