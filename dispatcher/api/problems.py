"""How an error is told: its status, and a document of RFC 9457 with `code`, `why` and `fix`."""

import json
import math
from http import HTTPStatus
from typing import Any, Final

from dispatcher.api.calls import PROBLEM, Reply
from dispatcher.api.views import View
from dispatcher.model.errors import (
    ApprovalRequired,
    ConfigInvalid,
    Conflict,
    DispatcherError,
    Forbidden,
    InvalidInput,
    KeyMissing,
    KeyUnavailable,
    Malformed,
    NotConfirmed,
    NotFound,
    SchemaMismatch,
    StoreUnavailable,
    TooOften,
    Unauthenticated,
    UnsupportedMediaType,
)


class MethodNotAllowed(DispatcherError):
    """The path is there, but not for this method; `allowed` are those it is for."""

    code = "method_not_allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method[:20]} is not for this path", fix=f"use {allowed}")
        self.allowed = allowed


class BodyTooLarge(DispatcherError):
    """A request has more of a body than is read."""

    code = "body_too_large"


class BodyTooSlow(DispatcherError):
    """The body of a request did not arrive in time."""

    code = "body_too_slow"


class RequestTimeout(DispatcherError):
    """A request took too long and was given up; it may have been done."""

    code = "request_timeout"


class TooManyFailures(DispatcherError):
    """Too many requests from one address could not say whose they are; `seconds` to wait."""

    code = "too_many_failures"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "too many requests from this address could not say whose they are",
            fix="wait, and check the token",
        )
        self.seconds = math.ceil(seconds)


_STATUS: Final[tuple[tuple[type[DispatcherError], int], ...]] = (
    (Unauthenticated, 401),
    (Forbidden, 403),
    (ApprovalRequired, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Malformed, 400),
    (UnsupportedMediaType, 415),
    (StoreUnavailable, 503),
    (ConfigInvalid, 503),
    (InvalidInput, 422),
    (SchemaMismatch, 503),
    (KeyMissing, 503),
    (KeyUnavailable, 503),
    (RequestTimeout, 503),
    (NotConfirmed, 504),
    (MethodNotAllowed, 405),
    (BodyTooSlow, 408),
    (BodyTooLarge, 413),
    (TooManyFailures, 429),
    (TooOften, 429),
    (DispatcherError, 500),
)


class Problem(View):
    """Why a request was refused or failed, and what would help."""

    type: str
    title: str
    status: int
    code: str
    why: str
    where: str
    fix: str


def tell(error: DispatcherError) -> Reply:
    """Give the answer to a request that ended in this error."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allowed
    if isinstance(error, TooManyFailures):
        headers["retry-after"] = str(error.seconds)
    document = Problem(
        type=f"urn:dispatcher:problem:{error.reason}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=error.reason,
        why=error.why,
        where=error.where,
        fix=error.fix,
    )
    body = document.model_dump_json().encode()
    return Reply(status, body, {"content-type": PROBLEM, **headers})


def error_of(status: int, document: Any) -> DispatcherError:
    """Give the error that a problem document tells of: what `tell` was given, for whoever asked.

    Raises `ValueError` for what is no problem document.
    """
    told = Problem.model_validate(document)
    kind = next((kind for kind, known in _STATUS if known == status), InvalidInput)
    if told.code == ApprovalRequired.code:
        kind = ApprovalRequired
    elif kind in (MethodNotAllowed, TooManyFailures):
        kind = InvalidInput
    return kind(told.why, fix=told.fix, where=told.where, code=told.code)


def document_of(reply: Reply) -> Any:
    """Give the document of an answer. Raises the error it tells of, `ValueError` if it is none."""
    document = json.loads(reply.body)
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise error_of(reply.status, document)
    return document
