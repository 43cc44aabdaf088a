"""`explain`: may this URL be sent to, by which rule, and what would have to change."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import print_json
from dispatcher.control.url_lists import LINE_INVALID, LineVerdict
from dispatcher.model.days import day_of
from dispatcher.model.errors import InvalidInput
from dispatcher.model.text import readable

REFUSED: Final = 4
_LINES_PER_WRITE: Final = 512


@click.command()
@click.argument("url", required=False)
@click.option("--connector", help="Ask the allowlist of this partner alone. Default: of all.")
@click.option(
    "--resolve",
    "resolved",
    multiple=True,
    metavar="HOST=IP,...",
    help="What the name would answer, instead of asking DNS. May be given again.",
)
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge a file of JSON lines instead, '-' for standard input; no packet is sent.",
)
@click.option("--check", is_flag=True, help="With --batch: exit 1 when anything is blocked.")
@where_options
def explain(
    url: str | None,
    connector: str | None,
    resolved: tuple[str, ...],
    batch: Path | None,
    check: bool,
    where: Where,
    as_json: bool,
) -> int:
    """Say whether URL may be sent to, by which rule, under which entry, and what would change that.

    The same code decides on every delivery. A host that is not listed is not even resolved. Exits 0
    when it is allowed and 4 when it is blocked.

    --batch FILE needs no database. Each line is an object with "id", "url", "dns" ({name: [ip]},
    what the resolver would answer) and "allow_entry" (the only entry of the allowlist: "host" and
    "port", with "cidr" for a private range it may answer in, or "cidr" and "port" for literal
    addresses; "scheme" is https unless it says otherwise). Each gets one line with "id", "verdict"
    (allow or block), "code" and "rule". Exits 0 once every line is judged, 2 when some could not be
    read.
    """
    if batch is not None:
        if url is not None or connector is not None or resolved:
            raise _usage("--batch takes its URLs, hosts and addresses from the file")
        return _judge_list(batch, where, check=check)
    if url is None or check:
        raise _usage("name a URL, or a file with --batch (--check is for a file)")
    body: dict[str, Any] = {"url": url}
    if connector is not None:
        body["connector"] = connector
    if resolved:
        body["answers"] = dict(map(_answer, resolved))
    found = where.ask("POST", "/v1/explanations", body)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return 0 if found["verdict"] == "allow" else REFUSED


def _answer(text: str) -> tuple[str, list[str]]:
    host, mark, addresses = text.partition("=")
    if not host or not mark:
        raise _usage(f"--resolve is HOST=IP,... and {text!r} is not")
    return host, [each for each in addresses.split(",") if each]


def _show(found: dict[str, Any]) -> None:
    word = click.style(
        "allowed" if found["verdict"] == "allow" else "blocked",
        fg="green" if found["verdict"] == "allow" else "red",
        bold=True,
    )
    code = "" if found["code"] == "allowed" else f"  {found['code']}"
    click.echo(f"{word}{code}  (rule {found['rule']})")
    lines = {
        "why": found["why"],
        "fix": found["fix"],
        "url": found["url"],
        "connector": found["connector"],
        "entry": _entry(found["entry"]),
        "addresses": ", ".join(found["addresses"]),
        "aliases": " -> ".join(found["aliases"]),
        "leaves from": found["source"],
        "revision": f"{found['revision']} (address table {found['table']})",
    }
    for name, text in lines.items():
        if text:
            click.echo(f"  {name + ':':13}{text}")
    for note in found["notes"]:
        click.echo(f"  note:        {note}")


def _entry(entry: dict[str, Any] | None) -> str:
    if entry is None:
        return ""
    place = f"{entry['scheme']}://{entry['host']}:{entry['port']}{entry['path_prefix']}"
    inside = f", may answer inside {entry['private_range']}" if entry["private_range"] else ""
    until = f", until {entry['expires']}" if entry["expires"] else ""
    return f"{place}{inside}{until} ({entry['reason']})"


def _judge_list(file: Path, where: Where, *, check: bool) -> int:
    # Asked of nobody: these are loaded where they are needed, as `ask` does.
    from dispatcher.app.clock import SystemClock
    from dispatcher.app.config import load_config
    from dispatcher.app.way_out import address_rules
    from dispatcher.control.url_lists import UrlList

    rules = address_rules(load_config(where.config_path))
    judged = UrlList.of(rules, day_of(SystemClock().wall_us()))
    counts: Counter[str] = Counter()
    written: list[str] = []
    unread = ""
    for line in _lines(file):
        found = judged.judge(line)
        if found.code == LINE_INVALID:
            unread = unread or found.why
        counts[found.verdict] += 1
        counts[found.code] += 1
        written.append(_written(found))
        if len(written) >= _LINES_PER_WRITE:
            click.echo("\n".join(written))
            written.clear()
    if written:
        click.echo("\n".join(written))
    said = f"{counts['allow']} allowed, {counts['block']} blocked"
    if counts[LINE_INVALID]:
        said += f", {counts[LINE_INVALID]} of them could not be read (first: {readable(unread)})"
    click.echo(said, err=True)
    if counts[LINE_INVALID]:
        return 2
    return 1 if check and counts["block"] else 0


def _written(found: LineVerdict) -> str:
    verdict = {
        "id": found.id,
        "verdict": found.verdict,
        "code": found.code,
        "rule": found.rule,
    }
    try:
        return msgspec.json.encode(verdict).decode()
    except UnicodeEncodeError:  # an id with half a surrogate goes back as it came
        return json.dumps(verdict)


def _lines(file: Path) -> Iterator[bytes]:
    """Give the lines of a file that are not blank."""
    with ExitStack() as stack:
        source: BinaryIO = sys.stdin.buffer
        if str(file) != "-":
            try:
                source = stack.enter_context(file.open("rb"))
            except OSError as error:
                raise InvalidInput(
                    f"cannot be read: {error.strerror}",
                    where=str(file),
                    fix="name a file of JSON lines, or - for standard input",
                ) from None
        yield from (line for line in source if line.strip())


def _usage(why: str) -> InvalidInput:
    return InvalidInput(
        why, where="dispatcher explain", fix="see 'dispatcher explain --help'", code="usage"
    )
