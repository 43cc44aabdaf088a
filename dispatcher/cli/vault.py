"""`vault`: the keys that seal what is at rest; looked at, renewed, wrapped anew, destroyed."""

from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import (
    counted,
    moment,
    print_json,
    print_table,
    wait_option,
    why_option,
)


@click.group()
def vault() -> None:
    """Look after the keys that seal payloads and secrets at rest.

    Each tenant has a key for each period (a week), wrapped by the key of keys that the keyring, AWS
    KMS or Vault keeps. 'rotate' makes a new key of keys, 'rewrap' puts it to use, and 'shred'
    destroys a tenant's keys, so that what they sealed is gone from every copy and backup.
    """


@vault.command()
@where_options
def status(where: Where, as_json: bool) -> None:
    """Say which key of keys wraps now, and what tenants have."""
    found = where.ask("GET", "/v1/vault")
    if as_json:
        print_json(found)
        return
    click.echo(f"wraps now: {found['provider']}")
    for kek, count in found["wrapped_by"].items():
        click.echo(f"  {counted(count, 'key')} wrapped by {kek}")
    cells = [
        (
            each["tenant"] or "(registry)",
            each["keys"],
            each["destroyed"],
            moment(each["oldest_us"]),
            moment(each["ends_us"]),
        )
        for each in found["tenants"]
    ]
    print_table("epoch keys", ("tenant", "keys", "destroyed", "oldest", "newest ends"), cells)


@vault.command()
@click.option("--epoch", "of_epoch", is_flag=True, help="End the tenants' period instead.")
@click.option("--tenant", help="With --epoch: of this tenant alone.")
@why_option
@wait_option
@where_options
def rotate(
    of_epoch: bool,
    tenant: str | None,
    reason: str,
    wait_seconds: float,
    where: Where,
    as_json: bool,
) -> None:
    """Make a new key of keys or, with --epoch, end a period.

    The keyring gets a new primary key, AWS KMS and Vault make a new version. What is wrapped
    already stays as it is until 'vault rewrap'. With --epoch the period that is now ends, so that
    'vault shred --before' can destroy its keys; it returns once no worker seals under them any
    more.
    """
    if tenant is not None and not of_epoch:
        raise click.UsageError("--tenant goes with --epoch: the key of keys is everybody's")
    if of_epoch:
        body = {"reason": reason, "tenant": tenant, "wait_seconds": wait_seconds}
        done = where.ask("POST", "/v1/vault/epochs/end", body)
        fenced = f", {len(done['fenced'])} silent ones fenced" if done["fenced"] else ""
        said = (
            f"{counted(done['ended'], 'period')} ended: "
            f"{counted(len(done['confirmed']), 'worker')} confirmed{fenced}"
        )
    else:
        done = where.ask("POST", "/v1/vault/rotate", {"reason": reason})
        said = f"{done['provider']} wraps from now on; next: dispatcher vault rewrap"
    if as_json:
        print_json(done)
        return
    click.echo(said)


@vault.command()
@where_options
def rewrap(where: Where, as_json: bool) -> None:
    """Wrap every epoch key anew under the newest key of keys. No record is touched.

    May be stopped and begun again at any time. Afterwards an old key of keys may be retired, once
    'vault status' names it no more.
    """
    count, after, total = 0, "", 0
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("rewrapping", total=None)
        while True:
            done = where.ask("POST", "/v1/vault/rewrap", {"after": after})
            count, total = count + done["rewrapped"], done["total"]
            progress.update(task, completed=count, total=total)
            if done["after"] is None:
                break
            after = done["after"]
    if as_json:
        print_json({"rewrapped": count, "total": total})
        return
    click.echo(f"{count} of {total} keys wrapped anew")


@vault.command()
@click.option("--tenant", required=True, help="Whose payloads are to become unreadable.")
@click.option(
    "--before",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"]),
    help="Those sealed in periods that ended before this day or moment, UTC.",
)
@click.option("--drop-waiting", is_flag=True, help="Lose deliveries that still wait for them.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
@why_option
@wait_option
@where_options
def shred(
    tenant: str,
    before: datetime,
    drop_waiting: bool,
    is_sure: bool,
    reason: str,
    wait_seconds: float,
    where: Where,
    as_json: bool,
) -> int:
    """Destroy a tenant's keys of periods that are over.

    Nothing they sealed opens ever again. That reaches every copy of the payloads, for without the
    keys they are noise; a backup of the registry still has the keys until it ends. It is refused
    under a legal hold, and while deliveries wait for those events, in the outbox of whoever
    answers: what waits in others is lost unseen. It takes the role privacy, asks before it begins,
    names the workers and partner listeners that have forgotten the keys, and shows for each key
    that a payload which opened before opens no more: exit status 1 if one still does.
    """
    body: dict[str, Any] = {
        "tenant": tenant,
        "before_us": int(before.replace(tzinfo=UTC).timestamp()) * 1_000_000,
        "reason": reason,
        "drop_waiting": drop_waiting,
        "wait_seconds": wait_seconds,
    }
    if not is_sure:
        plan = where.ask("POST", "/v1/vault/shred", {**body, "is_rehearsal": True})
        waiting = counted(plan["undelivered"], "delivery", "deliveries")
        lost = f", and {waiting} with them" if plan["undelivered"] else ""
        click.confirm(
            f"destroy {counted(plan['keys'], 'key')} of {tenant}{lost}? "
            f"Only {plan['outbox']} was looked at. This cannot be undone",
            abort=True,
            err=True,
        )
    done = where.ask("POST", "/v1/vault/shred", body)
    if as_json:
        print_json(done)
    else:
        _print_shredded(done)
    return 1 if any(proof["opens_now"] for proof in done["proofs"]) else 0


def _print_shredded(done: dict[str, Any]) -> None:
    click.echo(
        f"{done['tenant']}: {counted(done['keys'], 'key')} destroyed; in {done['outbox']} alone: "
        f"{counted(done['payloads'], 'payload')} dropped, "
        f"{counted(done['dropped'], 'delivery', 'deliveries')} lost"
    )
    fenced = f"; lost their lease: {', '.join(done['fenced'])}" if done["fenced"] else ""
    click.echo(f"  forgotten by: {', '.join(done['confirmed']) or 'nobody else ran'}{fenced}")
    for proof in done["proofs"]:
        what = proof["event"] or "the key"
        what += ", which opened before," if proof["opened_before"] else ""
        says = "STILL OPENS" if proof["opens_now"] else "opens no more"
        span = f"{moment(proof['begins_us'])} to {moment(proof['ends_us'])}"
        click.echo(f"  {proof['key']} ({span}): {what} {says}")
