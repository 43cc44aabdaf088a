"""The scanner for planted values can find them, however they are written."""

import base64
import gzip
import json
import urllib.parse
import zlib

import pytest

from tests.support.canaries import canary, find

WORD = canary()
WRITTEN = {
    "plain": WORD.encode(),
    "upper": WORD.upper().encode(),
    "folded": WORD.casefold().encode(),
    "hex": WORD.encode().hex().encode(),
    "HEX": WORD.encode().hex().upper().encode(),
    "percent": "".join(f"%{byte:02X}" for byte in WORD.encode()).encode(),
    "quoted": urllib.parse.quote(f"é {WORD}").encode(),
    "escapes": "".join(f"\\u{ord(char):04X}" for char in WORD).encode(),
    "json": json.dumps({f"é{WORD}": 1}).encode(),
    "utf-16": f"é{WORD}".encode("utf-16"),
    "utf-16-be": WORD.encode("utf-16-be"),
    "reversed": WORD[::-1].encode(),
    "gzip": gzip.compress(f"{{{WORD}}}".encode()),
    "zlib": zlib.compress(WORD.encode()),
    "gzip of base64": gzip.compress(base64.b64encode(WORD.encode())),
} | {f"base64 {n}": base64.b64encode(b"x" * n + WORD.encode() + b"y") for n in range(6)}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_planted_word_is_found_however_it_is_written(how: str) -> None:
    hay = b"nothing \x1f\x8b\x08 here " + WRITTEN[how] + b" and nothing there"
    assert {label for label, _ in find({"a": WORD, "b": canary()}, hay)} == {"a"}


def test_nothing_is_found_where_nothing_was_planted() -> None:
    assert not find({"a": canary()}, WORD.encode() + gzip.compress(WORD.encode()))
