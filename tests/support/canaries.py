"""Finds planted values in anything, however they are written there: a canary must sing nowhere.

A canary is a word that stands for nothing else. It is looked for as it is, in either case,
reversed, in hexadecimal, Base64 at each of its three offsets, percent and JSON escapes, UTF-16
either way round, and all that again inside whatever gzip or zlib stream is found.
"""

import base64
import re
import secrets
import zlib
from collections.abc import Iterator, Mapping

_LETTERS = "BCDFGHJKLMNPQRSTVWXZbcdfghjklmnpqrstvwxz23456789"
_STREAM = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_ANY_CASE = ("plain", "hex", "percent", "escapes", "reversed")


def canary(size: int = 20) -> str:
    """Make a word that nobody has written before, and that cannot be taken for a name."""
    return "Zq7" + "".join(secrets.choice(_LETTERS) for _ in range(size))


def spellings(word: str) -> Iterator[tuple[str, bytes]]:
    """Give every way a word may be written in, by its name; those of `_ANY_CASE` in small letters.

    What Base64 writes at either end depends on the neighbours, and is left out.
    """
    raw = word.encode()
    yield "plain", raw.lower()
    yield "reversed", raw[::-1].lower()
    yield "hex", raw.hex().encode()
    yield "percent", "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "escapes", "".join(f"\\u{ord(char):04x}" for char in word).encode()
    yield "utf-16-le", word.encode("utf-16-le")
    yield "utf-16-be", word.encode("utf-16-be")
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw)
        yield f"base64 at {offset}", whole[(0, 2, 3)[offset] : (len(raw) + offset) // 3 * 4]


def find(words: Mapping[str, str], hay: bytes) -> set[tuple[str, str]]:
    """Give which words, by their labels, are anywhere in some bytes, and how they are written."""
    found = set()
    for layer in _layers(hay):
        folded = layer.lower()
        for label, word in words.items():
            for how, spelling in spellings(word):
                if spelling in (folded if how in _ANY_CASE else layer):
                    found.add((label, how))
    return found


def _layers(hay: bytes) -> Iterator[bytes]:
    """Give the bytes themselves, and what every compressed stream in them opens to."""
    yield hay
    for start in _STREAM.finditer(hay):
        opener = zlib.decompressobj(wbits=47)
        try:
            yield opener.decompress(hay[start.start() :], 1 << 24)
        except zlib.error:
            continue
