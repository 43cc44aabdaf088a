"""`schema sample` and `schema mask`: events for places where nobody's data belongs."""

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from dispatcher.cli.events import read_payload
from dispatcher.cli.output import json_option, print_json
from dispatcher.model.errors import InvalidInput
from dispatcher.model.verdict import Reason

_FILE = click.Path(path_type=Path)
_SEED_BYTES_MIN = 16


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "--seed", default="", help="Any text: another one makes other events. Default: empty."
)
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 10_000))
@json_option
def sample(file: Path, seed: str, count: int, as_json: bool) -> None:
    """Make events of the schema FILE alone, valid and plainly nobody's.

    One event a line; the same seed gives the same events, on every machine. Mail is at example.com,
    numbers and addresses are those kept for examples and tests. Needs no database. Exits 2 when
    the schema cannot be read, or asks for what only 'examples' in it could tell.
    """
    from dispatcher.control.schema_files import read_schema
    from dispatcher.stages.shaping.synthetic import synthesise

    schema = read_schema(file)
    try:
        made = [synthesise(schema.text, f"{seed}/{number}") for number in range(count)]
    except ValueError as error:
        raise InvalidInput(
            str(error),
            where=str(file),
            fix="'dispatcher schema lint' names all that is wrong with a schema",
            code="schema_unmakable",
        ) from None
    _print(made, as_json=as_json)


@click.command()
@click.argument("schema", type=_FILE)
@click.argument("file")
@click.option(
    "--seed-file",
    type=_FILE,
    help="A secret of 16 bytes or more, so that the same value has the same fake in another run. "
    "Default: a new one each time.",
)
@json_option
def mask(schema: Path, file: str, seed_file: Path | None, as_json: bool) -> None:
    """Make of the event FILE one with nobody left in it.

    '-' is standard input. What the schema file SCHEMA classes 'other' and 'public' or 'internal'
    stays; every other leaf is replaced by a fake of the same form, and what is not declared is left
    out. Whoever has the seed can test guesses against the fakes. Needs no database. Exits 2 when a
    file cannot be read, or the event is not one of this schema.
    """
    from dispatcher.control.schema_files import read_schema
    from dispatcher.stages.shaping.masking import mask_event

    text = read_schema(schema).text
    event = msgspec.json.decode(read_payload(file))
    _check(event, text, file, "name the schema that the event was made for")
    masked = mask_event(event, text, _seed(seed_file))
    _check(masked, text, str(schema), 'write "examples" there: no fake can be made for it')
    _print([masked], as_json=as_json)


def _check(event: object, text: str, where: str, fix: str) -> None:
    from dispatcher.model.registry import EventType
    from dispatcher.stages.fanout.intake import check_payload

    content = msgspec.json.encode(event)
    kind = EventType(name="event", schema=text, payload_bytes_max=len(content))
    unfit = check_payload(content, kind)
    if unfit is not None:
        raise InvalidInput(unfit.detail, where=where, fix=fix, code=Reason.SCHEMA_INVALID)


def _seed(file: Path | None) -> str:
    from dispatcher.app.clock import mint_secret

    if file is None:
        return mint_secret().hex()
    try:
        content = file.read_bytes()
    except OSError as error:
        why = f"the seed cannot be read: {error.strerror}"
        raise InvalidInput(why, where=str(file), fix="check the path") from None
    if len(content.strip()) < _SEED_BYTES_MIN:
        raise InvalidInput(
            f"the seed has fewer than {_SEED_BYTES_MIN} bytes",
            where=str(file),
            fix="make one with 'openssl rand -hex 32'",
            code="seed_weak",
        )
    return content.hex()


def _print(events: list[Any], *, as_json: bool) -> None:
    if as_json:
        print_json(events)
        return
    for event in events:
        click.echo(json.dumps(event, ensure_ascii=False))
