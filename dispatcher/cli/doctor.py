"""`doctor`: is everything there that a deployment needs, and what must firewalls know?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dispatcher.app.config import load_config
from dispatcher.app.doctor import examine
from dispatcher.app.finding import Finding
from dispatcher.app.firewall_facts import describe_egress
from dispatcher.app.running import run_async
from dispatcher.cli.output import config_option, json_option, print_json
from dispatcher.model.errors import InvalidInput
from dispatcher.network.backstop import Probe, try_backstop
from dispatcher.network.own_addresses import list_own


@click.command()
@click.option("--egress", "wants_egress", is_flag=True, help="Print what firewalls must know.")
@click.option(
    "--backstop",
    "wants_backstop",
    is_flag=True,
    help="SENDS PACKETS TO FORBIDDEN ADDRESSES, on purpose and past the guard.",
)
@config_option
@json_option
def doctor(
    wants_egress: bool, wants_backstop: bool, config_path: Path | None, as_json: bool
) -> int:
    """Check what a deployment needs: a line each, ok, warn or FAIL with the fix. Changes nothing.

    Exit status 1 when a check failed; a warning fails nothing. Each has a code (--json).

    With --egress: the addresses that partners must let in, and the table of forbidden networks for
    a firewall of your own.

    With --backstop: does a firewall stop what the guard stops? From this machine, PAST THE GUARD,
    it tries to connect to one address of every forbidden family (private networks, metadata
    services and the like; not loopback), one second each, and reports who answered: then the
    backstop is open. Intrusion detection may well notice. Nothing else ever does this, and never by
    itself.
    """
    if wants_egress and wants_backstop:
        raise InvalidInput(
            "one of --egress and --backstop at a time",
            where="dispatcher doctor",
            fix="see 'dispatcher doctor --help'",
            code="usage",
        )
    if wants_egress:
        return _tell_egress(describe_egress(load_config(config_path)), as_json)
    if wants_backstop:
        return _tell_backstop(run_async(try_backstop(list_own())), as_json)
    return _tell(run_async(examine(config_path)), as_json)


def _tell(findings: Sequence[Finding], as_json: bool) -> int:
    is_well = all(each.is_ok for each in findings)
    if as_json:
        checks = [
            {
                "check": each.check,
                "ok": each.is_ok,
                "code": each.code,
                "found": each.said,
                "fix": each.fix,
            }
            for each in findings
        ]
        print_json({"ok": is_well, "checks": checks})
        return 0 if is_well else 1
    for each in findings:
        click.echo(f"{_mark(each)}  {each.check:17}  {each.said}")
        if each.fix:
            click.echo(f"{'':25}fix: {each.fix}")
    return 0 if is_well else 1


def _mark(finding: Finding) -> str:
    if finding.is_warning:
        return click.style("warn", fg="yellow")
    return click.style("ok  ", fg="green") if finding.is_ok else click.style("FAIL", fg="red")


def _tell_egress(document: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(document)
        return 0
    source, table = document["source"], document["table"]
    dates = ", ".join(f"{name} of {date}" for name, date in table["registries"].items())
    click.echo(f"source      {source['note']}")
    for name, addresses in document["interfaces"].items():
        click.echo(f"interface   {name}: {', '.join(addresses)}")
    click.echo(f"table       version {table['version']}: {dates}")
    for family, networks in document["forbidden"].items():
        click.echo(f"forbidden   {family}: {', '.join(networks)}")
    if document["operator"]:
        click.echo(f"forbidden   by [network] forbidden: {', '.join(document['operator'])}")
    click.echo(f"only in     ipv6: {', '.join(document['allocated']['ipv6'])}")
    return 0


def _tell_backstop(probes: Sequence[Probe], as_json: bool) -> int:
    is_open = any(each.is_open for each in probes)
    if as_json:
        tried = [
            {
                "family": each.family.name,
                "address": each.family.address,
                "outcome": each.outcome,
                "open": each.is_open,
            }
            for each in probes
        ]
        print_json({"open": is_open, "probes": tried})
        return 1 if is_open else 0
    for each in probes:
        mark = click.style("OPEN", fg="red") if each.is_open else click.style("shut", fg="green")
        click.echo(f"{mark}  {each.family.address:18}  {each.outcome:12} {each.family.name}")
    if is_open:
        click.echo("somebody answered where nobody may be reached: close it at the firewall")
        return 1
    click.echo("nobody answered; silence may also mean that nobody is there")
    return 0
