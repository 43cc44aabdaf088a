"""`hold` and `release`: stop sending at once, and start again."""

from dataclasses import asdict
from pathlib import Path

import click

from dispatcher.app.asking import who_asks
from dispatcher.app.config import Config, load_config
from dispatcher.app.house import House, open_house
from dispatcher.app.running import run_async
from dispatcher.cli.output import common_options, moment, print_json, reason_option
from dispatcher.control.people import require
from dispatcher.control.switches import Held, SwitchControl
from dispatcher.model.errors import InvalidInput
from dispatcher.model.people import Right
from dispatcher.model.switch import Target


@click.command()
@click.argument("target")
@click.option("--reason", required=True, help="Why, for the record: an incident number will do.")
@click.option("--wait", "wait_seconds", default=30.0, show_default=True, help="Seconds to wait.")
@common_options
def hold(
    target: str, reason: str, wait_seconds: float, config_path: Path | None, as_json: bool
) -> None:
    """Stop everything that matches TARGET, and return once it has stopped.

    TARGET is 'everything' or KIND:NAME, where KIND is tenant, connector, host, subscription or
    event-type; for example connector:acme.

    Events are kept and no retry is spent. Returns when every live worker has confirmed, or its
    policy lease has run out, and prints how long that took, and how many lanes match; a warning
    says so when none does.
    """
    held = run_async(_hold(load_config(config_path), _parse(target), reason, wait_seconds))
    if not held.lanes:
        # Under --json too: the document is on standard output, and this is meant for a person.
        click.echo(
            f"{click.style('warning', fg='yellow', bold=True)}: nothing in the active revision "
            f"matches {held.target}; the switch is on all the same",
            err=True,
        )
    if as_json:
        print_json(asdict(held) | {"target": str(held.target)})
        return
    click.echo(
        f"{held.target} held at {moment(held.confirmed_us)}: {held.workers_confirmed} workers "
        f"confirmed in {held.confirmed_ms:.0f} ms"
        + (f", {held.workers_fenced} silent ones fenced" if held.workers_fenced else "")
        + f", in flight at the time: {held.in_flight}"
    )
    click.echo("1 lane matches" if held.lanes == 1 else f"{held.lanes} lanes match")


@click.command()
@click.argument("target")
@reason_option
@common_options
def release(target: str, reason: str, config_path: Path | None, as_json: bool) -> None:
    """Take off the switches on exactly TARGET, written as for 'hold'.

    Other switches stay on. What waits is judged again under today's policy, then delivered.
    """
    released = run_async(_release(load_config(config_path), _parse(target), reason))
    if as_json:
        print_json({"target": target, "released": released})
        return
    click.echo(f"{target} released ({released} switch{'es' if released > 1 else ''} taken off)")


async def _hold(config: Config, target: Target, reason: str, wait_seconds: float) -> Held:
    async with open_house(config) as house:
        by = await who_asks(house)
        require(by, Right.HOLD)
        return await _control(house).hold(
            target, reason=reason, actor=by.name, wait_seconds=wait_seconds
        )


async def _release(config: Config, target: Target, reason: str) -> int:
    async with open_house(config) as house:
        by = await who_asks(house)
        require(by, Right.RELEASE)
        return await _control(house).release(target, reason=reason, actor=by.name)


def _control(house: House) -> SwitchControl:
    return SwitchControl(
        registry=house.registry, workers=house.workers, wall_us=house.clock.wall_us
    )


def _parse(target: str) -> Target:
    try:
        return Target.parse(target)
    except ValueError as error:
        raise InvalidInput(
            str(error), where="TARGET", fix="see --help", code="target_unknown"
        ) from None
