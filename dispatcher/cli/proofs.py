"""`prove`: have an endpoint show that it is its partner's own, and say what is missing."""

from collections.abc import Iterator
from typing import Any, Final

import click

from dispatcher.cli.asking import Where, part, where_options
from dispatcher.cli.output import moment, print_json
from dispatcher.model.switch import WAIT_SECONDS_MAX

_WORDS: Final = {
    "no_echo": "the endpoint answered, but not with the challenge",
    "destination_unlisted": "the destination is not listed",
    "address_none": "its host has no address",
    "dns_failed": "its host was not found",
    "dns_timeout": "no name server answered in time",
    "connect_refused": "nobody listens there",
    "connect_timeout": "no connection came about in time",
    "connect_failed": "no connection came about",
    "tls_failed": "the TLS handshake failed",
    "connection_lost": "the connection was cut off",
    "answer_timeout": "the endpoint did not answer in time",
    "answer_malformed": "what the endpoint answered is not HTTP",
    "signing_key_missing": "the subscription has no signing key",
    "txt_unasked": "not looked for, as nothing may be sent there",
    "txt_unknown": "no name server could say",
    "txt_missing": "there is no such record",
    "txt_impossible": "an address has no records",
}


@click.command()
@click.argument("subscription")
@click.option(
    "--wait",
    "wait_seconds",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0, WAIT_SECONDS_MAX),
    help="Seconds to wait.",
)
@where_options
def prove(subscription: str, wait_seconds: float, where: Where, as_json: bool) -> int:
    """Have the endpoint of SUBSCRIPTION show that it is its partner's own.

    A worker posts a challenge, and the endpoint must answer with it; or a TXT record at its host
    bears the token that is printed here. Until then nothing real is sent there. Exit status 1 when
    there is no proof yet.
    """
    path = f"/v1/subscriptions/{part(subscription)}/proof"
    found = where.ask("POST", path, {"wait_seconds": wait_seconds})
    if as_json:
        print_json(found)
    else:
        for line in _lines(found):
            click.echo(line)
    return 1 if found["state"] == "unproven" else 0


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['connector']} at {found['endpoint']}: {_outcome(found)}"
    if found["state"] != "unproven":
        return
    if found["forbidden_by"]:
        yield f"  it may not be asked: {', '.join(found['forbidden_by'])}"
    elif not found["has_workers"]:
        yield "  nobody asks it: no worker is running"
    elif found["tried_us"] < found["asked_us"] or not found["tried_us"]:
        yield "  no worker has asked it yet; look again in a moment"
    else:
        yield f"  challenge: {_words(found['echo'])}"
        if found["dns"]:
            yield f"  record: {_words(found['dns'])}"
    yield "  to prove it, answer the challenge (docs/wire.md)"
    if found["txt_name"]:
        yield f"  or publish: {found['txt_name']} TXT {found['txt_value']}"


def _outcome(found: dict[str, Any]) -> str:
    match found["state"]:
        case "proven":
            since = moment(found["proven_us"])
            return f"proven by {found['method']} since {since}, counts through {found['until']}"
        case "not_asked":
            return "the policy asks for no proof here"
        case _:
            return "not proven"


def _words(code: str) -> str:
    status = code.removeprefix("http_")
    return f"the endpoint answered {status}" if status != code else _WORDS.get(code, code)
