"""How a preview looks: the event beside the body, what leaves and what stays marked, and why.

Called by `preview`. Everything is printed as text, never as markup: values come from anywhere.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatcher.model.path import Path, Steps, format_path
from dispatcher.model.text import readable

_STYLES: Final = {"leaves": "green", "withheld": "red", "absent": "dim"}
_MARKS: Final = {"leaves": "+", "withheld": "-", "absent": " "}
_DEPTH_MAX: Final = 64
_WHY: Final = {
    "ungranted": "not granted",
    "undeclared": "no schema declares it",
    "wrong_type": "not of the declared type",
    "not_filed": "granted otherwise when it was filed",
    "thin": "fetched, not sent",
    "unclassified": "has no class",
    "unfollowed": "declared in a way that cannot be granted",
    "container": "not a single value",
    "secret": "secret: never leaves",
    "over_clearance": "above the partner's clearance",
    "out_of_purpose": "outside the purpose",
    "unsuited": "its action is not made for it",
    "personal": "personal: siv could not be erased",
    "out_of_style": "only a summary sums up, and does nothing else",
    "many": "a summary sums up single fields",
}


class _Number(str):
    """A number as it was spelled."""

    __slots__ = ()


def show_preview(found: Mapping[str, Any], console: Console) -> None:
    """Print a preview for a person."""
    event = found["event"]
    said = f"{event['type']} of {event['tenant']} ({event['source']}) {event['id'] or ''}"
    if event["delivery"] is not None:
        said += f", delivery {event['delivery']}, {event['state']}"
    console.print(Text(readable(said), style="bold"))
    if found["is_redacted"]:
        console.print(Text("values are hidden: you may not see what events hold", style="yellow"))
    for recipient in found["recipients"]:
        console.print()
        _show_recipient(event, recipient, console)
    if len(found["recipients"]) > 1:
        console.print()
        _compare(found["recipients"], console)


def _compare(recipients: list[Mapping[str, Any]], console: Console) -> None:
    """Print what becomes of each field here and there; what differs stands out."""
    table = Table(title="beside each other", title_justify="left", box=box.SIMPLE)
    table.add_column("field", overflow="fold")
    found = []
    for each in recipients:
        table.add_column(each["subscription"], overflow="fold")
        found.append({part["path"]: _fate_of(part) for part in each["fields"]})
    for path in dict.fromkeys(path for each in found for path in each):
        cells = [each.get(path, "") for each in found]
        style = "bold" if len(set(cells)) > 1 else "dim"
        table.add_row(*(Text(readable(cell), style=style) for cell in (path, *cells)))
    console.print(table)


def _fate_of(part: Mapping[str, Any]) -> str:
    said = part["action"] if part["fate"] == "leaves" else part["fate"]
    return f"{_MARKS[part['fate']]} {said}"


def _show_recipient(
    event: Mapping[str, Any], recipient: Mapping[str, Any], console: Console
) -> None:
    verdict = "would be sent" if recipient["is_sent"] else "would not be sent today"
    style = "bold green" if recipient["is_sent"] else "bold red"
    title = f"{recipient['subscription']} of {recipient['connector']}: {verdict}"
    console.print(Text(title, style=style))
    for refusal in recipient["refusals"]:
        kind = "waits" if refusal["is_hold"] else "parked"
        detail = f": {refusal['detail']}" if refusal["detail"] else ""
        console.print(Text(readable(f"  {kind}  {refusal['code']}{detail}")))
    letter = recipient["letter"]
    table = Table(box=box.SIMPLE, expand=True)
    table.add_column("the event", ratio=1, overflow="fold")
    table.add_column("what leaves", ratio=1, overflow="fold")
    right = Text("\n").join(_letter_lines(letter)) if letter is not None else Text("nothing")
    table.add_row(Text("\n").join(_event_lines(event["payload"], recipient["fields"])), right)
    console.print(table)
    _show_fields(recipient["fields"], console)


def _show_fields(fields: list[Mapping[str, Any]], console: Console) -> None:
    table = Table(box=box.SIMPLE)
    for name in ("", "field", "class", "leaves as", "why"):
        table.add_column(name, overflow="fold")
    for each in fields:
        leaves = " ".join(filter(None, (each["action"], _lower(each))))
        kind = " ".join(filter(None, (each["category"], each["sensitivity"])))
        why = "; ".join(_WHY.get(code, code) for code in each["why"])
        if each["fate"] == "absent":
            why = "granted, and not in this event"
        cells = (_MARKS[each["fate"]], each["path"], kind, leaves, why)
        table.add_row(*(Text(readable(cell), style=_STYLES[each["fate"]]) for cell in cells))
    console.print(table)


def _lower(part: Mapping[str, Any]) -> str:
    """Name the class of what leaves, where it is another than the field's own."""
    is_same = part["effective"] in (None, part["sensitivity"])
    return "" if is_same else f"({part['effective']})"


def _letter_lines(letter: Mapping[str, Any]) -> Iterator[Text]:
    yield Text(readable(letter["line"]), style="dim")
    for each in letter["headers"]:
        yield Text(readable(f"{each['name']}: {each['value']}"), style="dim")
    yield Text("")
    body = letter["body"]
    if letter["plaintext"] is not None:
        yield Text(readable(body), style="dim")
        yield Text("(encrypted to the partner, who reads:)", style="dim")
        body = letter["plaintext"]
    document = _read(body)
    lines = _plain(body) if document is None else _write(document, (), {}, "")
    for line, _ in lines:
        yield Text(readable(line))


def _event_lines(payload: str | None, fields: list[Mapping[str, Any]]) -> Iterator[Text]:
    fates = {each["path"]: each["fate"] for each in fields}
    document = _read(payload or "")
    if document is None:
        yield Text("(it cannot be shown)", style="dim")
        return
    for line, fate in _write(document, (), fates, ""):
        mark = _MARKS.get(fate, " ")
        yield Text(f"{mark} {readable(line)}", style=_STYLES.get(fate, ""))


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number)
    except (ValueError, RecursionError):
        return None


def _plain(text: str) -> Iterator[tuple[str, str]]:
    yield text, ""


def _write(
    value: Any, steps: Steps, fates: Mapping[str, str], fate: str
) -> Iterator[tuple[str, str]]:
    """Give the lines of a value, and what becomes of each: below a place, what becomes of it."""
    fate = fates.get(format_path(Path(steps)), fate)
    if len(steps) > _DEPTH_MAX:
        yield "...", fate
    elif isinstance(value, dict) and value:
        parts = [
            (f"{_quoted(name)}: ", each, _step(name, steps, fates)) for name, each in value.items()
        ]
        yield from _bracketed("{}", parts, steps, fates, fate)
    elif isinstance(value, list) and value:
        yield from _bracketed("[]", [("", each, None) for each in value], steps, fates, fate)
    else:
        yield str(value) if isinstance(value, _Number) else _quoted(value), fate


def _bracketed(
    signs: str,
    parts: list[tuple[str, Any, str | None]],
    steps: Steps,
    fates: Mapping[str, str],
    fate: str,
) -> Iterator[tuple[str, str]]:
    yield signs[0], fate
    for at, (label, value, step) in enumerate(parts, 1):
        lines = list(_write(value, (*steps, step), fates, fate))
        first, last = lines[0], lines[-1]
        lines[0] = (label + first[0], first[1])
        if at < len(parts):
            last = lines[-1]
            lines[-1] = (f"{last[0]},", last[1])
        yield from ((f"  {line}", each) for line, each in lines)
    yield signs[1], fate


def _step(name: str, steps: Steps, fates: Mapping[str, str]) -> str | None:
    """Say whether a member is one that is named, or an entry of a map."""
    named, entry = (format_path(Path((*steps, step))) for step in (name, None))
    is_entry = any(each.startswith(entry) for each in fates) and named not in fates
    return None if is_entry else name


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
