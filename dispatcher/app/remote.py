"""Calls an API over HTTP for a command: where `DISPATCHER_URL` says, as whoever has the token.

`calling` does the same within this process; both give the same documents and errors. A token is
sent over plain HTTP to this machine alone, redirects are not followed, and an answer is bounded in
size and time. Loads nothing of the databases, so that a command is quick.
"""

import http.client
import os
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from dispatcher.api.calls import JSON, Call, Reply
from dispatcher.api.problems import document_of
from dispatcher.model.errors import ConfigInvalid, Malformed, StoreUnavailable, Unauthenticated

URL_VARIABLE: Final = "DISPATCHER_URL"
TOKEN_VARIABLE: Final = "DISPATCHER_TOKEN"  # noqa: S105 - a variable's name
ANSWER_BYTES_MAX: Final = 268_435_456
TIMEOUT_SECONDS: Final = 90.0
_OWN_MACHINE: Final = ("127.0.0.1", "::1", "localhost")


def remote_url() -> str:
    """Give where the API is, or nothing: then commands work on this machine's databases."""
    return os.environ.get(URL_VARIABLE, "")


def call_there(url: str, call: Call) -> Any:
    """Send a call over HTTP, and give the document of the answer. Raises `DispatcherError`."""
    place = _place(url)
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise Unauthenticated(
            "the API wants to know who asks",
            where=TOKEN_VARIABLE,
            fix="set it to your token; an admin makes one with 'dispatcher token issue'",
            code="token_missing",
        )
    query = f"?{urlencode(call.query)}" if call.query else ""
    target = f"{place.path.rstrip('/')}{call.path}{query}"
    headers = {**call.headers, "authorization": f"Bearer {token}", "accept": JSON}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise Malformed(
                "a header is visible ASCII", where=name, fix="write it in letters and digits"
            )
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(call.method, target, body=call.body or None, headers=headers)
        answer = connection.getresponse()
        body = answer.read(ANSWER_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable(
            place, getattr(error, "strerror", None) or type(error).__name__
        ) from None
    finally:
        connection.close()
    if len(body) > ANSWER_BYTES_MAX:
        raise _unreachable(place, f"its answer is longer than {ANSWER_BYTES_MAX} bytes")
    try:
        return document_of(Reply(answer.status, body))
    except ValueError:
        raise _unreachable(
            place, f"what answers there (status {answer.status}) is not it"
        ) from None


def _place(url: str) -> SplitResult:
    try:
        place = urlsplit(url)
        is_sound = bool(place.hostname) and place.port != 0 and place.username is None
    except ValueError:
        is_sound = False
    if not is_sound or place.scheme not in ("http", "https"):
        raise ConfigInvalid(
            "not the address of an API",
            where=URL_VARIABLE,
            fix="set it as in https://dispatcher.example.com, or unset it to work on the "
            "databases of this machine",
            code="url_invalid",
        )
    if place.scheme == "http" and place.hostname not in _OWN_MACHINE:
        raise ConfigInvalid(
            "a token is not sent in clear to another machine",
            where=URL_VARIABLE,
            fix="use https, or a tunnel to this machine",
            code="url_insecure",
        )
    return place


def _unreachable(place: SplitResult, why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the API does not answer: {why}",
        where=f"{place.scheme}://{place.netloc}",
        fix=f"check {URL_VARIABLE} and that 'dispatcher api' runs there; --local works on the "
        "databases of this machine",
        code="api_unreachable",
    )
