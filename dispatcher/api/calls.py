"""One request and one answer, whatever carried them: HTTP, or a command on this machine.

Made by `server` and by `app`, answered by `front`. Nothing in here knows of a socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dispatcher.model.people import Principal

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request: `path` as it was written, header names in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, its body already written."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request that was read and found sound: what a noun's functions are given.

    `query` and `body` are of the types that the route names; `raw` is the body as it was sent.
    """

    principal: Principal
    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    raw: bytes = field(default=b"", repr=False)
    key: str | None = None


def make_call(
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Call:
    """Make a call; parameters without a value are left out."""
    given = {name: str(value) for name, value in (query or {}).items() if value is not None}
    kind = {"content-type": JSON} if body is not None else {}
    return Call(
        method=method,
        path=path,
        query=tuple(given.items()),
        headers={**kind, **(headers or {})},
        body=body or b"",
    )
