"""The API over real sockets: tokens, bounds, and answers when something goes wrong."""

import asyncio
import io
import json
from typing import Any

import pytest

from dispatcher.api.routes import Route
from dispatcher.control.failed_attempts import ADDRESSES_MAX, WINDOW_SECONDS, FailedAttempts
from dispatcher.model.people import Right
from dispatcher.telemetry import log
from tests.support.served import served

FAILURES = 3


async def test_without_a_good_token_nothing_is_said_but_how_to_get_one(sqlite_url: str):
    async with served(sqlite_url) as client:
        for token, code in (("", "token_missing"), ("dsp_1_2", "token_invalid")):
            got, document = await client.ask("GET", "/v1/principals", token=token)
            assert (got.status, document["code"]) == (401, code)
            assert got.headers["www-authenticate"] == "Bearer"
        got, document = await client.ask("GET", "/v1/principals")
        assert (got.status, document["items"][0]["name"]) == (200, "ann")


async def test_an_address_that_keeps_failing_is_told_to_wait_and_a_good_token_never_is(
    sqlite_url: str,
):
    async with served(sqlite_url) as client:
        for _ in range(FAILURES):
            got, _ = await client.ask("GET", "/v1/principals", token="wrong")
            assert got.status == 401
        got, document = await client.ask("GET", "/v1/principals", token="wrong")
        assert (got.status, document["code"]) == (429, "too_many_failures")
        assert 0 < int(got.headers["retry-after"]) <= WINDOW_SECONDS
        got, _ = await client.ask("GET", "/v1/principals")
        assert got.status == 200
        assert b"dispatcher_api_auth_failures_total 4.0" in client.metrics.render()


async def raw(url: str, text: bytes) -> bytes:
    """Send what no client would, and give what comes back at first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(text)
    answer = await asyncio.wait_for(reader.read(4096), 5)
    writer.close()
    return answer


async def test_of_whoever_does_not_say_who_it_is_no_body_is_read(sqlite_url: str):
    async with served(sqlite_url) as client:
        head = (
            b"POST /v1/switches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000\r\n\r\n"
        )
        # Not one byte of the body is sent: the answer does not wait for it.
        assert b" 401 " in (await raw(client.url, head)).splitlines()[0]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "nonsense"])
async def test_a_compressed_body_is_refused_unread(sqlite_url: str, encoding: str):
    async with served(sqlite_url) as client:
        head = (
            "POST /v1/switches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {client.token}\r\nContent-Encoding: {encoding}\r\n"
            "Content-Length: 4\r\n\r\nabcd"
        )
        answer = await raw(client.url, head.encode())
    assert b" 415 " in answer.splitlines()[0]
    assert b'"code":"media_type_unsupported"' in answer


async def test_a_token_in_a_header_that_cannot_be_read_is_not_logged(sqlite_url: str):
    lines = io.StringIO()
    async with served(sqlite_url) as client:
        log.configure("debug", lines)
        head = f"GET /v1/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\x01"
        assert b" 400 " in (await raw(client.url, f"{head}\r\n\r\n".encode())).splitlines()[0]
    said = lines.getvalue()
    assert client.token[-20:] not in said
    assert "Traceback" not in said
    told = [json.loads(line) for line in said.splitlines()]
    assert ("library", "aiohttp.server") in {(each["event"], each.get("path")) for each in told}


def test_failures_are_counted_by_address_within_a_window_and_never_without_end():
    now = 0.0
    failed = FailedAttempts(2, lambda: now)
    failed.note("a")
    assert failed.seconds_left("a") == 0
    failed.note("a")
    assert failed.seconds_left("a") == WINDOW_SECONDS
    assert failed.seconds_left("b") == 0
    now = WINDOW_SECONDS
    assert failed.seconds_left("a") == 0
    failed.note("a")
    assert failed.seconds_left("a") == 0
    for number in range(ADDRESSES_MAX + 5):
        failed.note(f"address {number}")
    assert len(failed._failed) == ADDRESSES_MAX


async def test_a_body_too_large_is_refused_unread(sqlite_url: str):
    async with served(sqlite_url, body_bytes_max=2000) as client:
        body = json.dumps({"target": "everything", "reason": "x" * 3000}).encode()
        head = {"content-type": "application/json"}
        got, document = await client.ask("POST", "/v1/switches", data=body, headers=head)
        assert (got.status, document["code"]) == (413, "body_too_large")


async def test_a_body_that_does_not_come_is_not_waited_for(sqlite_url: str):
    async with served(sqlite_url, request_seconds=0.3) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url[-5:]))
        writer.write(
            b"POST /v1/switches HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {client.token}\r\n".encode()
            + b"Content-Length: 100\r\n\r\n{"
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
        assert b" 408 " in head
        writer.close()


async def never(_plane: Any, _ask: Any) -> None:
    """Answer after a very long time."""
    await asyncio.sleep(3600)


async def broken(_plane: Any, _ask: Any) -> None:
    """Fail in a way nobody foresaw."""
    raise ZeroDivisionError("a value that is secret")


def route(path: str, answer: Any) -> Route:
    return Route(method="GET", path=path, right=Right.READ, answer=answer, reply=None)


async def test_what_takes_too_long_is_given_up_and_says_so(sqlite_url: str):
    more = (route("/v1/never", never),)
    async with served(sqlite_url, request_seconds=0.3, routes=more) as client:
        got, document = await client.ask("GET", "/v1/never")
        assert (got.status, document["code"]) == (503, "request_timeout")


async def test_a_fault_of_our_own_shows_no_trace_and_no_value(sqlite_url: str):
    async with served(sqlite_url, routes=(route("/v1/broken", broken),)) as client:
        got, document = await client.ask("GET", "/v1/broken")
        assert (got.status, document["code"]) == (500, "internal")
        assert "secret" not in str(document)
        assert "Zero" not in str(document)


async def test_the_description_is_public_and_bears_a_tag(sqlite_url: str):
    async with served(sqlite_url) as client:
        got, document = await client.ask("GET", "/v1/openapi.json", token="")
        assert (got.status, document["openapi"]) == (200, "3.1.0")
        again = {"if-none-match": got.headers["etag"]}
        got, _ = await client.ask("GET", "/v1/openapi.json", token="", headers=again)
        assert got.status == 304


async def test_requests_are_counted_by_operation_and_status(sqlite_url: str):
    async with served(sqlite_url) as client:
        await client.ask("GET", "/v1/tokens")
        await client.ask("HEAD", "/v1/tokens")
        await client.ask("GET", "/v1/nothing")
        text = client.metrics.render().decode()
    assert 'dispatcher_api_requests_total{operation="list_tokens",status="200"} 2.0' in text
    assert 'dispatcher_api_requests_total{operation="none",status="404"} 1.0' in text


async def test_two_requests_with_one_key_at_once_are_done_once(postgres_url: str):
    async with served(postgres_url) as client:
        body = {"name": "bob", "roles": ["sre"]}
        head = {"idempotency-key": "once"}
        got = await asyncio.gather(
            *(client.ask("POST", "/v1/principals", json=body, headers=head) for _ in range(4))
        )
        assert sorted({each.status for each, _ in got} - {409}) == [201]
        _, listed = await client.ask("GET", "/v1/tokens", params={"principal": "bob"})
        assert len(listed["items"]) == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_ask_for_no_token(sqlite_url: str, path: str):
    async with served(sqlite_url) as client, client.session.get(client.url + path) as got:
        assert got.status == 200
