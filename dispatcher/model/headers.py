"""Which headers of its own a subscription may send: plain names, plain values, and few of them.

Asked when a registry is judged and when it is compiled; the wire looks at every line once more.
Refused is whatever says how the request is framed, where it comes from or who vouches for it, for
that is dispatcher's to say, and what holds a credential, for the registry is there to be read.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

COUNT_MAX: Final = 16
VALUE_BYTES_MAX: Final = 1024
CREDENTIAL_BYTES_MAX: Final = 4096
BYTES_MAX: Final = 4096
"""Of all headers together, as they stand on the wire."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# HTTP would allow a tab as well; no text of a registry may hold one.
_VALUE: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?\Z")
_RESERVED: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "cookie",
        "cookie2",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "metadata",
        "metadata-flavor",
        "signature",
        "signature-input",
        "te",
        "trailer",
        "transfer-encoding",
        "true-client-ip",
        "upgrade",
        "user-agent",
        "via",
        "x-google-metadata-request",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    }
)
_RESERVED_BEGINNINGS: Final = ("content-", "proxy-", "webhook-", "x-aws-ec2-", "x-forwarded-")

_CREDENTIALS: Final = frozenset({"authorization", "cookie"})
"""Reserved in the registry, which is there to be read, and free where values are sealed."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class HeaderFault:
    """One thing wrong with one header, or with all of them, where `name` is empty."""

    name: str
    why: str
    fix: str


def find_header_faults(headers: Mapping[str, str]) -> Iterator[HeaderFault]:
    """List everything that is wrong with a subscription's headers."""
    for name, value in headers.items():
        if not _NAME.match(name):
            yield HeaderFault(name, "not a header's name", "use letters, digits and '-'")
        elif is_reserved(name):
            yield HeaderFault(
                name, "reserved", "leave it out: dispatcher alone says this, or nobody"
            )
        if not _VALUE.match(value):
            why = "the value holds what no header's value may hold"
            yield HeaderFault(name, why, "write visible ASCII, with spaces in between at most")
        elif len(value) > VALUE_BYTES_MAX:
            yield HeaderFault(name, "the value is too long", f"at most {VALUE_BYTES_MAX} bytes")
    for name, count in Counter(map(folded, headers)).items():
        if count > 1:
            yield HeaderFault(name, f"written {count} times", "write it once, in one spelling")
    if len(headers) > COUNT_MAX:
        yield HeaderFault("", "too many headers", f"write at most {COUNT_MAX}")
    if sum(len(f"{name}: {value}\r\n") for name, value in headers.items()) > BYTES_MAX:
        yield HeaderFault("", "too long, all together", f"write at most {BYTES_MAX} bytes")


def find_credential_faults(name: str, value: str) -> Iterator[str]:
    """Say what is wrong with a secret header; the value itself is never said."""
    if not _NAME.match(name):
        yield "not a header's name"
    elif is_reserved(name) and folded(name) not in _CREDENTIALS:
        yield f"{name} is reserved: dispatcher alone says this, or nobody"
    if not value or not _VALUE.match(value):
        yield "the value holds what no header's value may hold"
    elif len(value) > CREDENTIAL_BYTES_MAX:
        yield f"the value is longer than {CREDENTIAL_BYTES_MAX} bytes"


def compile_headers(headers: Mapping[str, str]) -> Headers | None:
    """Give the headers in the order they are sent; nothing where there is a fault."""
    if not headers:
        return ()
    return None if any(find_header_faults(headers)) else tuple(sorted(headers.items()))


def is_reserved(name: str) -> bool:
    """True for a header that no subscription may set, however it is spelled."""
    plain = folded(name)
    return plain in _RESERVED or plain.startswith(_RESERVED_BEGINNINGS)


def folded(name: str) -> str:
    """Fold what servers fold: behind a gateway `Content_Length` is `Content-Length`."""
    return name.lower().replace("_", "-")
