"""Payloads that JSON readers read differently: each is refused at every door, or kept to the digit.

They fit an event type whose one member `id` is a text; `total` is an integer.
"""

from typing import Final

DEEP: Final = b'{"id":' + b"[" * 2000 + b"]" * 2000 + b"}"
LARGE: Final = b'{"id":"' + b"x" * 10_000_000 + b'"}'
NAMED_TWICE: Final = "a member is named twice"
REFUSED: Final[dict[str, tuple[bytes, str]]] = {
    "named twice": (b'{"id":"a","id":"b"}', NAMED_TWICE),
    "named twice, the same value": (b'{"id":"a","id":"a"}', NAMED_TWICE),
    "named twice, deep": (b'{"id":"a","x":[{"y":1,"z":2,"y":3}]}', NAMED_TWICE),
    "named twice, spelled apart": (b'{"id":"a","\\u0069d":"b"}', NAMED_TWICE),
    "named twice, behind a colon": (b'{"id":"a:","id":":b"}', NAMED_TWICE),
    "named twice, behind an escape": (b'{"id":"\\u003a","x":1,"x":2}', NAMED_TWICE),
    "named twice, behind another": (b'{"id":"\\u003A\\u003A","x":"","x":":"}', NAMED_TWICE),
    "named twice, with blanks": (b'{"id" : "a" , "id"\n:\t"b"}', NAMED_TWICE),
    "half a surrogate pair": (b'{"id":"\\ud800"}', "not JSON"),
    "no number": (b'{"id":"a","total":NaN}', "not JSON"),
    "no end": (b'{"id":"a","total":-Infinity}', "not JSON"),
    "beyond a float": (b'{"id":"a","total":1e400}', "not JSON"),
    "2000 deep": (DEEP, "not JSON"),
    "65 deep": (b'{"id":' + b"[" * 64 + b"1" + b"]" * 64 + b"}", "nested deeper than 64"),
}
"""What is `schema_invalid`, and what is said of it."""

EXACT: Final = (
    b'{"id":"a","total":18446744073709551616}',
    b'{"id":"a","total":-340282366920938463463374607431768211457}',
    b'{"id":"\\u003a \\\\u003a :","total":1}',
    b'{"id":"\\ud83d\\ude00","total":9007199254740993}',
)
"""What is taken in, and to be found again as it was."""
