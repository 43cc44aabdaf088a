"""`schema`: write, check and compare the schemas of event types, and hear what they leave out.

All but `triage` need no database and no registry.
"""

import json
from dataclasses import asdict
from pathlib import Path

import click

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import json_option, moment, print_json, print_table
from dispatcher.cli.schema_events import mask, sample
from dispatcher.control.schema_files import read_samples, read_schema, read_schemas
from dispatcher.model.errors import InvalidInput
from dispatcher.stages.revising.evolution import compare_schemas
from dispatcher.stages.shaping.inferring import infer_schema
from dispatcher.stages.shaping.linting import lint_schema

_FILE = click.Path(path_type=Path)


@click.group()
def schema() -> None:
    """Write, check and compare the schemas of event types.

    An event type is a JSON Schema (2020-12) in which every leaf carries its class:
    "x-data-classification": {"category": "contact", "sensitivity": "confidential"}.
    """


@schema.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@json_option
def lint(paths: tuple[Path, ...], as_json: bool) -> int:
    """Find what keeps schemas from being registered.

    Every leaf must say what it is. FILE is a schema (.json), or a registry file or folder (.toml),
    of which every schema is checked. Needs no database. Exits 1 when there is a finding, 2 when a
    file cannot be read.
    """
    files = read_schemas(paths)
    found = [
        {
            "file": str(file.path),
            "path": flaw.path,
            "code": flaw.code.value,
            "why": flaw.why,
            "fix": flaw.fix,
        }
        for file in files
        for flaw in lint_schema(file.text)
    ]
    if as_json:
        print_json({"files": [str(file.path) for file in files], "findings": found})
    else:
        for row in found:
            click.echo(f"{row['file']}: {row['path']}: {row['code']}: {row['why']}")
            click.echo(f"  fix: {row['fix']}")
        click.echo(f"schemas {len(files)}, findings {len(found)}")
    return 1 if found else 0


@schema.command()
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@json_option
def infer(paths: tuple[Path, ...], as_json: bool) -> None:
    """Propose a schema from sample payloads, and say why of each leaf.

    FILE holds one JSON object, a list of them, or one on each line; '-' is standard input. The
    proposal has classes, passes 'schema lint', every sample fits it, and it holds no value of them.
    Unrecognised fields are confidential. Read it before you register it: it is a guess. Needs no
    database.
    """
    samples = read_samples(paths)
    try:
        proposed, reasons = infer_schema(samples)
    except ValueError as error:
        raise InvalidInput(
            str(error), where=", ".join(map(str, paths)), fix="give more samples", code="no_schema"
        ) from None
    if as_json:
        told = [asdict(each) for each in reasons]
        print_json({"samples": len(samples), "schema": proposed, "reasons": told})
        return
    click.echo(json.dumps(proposed, indent=2, ensure_ascii=False))
    classed = json.dumps(proposed, ensure_ascii=False)
    for each in reasons:
        if json.dumps(each.why, ensure_ascii=False) not in classed:  # not said at the leaf itself
            click.echo(f"{each.path}: {each.why}", err=True)


@schema.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@json_option
def compare(old: Path, new: Path, as_json: bool) -> int:
    """Say what the schema NEW changes since OLD, and whom it breaks.

    Producers break where an event they send would be refused; consumers where they would miss a
    field, meet a value they have never seen, or lose a grant. Needs no database. Exits 1 when it
    breaks somebody, 2 when a file cannot be read.
    """
    try:
        found = compare_schemas(read_schema(old).text, read_schema(new).text)
    except ValueError as error:
        raise InvalidInput(
            str(error), where=f"{old}, {new}", fix="name two schemas", code="schema_unreadable"
        ) from None
    broken = sorted({side for each in found for side in each.breaks})
    verdict = "breaking" if broken else "compatible"
    if as_json:
        print_json(
            {"verdict": verdict, "breaks": broken, "differences": [asdict(each) for each in found]}
        )
    else:
        for each in found:
            breaks = f"  breaks {' and '.join(each.breaks)}" if each.breaks else ""
            click.echo(f"{each.kind:12} {each.path}: {each.what}{breaks}")
        click.echo(f"{verdict}{': ' if broken else ''}{' and '.join(broken)}")
    return 1 if broken else 0


@schema.command()
@click.argument("event_type", required=False)
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1, 100_000))
@where_options
def triage(event_type: str | None, limit: int, where: Where, as_json: bool) -> None:
    """List the fields that events carry and no schema classes.

    Nobody is sent them. 'undeclared' is not in the schema at all, 'unclassified' has no class
    there. [*] stands for members whose names may be values, and for elements. Workers look at one
    event of each type a second. A field leaves this list when a revision classes it, or after 30
    days unseen.
    """
    rows = where.list("/v1/triage", limit, {"event_type": event_type})
    if as_json:
        print_json(rows)
        return
    names = ("event_type", "path", "reason")
    cells = [
        (*(row[name] for name in names), moment(row["first_seen_us"]), moment(row["last_seen_us"]))
        for row in rows
    ]
    print_table("triage", (*names, "first seen", "last seen"), cells)


schema.add_command(sample)
schema.add_command(mask)
