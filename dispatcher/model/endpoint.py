"""A destination URL, parsed once and strictly; the dialer and the gates see only these parts.

Anything that two parsers might read as two different places is refused, with the rule it breaks
(egress spec U1-U9; hosts are read by `model.host`). What is sent is written from the parts, never
from the text that came in (U10).
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from dispatcher.model.host import Address, Unreadable, as_address, parse_address_6, parse_host

URL_CHARACTERS_MAX: Final = 2048
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_SCHEME: Final = re.compile(r"(https?)://", re.IGNORECASE)
_STEERING: Final = re.compile(r"[\x00-\x20\\\x7f]")
_AUTHORITY: Final = re.compile(r"[^/?#]*")
_BRACKETED: Final = re.compile(r"\[([^\]]*)\](?::(.*))?\Z", re.DOTALL)
_PORT: Final = re.compile(r"[0-9]{1,5}\Z")
_TARGET: Final = re.compile(
    r"(?:[\x21\x24\x26-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]|%[0-9A-Fa-f]{2})*\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a delivery goes. `host` is an A-label name or a canonical address literal."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host and port as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def literal(self) -> Address | None:
        """The address, when the host is one."""
        return as_address(self.host)

    @property
    def authority(self) -> str:
        """The `Host` header: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def parse_endpoint(url: str) -> Endpoint:
    """Read a URL; raises `Unreadable`, which says in one sentence what is wrong with it."""
    if len(url) > URL_CHARACTERS_MAX:
        raise Unreadable("U9", f"longer than {URL_CHARACTERS_MAX} characters")
    if _STEERING.search(url):
        raise Unreadable("U2", "it holds a space, a backslash or a control character")
    found = _SCHEME.match(url)
    if found is None:
        raise Unreadable("U1", "it does not begin with https:// (or http://, where granted)")
    scheme, rest = found[1].lower(), url[found.end() :]
    authority = _AUTHORITY.match(rest)
    text = authority[0] if authority is not None else ""
    host, port = _parse_authority(text, _DEFAULT_PORT[scheme])
    return Endpoint(scheme=scheme, host=host, port=port, target=_parse_target(rest[len(text) :]))


def _parse_authority(text: str, default_port: int) -> tuple[str, int]:
    if "@" in text:
        raise Unreadable("U3", "it holds a user or a password")
    if text.startswith("["):
        found = _BRACKETED.match(text)
        if found is None:
            raise Unreadable("U5", "something stands behind the brackets of the host")
        return parse_address_6(found[1]), _parse_port(found[2], default_port)
    host, colon, port = text.partition(":")
    if ":" in port or "[" in text or "]" in text:
        raise Unreadable("U5", "an IPv6 address stands in brackets")
    return parse_host(host), _parse_port(port if colon else None, default_port)


def _parse_port(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not _PORT.match(text) or not 1 <= int(text) <= 65535:
        raise Unreadable("U4", "the port is not a number between 1 and 65535")
    return int(text)


def _parse_target(text: str) -> str:
    """Give path and query as they are sent: letters of a path beyond ASCII are encoded (U2)."""
    if "#" in text:
        raise Unreadable("U8", "it holds a fragment, which is never sent")
    path, mark, query = text.partition("?")
    if any(unicodedata.category(each)[0] in "CZ" for each in path if not each.isascii()):
        raise Unreadable("U2", "the path holds a character that is not seen")
    encoded = path if path.isascii() else "".join(map(_encoded, path))
    target = f"{encoded or '/'}{mark}{query}"
    if not _TARGET.match(target):
        raise Unreadable("U2", "path or query hold a character that is to be percent-encoded")
    if len(target) > URL_CHARACTERS_MAX:
        raise Unreadable("U9", f"longer than {URL_CHARACTERS_MAX} characters")
    return target


def _encoded(character: str) -> str:
    return character if character.isascii() else quote(character, safe="")
