"""The one way through the API: route, who, may they, what do they ask, answer, on the record.

Called by `server` for HTTP and by `app` for commands on this machine, with the same result. A
refusal says its code, reason and fix. A request with an idempotency key is done once: its answer is
kept, sealed, and given again.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from pydantic import ValidationError

from dispatcher.api.calls import JSON, Ask, Call, Reply
from dispatcher.api.problems import MethodNotAllowed, tell
from dispatcher.api.routes import Route, split_path
from dispatcher.control.means import Means
from dispatcher.control.people import require
from dispatcher.model.audit import Entry
from dispatcher.model.errors import (
    ApprovalRequired,
    Conflict,
    DispatcherError,
    Forbidden,
    InvalidInput,
    KeyMissing,
    KeyUnavailable,
    Malformed,
    NotConfirmed,
    NotFound,
    UnsupportedMediaType,
)
from dispatcher.model.people import Principal, Right
from dispatcher.store.replies import ReplyStore
from dispatcher.vault.places import reply_place

KEY_HEADER: Final = "idempotency-key"
KEY_PATTERN: Final = "^[!-~]{1,255}$"
LARGE_BYTES: Final = 65_536
_FAULTS_MAX: Final = 20
_NOT_DONE: Final = (InvalidInput, NotFound, Conflict, Forbidden, ApprovalRequired, NotConfirmed)
"""After these a request may be made again with its key: nothing was done, or, for a stop that was
not confirmed, doing it again is right. After any other nobody knows."""

Who = Callable[[], Awaitable[Principal]]
Body = Callable[[], Awaitable[bytes]]
RoutesAt = Callable[[Sequence[str]], Sequence[Route]]
"""Gives the routes that a path may be, by its parts."""


class Front:
    """Answers calls about one registry and one outbox."""

    def __init__(self, means: Means, routes_at: RoutesAt, description: Callable[[], bytes]):
        self._means = means
        self._routes_at = routes_at
        self._description = description

    async def answer(
        self, call: Call, who: Who, body: Body | None = None
    ) -> tuple[Reply, Route | None]:
        """Answer a call; the route it took, if it took one, is for logs and metrics.

        `body` reads the body where it has not been: only once it is known who asks, and that they
        may. Raises nothing that is foreseen: every `DispatcherError` becomes a problem document.
        """
        if call.path == DESCRIPTION_PATH and call.method == "GET":
            return _cached(call, Reply(200, self._description(), {"content-type": JSON})), None
        route = None
        try:
            route, path = self._route(call)
            return await self._taken(call, route, path, await who(), body), route
        except DispatcherError as error:
            return tell(error), route

    def _route(self, call: Call) -> tuple[Route, dict[str, str]]:
        segments, allowed = split_path(call.path), set()
        for route in self._routes_at(segments):
            found = route.match(segments)
            if found is not None and route.method == call.method:
                return route, found
            if found is not None:
                allowed.add(route.method)
        if allowed:
            raise MethodNotAllowed(call.method, ", ".join(sorted(allowed)))
        raise NotFound(
            "there is nothing at this path",
            where=call.path[:200],
            fix=f"see {DESCRIPTION_PATH}",
            code="route_unknown",
        )

    async def _taken(
        self,
        call: Call,
        route: Route,
        path: dict[str, str],
        principal: Principal,
        body: Body | None,
    ) -> Reply:
        try:
            require(principal, route.right)
            if principal.tenant is not None and not route.is_tenant_bound:
                raise _of_one_tenant(principal)
            if body is not None and route.body is not None:
                call = replace(call, body=await body())
            ask = await _read(call, route, path, principal)
            if route.keeps_replies and ask.key is not None:
                return await self._once(call, route, ask, ask.key)
            reply = await self._work(route, ask)
        except Forbidden as error:
            if route.right is not Right.ENQUEUE:  # a service may be wrong a thousand times a second
                await self._record(principal, "refused", route, call, code=error.reason)
            raise
        if route.privileged:  # on the record before it is given
            await self._record(principal, route.privileged, route, call)
        return _cached(call, reply)

    async def _work(self, route: Route, ask: Ask) -> Reply:
        answered = await route.answer(self._means, ask)
        adapter = route.replies
        document = adapter.dump_json(adapter.validate_python(answered))
        headers = {"cache-control": "no-store"} if route.is_shown_once else {}
        return Reply(route.status, document, {"content-type": JSON, **headers})

    async def _once(self, call: Call, route: Route, ask: Ask, key: str) -> Reply:
        """Do what a request with a key asks, unless it was done already."""
        name, replies = _asker(ask.principal), ReplyStore(self._means.registry_database)
        place = reply_place(name, key)
        fingerprint = _fingerprint(call)
        known = await replies.claim(name, key, fingerprint)
        if known is None:
            try:
                reply = await self._work(route, ask)
            except _NOT_DONE:
                await replies.give_back(name, key)
                raise
            answer = msgspec.json.encode([reply.status, reply.body])
            # Nothing is left undone for want of a key; whoever asks again is told to look first.
            with suppress(KeyMissing, KeyUnavailable):
                await replies.complete(name, key, await self._means.vault.seal_soon(answer, place))
            return reply
        if known.fingerprint != fingerprint:
            raise _conflict(
                "this idempotency key was used for another request",
                "use a new key",
                "idempotency_conflict",
            )
        if known.sealed is None:
            raise _conflict(
                "a request with this key is being answered, or its answer was lost",
                "ask again in a moment; if this stays, look whether it was done, and use a new key",
                "idempotency_unfinished",
            )
        opened = await self._means.vault.open_soon(known.sealed, place)
        status, body = msgspec.json.decode(opened, type=tuple[int, bytes])
        return Reply(status, body, {"content-type": JSON, "idempotency-replayed": "true"})

    async def _record(
        self, principal: Principal, kind: str, route: Route, call: Call, **more: str
    ) -> None:
        known = getattr(route.query, "model_fields", {})
        query = urlencode([(name, value) for name, value in call.query if name in known])
        detail = {"method": route.method, "query": query, **more}
        about = call.path[:500]
        entry = Entry(kind=kind, actor=principal.name, about=about, detail=detail)
        await self._means.audit.record(entry)


DESCRIPTION_PATH: Final = "/v1/openapi.json"


def _asker(principal: Principal) -> str:
    """Name who asks: somebody with a token of one tenant is not given the answers of all."""
    return principal.name if principal.tenant is None else f"{principal.name}:{principal.tenant}"


async def _read(call: Call, route: Route, path: dict[str, str], principal: Principal) -> Ask:
    key = call.headers.get(KEY_HEADER)
    if key is not None and not re.fullmatch(KEY_PATTERN, key):
        raise _malformed("an idempotency key is 1 to 255 visible ASCII characters", KEY_HEADER)
    return Ask(
        principal=principal,
        path=path,
        query=_read_query(call, route),
        body=await _read_body(call, route),
        raw=call.body,
        key=key,
    )


def _read_query(call: Call, route: Route) -> Any:
    given: dict[str, str] = {}
    for name, value in call.query:
        if name in given:
            raise _malformed("given more than once", f"query: {name[:100]}")
        given[name] = value
    if route.query is None:
        if given:
            raise _malformed("unknown parameter", f"query: {next(iter(given))[:100]}")
        return None
    try:
        return route.queries.validate_python(given)
    except ValidationError as error:
        raise _invalid(error, "query") from None


async def _read_body(call: Call, route: Route) -> Any:
    if route.body is None:
        return None
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise UnsupportedMediaType(
            "the body is not said to be JSON",
            where="content-type",
            fix=f"send {JSON}",
        )
    try:
        if len(call.body) < LARGE_BYTES:
            return route.bodies.validate_json(call.body, strict=True)
        # A large registry takes a second to read, and others must not wait for it.
        return await asyncio.to_thread(route.bodies.validate_json, call.body, strict=True)
    except ValidationError as error:
        raise _invalid(error, "body") from None


def _invalid(error: ValidationError, part: str) -> Malformed:
    faults = []
    found = error.errors(include_input=False, include_url=False, include_context=False)
    for fault in found[:_FAULTS_MAX]:
        key = ".".join(str(each)[:100] for each in fault["loc"]) or part
        unknown = fault["type"] in ("extra_forbidden", "unexpected_keyword_argument")
        faults.append(f"{key}: {'unknown key' if unknown else fault['msg']}")
    return _malformed("; ".join(faults), part)


def _malformed(why: str, where: str) -> Malformed:
    return Malformed(why, where=where, fix=f"see {DESCRIPTION_PATH} for what is asked")


def _conflict(why: str, fix: str, code: str) -> Conflict:
    return Conflict(why, where=KEY_HEADER, fix=fix, code=code)


def _of_one_tenant(principal: Principal) -> Forbidden:
    return Forbidden(
        f"the token of {principal.name} is for the tenant {principal.tenant} alone, and this is "
        "about all of them",
        where="token",
        fix="use a token that is not of one tenant",
        code="tenant_scoped",
    )


def _fingerprint(call: Call) -> str:
    head = msgspec.json.encode([call.method, call.path, call.query])
    return hashlib.sha256(head + b"\n" + call.body).hexdigest()


def _cached(call: Call, reply: Reply) -> Reply:
    """Give an object its tag, and nothing where the caller has it already."""
    if call.method != "GET" or reply.status != 200:
        return reply
    tag = f'"{hashlib.sha256(reply.body).hexdigest()[:32]}"'
    known = [each.strip() for each in call.headers.get("if-none-match", "").split(",")]
    if tag in known or f"W/{tag}" in known or "*" in known:
        return Reply(304, b"", {"etag": tag})
    return Reply(reply.status, reply.body, {**reply.headers, "etag": tag})
