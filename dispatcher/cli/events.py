"""`enqueue`, `trace`, `deliveries`, `findings`: put an event in, and follow it."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from dispatcher.cli.asking import Where, part, where_options
from dispatcher.cli.output import moment, print_json, print_table
from dispatcher.model.delivery import State
from dispatcher.model.errors import EnqueueRefused, InvalidInput
from dispatcher.model.leak import Detector
from dispatcher.model.producers import UNNAMED_PRODUCER
from dispatcher.model.verdict import Reason


@click.command()
@click.argument("event_type")
@click.option("--tenant", required=True, help="The customer whose event it is.")
@click.option(
    "--subject", "subjects", multiple=True, help="A person it is about; repeat for several."
)
@click.option(
    "--payload", default="-", show_default=True, help="JSON file, '-' for standard input."
)
@click.option(
    "--producer",
    default=UNNAMED_PRODUCER,
    show_default=True,
    help="The producer that enqueues it.",
)
@click.option("--idempotency-key", help="The same key and payload give the first event's id.")
@where_options
def enqueue(
    event_type: str,
    tenant: str,
    subjects: tuple[str, ...],
    payload: str,
    producer: str,
    idempotency_key: str | None,
    where: Where,
    as_json: bool,
) -> None:
    """Put one event of EVENT_TYPE into the outbox.

    Services do this in their own transaction with 'dispatcher.producer.enqueue' or, in any
    language on PostgreSQL, with the function dispatcher.dispatcher_enqueue(...).
    """
    body = {
        "type": event_type,
        "tenant": tenant,
        "subjects": subjects,
        "producer": producer,
        "payload": read_payload(payload),
    }
    key = {"idempotency-key": idempotency_key} if idempotency_key is not None else {}
    done = where.ask("POST", "/v1/events", body, headers=key)
    if as_json:
        print_json(done)
        return
    click.echo(done["event"])


@click.command()
@click.argument("event_id")
@where_options
def trace(event_id: str, where: Where, as_json: bool) -> None:
    """Tell the whole story of one event: planned for whom, tried when, which fields left.

    Where a delivery waits in a closed lane it says by which reasons, as far as they are known
    without a worker's opened keys, and which command says more.
    """
    story = where.ask("GET", f"/v1/events/{part(event_id)}/trace")
    if as_json:
        print_json(story)
        return
    event = story["event"]
    click.echo(f"{event['id']}  {event['type']}  tenant {event['tenant']}")
    role = f" (database role {event['written_by']})" if event["written_by"] else ""
    click.echo(f"  committed {moment(event['enqueued_us'])} by {event['producer']}{role}")
    for delivery in story["deliveries"]:
        name = delivery["subscription"] or "not planned"
        code = f" ({delivery['code']})" if delivery["code"] else ""
        again = f", replay of {delivery['replay_of']}" if delivery["replay_of"] else ""
        click.echo(f"  {name}: {delivery['state']}{code}, delivery {delivery['id']}{again}")
        if delivery["closed_by"]:
            click.echo(f"    its lane is closed: {', '.join(delivery['closed_by'])}")
            click.echo(f"    'dispatcher preview {name} --delivery {delivery['id']}' says more")
        for attempt in story["attempts"]:
            if attempt["delivery_id"] == delivery["id"]:
                _print_attempt(attempt)


@click.command()
@click.option("--state", type=click.Choice([each.value for each in State]), help="Only these.")
@click.option("--subscription", help="Only this subscription.")
@click.option("--event", "event_id", help="Only this event.")
@click.option(
    "--after",
    default=0,
    type=click.IntRange(0, 2**63 - 1),
    help="Continue after this delivery number.",
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--counts", is_flag=True, help="Count by subscription and state instead.")
@where_options
def deliveries(
    state: str | None,
    subscription: str | None,
    event_id: str | None,
    after: int,
    limit: int,
    counts: bool,
    where: Where,
    as_json: bool,
) -> None:
    """List deliveries in the order they were filed, and where they stand.

    Of those that wait in a closed lane it says why: 'dispatcher preview' with --delivery says more.
    """
    if counts:
        rows = where.ask("GET", "/v1/deliveries/counts")
    else:
        query = {"state": state, "subscription": subscription, "event": event_id, "cursor": after}
        rows = where.list("/v1/deliveries", limit, query)
    if as_json:
        print_json(rows)
    elif counts:
        cells = [(r["subscription"] or "(new)", r["state"], r["rows"]) for r in rows]
        print_table("deliveries", ("subscription", "state", "rows"), cells)
    else:
        names = ("id", "event_id", "subscription", "state", "attempt", "status", "code")
        cells = [
            (*(row[name] for name in names), moment(row["due_us"]), ", ".join(row["closed_by"]))
            for row in rows
        ]
        print_table("deliveries", (*names, "due", "closed by"), cells)


@click.command()
@click.option(
    "--detector",
    type=click.Choice([each.value for each in Detector]),
    help="Only what this one found.",
)
@click.option("--subscription", help="Only this subscription.")
@click.option("--event", "event_id", help="Only this event.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@where_options
def findings(
    detector: str | None,
    subscription: str | None,
    event_id: str | None,
    limit: int,
    where: Where,
    as_json: bool,
) -> None:
    """List what the leak guard found in letters, the newest first: where, never what.

    A parked one goes on when the policy lets it: see [[policy.leak_rules]] in docs/shaping.md.
    """
    query = {"detector": detector, "subscription": subscription, "event": event_id}
    rows = where.list("/v1/findings", limit, query)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        times = f", {row['count']} times" if row["count"] > 1 else ""
        click.echo(f"{row['action']:5}  {row['detector']} in {row['path']}{times}")
        click.echo(f"       {row['event_id']} for {row['subscription']}, {moment(row['found_us'])}")


def _print_attempt(attempt: dict[str, Any]) -> None:
    fields = [line.rsplit(" ", 4)[0] for line in json.loads(attempt["fields"] or "[]")]
    outcome = attempt["outcome"] or "begun, possibly disclosed"
    status = f" {attempt['status']}" if attempt["status"] else ""
    kind = "read" if attempt["kind"] == "read" else "attempt"
    click.echo(
        f"    {kind} {abs(attempt['attempt'])} {moment(attempt['begun_us'])}: {outcome}{status}"
    )
    if attempt["kind"] == "read":
        click.echo(f"      by {attempt['connector']}, {attempt['caller']}")
        click.echo(f"      from {attempt['caller_address']}")
    else:
        click.echo(f"      to {attempt['connector']} at {attempt['endpoint']}")
    if attempt["location_host"]:
        click.echo(f"      redirected to {attempt['location_host']}, which was not followed")
    paper = ", ".join(filter(None, (attempt["legal_basis"], attempt["agreement"])))
    country = f" in {attempt['country']}" if attempt["country"] else ""
    click.echo(f"      for {attempt['purpose']}{f' ({paper})' if paper else ''}{country}")
    if attempt["peer_address"]:
        click.echo(f"      met {_peer(attempt)}")
    click.echo(f"      under revision {attempt['revision']}")
    click.echo(f"      fields: {', '.join(fields) or 'none, envelope only'}")


def _peer(attempt: dict[str, Any]) -> str:
    if not attempt["peer_spki"]:
        return str(attempt["peer_address"])
    until = moment(attempt["peer_not_after_us"])
    return (
        f"{attempt['peer_address']}, certificate by {attempt['peer_issuer']} until {until}, "
        f"{attempt['peer_spki']}"
    )


def read_payload(path: str) -> msgspec.Raw:
    """Read a payload from a file, or from standard input for `-`, to be sent as it is."""
    return msgspec.Raw(_checked(sys.stdin.buffer.read() if path == "-" else _file(path)))


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"cannot read the payload: {error.strerror}",
            where=path,
            fix="check the path and its permissions",
            code="payload_unreadable",
        ) from None


def _checked(content: bytes) -> bytes:
    """Give a payload that is one JSON object, to be sent as it is."""
    try:
        is_object = isinstance(msgspec.json.decode(content), dict)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise EnqueueRefused(
            "the payload is not a JSON object",
            where="payload",
            fix='give one, as in {"order": {"id": "o-1"}}',
            code=Reason.SCHEMA_INVALID,
        )
    return content
