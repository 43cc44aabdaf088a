"""`replay`: send again what was delivered or is dead, by number or by how it ended."""

import re
from datetime import datetime
from typing import Any, Final

import click

from dispatcher.app.clock import SystemClock
from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import NUMBER, print_json, print_table, why_option
from dispatcher.model.delivery import State
from dispatcher.model.replay import REPLAYS_MAX

_AGO: Final = re.compile(r"(\d{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Moment(click.ParamType[int]):
    """A time, as microseconds: so long ago, or a date and time with its zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a time."""
        ago = _AGO.fullmatch(value)
        if ago is not None:
            return max(SystemClock().wall_us() - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000, 0)
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            self.fail(f"{value!r} is neither like 6h nor like 2026-11-26T08:00:00Z", param, ctx)
        return max(int(at.timestamp() * 1_000_000), 0)


@click.command()
@click.argument("deliveries", nargs=-1, type=NUMBER, metavar="[DELIVERY]...")
@why_option
@click.option("--subscription", help="Instead of numbers: what of this subscription has ended.")
@click.option(
    "--state",
    type=click.Choice([State.DEAD.value, State.DELIVERED.value]),
    help="With --subscription: what ended so. Default: dead.",
)
@click.option(
    "--since",
    type=_Moment(),
    help="With --subscription: ended since; 6h, 2d, 2026-11-26T08:00:00Z.",
)
@click.option("--until", type=_Moment(), help="With --subscription: ended before.")
@click.option(
    "--limit",
    type=click.IntRange(1, REPLAYS_MAX),
    help="Refuse to replay more than so many. Default: 1000.",
)
@click.option("--new-id", "new_ids", is_flag=True, help="Give partners a new webhook-id.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say how many of what, and file nothing.")
@where_options
def replay(
    deliveries: tuple[int, ...],
    reason: str,
    new_ids: bool,
    is_dry: bool,
    where: Where,
    as_json: bool,
    **ended: Any,
) -> None:
    """Send deliveries again that were delivered or are dead: by number, or by --subscription.

    Each DELIVERY gets a new one that names it. The partner sees the same webhook-id, and a receiver
    that keeps to Standard Webhooks takes it for the same message: with --new-id it is another one.

    A replay takes the road of every delivery: it waits where its lane is held, and tells what
    today's policy allows of what every earlier letter might tell. What may still be sent is not
    sent beside itself, and a payload that retention or 'vault shred' took is gone ('payload_gone').
    """
    body = {
        "deliveries": deliveries or None,
        "subscription": ended["subscription"],
        "since_us": ended["since"],
        "until_us": ended["until"],
        "state": ended["state"],
        "limit": ended["limit"],
        "reason": reason,
        "new_ids": new_ids,
        "dry_run": is_dry,
    }
    given = {name: value for name, value in body.items() if value is not None}
    done = where.ask("POST", "/v1/replays", given)
    if as_json:
        print_json(done)
        return
    if not done["kinds"]:
        click.echo("nothing has ended so in that time", err=True)
        return
    if is_dry:
        names = ("count", "subscription", "type", "state", "code")
        cells = [[kind[name] for name in names] for kind in done["kinds"]]
        print_table("would be replayed; those with a code would not", names, cells)
        return
    for each in done["filed"]:
        click.echo(f"{each['delivery']} is a replay of {each['replay_of']} ({each['webhook_id']})")
    for kind in done["kinds"]:
        if kind["code"]:
            click.echo(f"{kind['count']} {kind['state']} not replayed: {kind['code']}", err=True)
    count = len(done["filed"])
    click.echo(f"{count} deliver{'y' if count == 1 else 'ies'} filed", err=True)
