"""The bytes of a request, made by hand so that exactly what was signed is what leaves.

Used by the transport: the part that never changes is made once per endpoint, the rest at the last
instant. Used by previews, which send nothing. Pure; it must never let a byte pass that could end a
header line early.
"""

import re
from typing import Final

from dispatcher.model.endpoint import Endpoint
from dispatcher.model.headers import Headers, is_reserved

USER_AGENT: Final = "dispatcher/0.1"
ACCEPTED_SET: Final = "application/jwk-set+json, application/json"
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINES: Final = re.compile(rb"(?:%b: [\x20-\x7e\t]*\r\n)*\Z" % _TOKEN)
_FIRST_LINE: Final = re.compile(rb"POST /[\x21-\x7e]* HTTP/1\.1\r\n")
_FETCH_LINE: Final = re.compile(rb"GET /[\x21-\x7e]* HTTP/1\.1\r\n")


def write_prefix(endpoint: Endpoint, headers: Headers, content_type: str) -> bytes:
    """Write the head up to the digits of the body's length; `ValueError` if it would not be one.

    The method is fixed, and `headers` are those a subscription may have of its own.
    """
    if any(is_reserved(name) for name, _ in headers):
        raise ValueError("a header that no subscription may set")
    first = f"POST {endpoint.target} HTTP/1.1\r\n".encode("ascii")
    if not _FIRST_LINE.fullmatch(first):
        raise ValueError("the endpoint's target holds a character that no header may hold")
    lines = write_headers(
        (
            ("Host", endpoint.authority),
            ("User-Agent", USER_AGENT),
            ("Accept-Encoding", "identity"),
            ("Content-Type", content_type),
            *headers,
        )
    )
    return first + lines + b"Content-Length: "


def write_fetch(endpoint: Endpoint) -> bytes:
    """Write the whole request for a partner's set of keys; `ValueError` if it would not be one."""
    first = f"GET {endpoint.target} HTTP/1.1\r\n".encode("ascii")
    if not _FETCH_LINE.fullmatch(first):
        raise ValueError("the endpoint's target holds a character that no header may hold")
    lines = write_headers(
        (
            ("Host", endpoint.authority),
            ("User-Agent", USER_AGENT),
            ("Accept", ACCEPTED_SET),
            ("Accept-Encoding", "identity"),
        )
    )
    return first + lines + b"\r\n"


def write_headers(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Write header lines; `ValueError` on a name or value that could be read as anything else."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("ascii")
    if not _LINES.match(lines) or lines.count(b"\n") != len(headers):
        raise ValueError("a header holds a character that no header may hold")
    return lines


def write_request(prefix: bytes, headers: Headers, body: bytes) -> bytes:
    """Write the whole request: `prefix`, the body's length, the headers of the instant, the body.

    `ValueError` where a header is none.
    """
    return b"%b%d\r\n%b\r\n%b" % (prefix, len(body), write_headers(headers), body)
