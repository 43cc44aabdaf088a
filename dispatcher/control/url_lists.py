"""Judges lists of URLs, line by line, for checks in a team's own CI: no packet, no database.

Called by `explain --batch`. Every line brings its own answers of DNS and the only entry that an
allowlist would hold, and is judged by the code of the road. Lines are hostile input.
"""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Self

import msgspec

from dispatcher.model.registry import Connector, Destination, Policy
from dispatcher.stages.gates.addresses import AddressRules
from dispatcher.stages.gates.listing import Ground
from dispatcher.stages.revising.explaining import Explanation, find, judge

LINE_BYTES_MAX: Final = 1_048_576
LINE_INVALID: Final = "line_invalid"
_PORTS: Final = {"https": 443, "http": 80}


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """What the allowlist would hold: a host, a host with a range, or a range of literals."""

    host: str | None = None
    port: int | None = None
    cidr: str | None = None
    scheme: str = "https"


class _Line(msgspec.Struct):
    url: str
    id: Any = None
    dns: dict[str, list[str]] | None = None
    allow_entry: _Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineVerdict:
    """The verdict on one line: `verdict` is `allow` or `block`, `why` is for people."""

    id: Any
    verdict: str
    code: str
    rule: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class UrlList:
    """Judges lines under the address rules of one configuration, on the ground of one day."""

    rules: AddressRules
    ground: Ground

    @classmethod
    def of(cls, rules: AddressRules, today: date) -> Self:
        """Give the judge of a day: there is no policy beside what the lines say."""
        return cls(rules, Ground(Policy(), today, frozenset()))

    def judge(self, text: bytes) -> LineVerdict:
        """Judge one line; a line that cannot be read is blocked, with the code `line_invalid`."""
        line = _read(text)
        if isinstance(line, LineVerdict):
            return line
        found = self._explain(line)
        verdict = "allow" if found.is_allowed else "block"
        return LineVerdict(
            id=line.id, verdict=verdict, code=found.code, rule=found.rule, why=found.why
        )

    def _explain(self, line: _Line) -> Explanation:
        found = find(line.url, (_connector(line.allow_entry),), self.ground)
        if isinstance(found, Explanation):
            return found
        answers = (line.dns or {}).get(found.endpoint.host, ())
        return judge(found, tuple(answers), self.rules)


def _connector(entry: _Entry | None) -> Connector:
    destinations = () if entry is None else (_destination(entry),)
    return Connector(
        name="list",
        owner="",
        contact="",
        tenants=(),
        purposes=(),
        destinations=destinations,
    )


def _destination(entry: _Entry) -> Destination:
    return Destination(
        host=entry.host or entry.cidr or "",
        reason="",
        scheme=entry.scheme,
        port=_PORTS.get(entry.scheme, 0) if entry.port is None else entry.port,
        private_range=entry.cidr if entry.host and entry.cidr else "",
    )


def _read(text: bytes) -> _Line | LineVerdict:
    if len(text) > LINE_BYTES_MAX:
        return _unread(None, f"longer than {LINE_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(text, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        # More patient than the first: a URL may well hold half a surrogate, and is judged for it.
        given = json.loads(text)
    except (ValueError, RecursionError):
        return _unread(None, "not a JSON object on one line")
    try:
        return msgspec.convert(given, type=_Line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        known = given.get("id") if isinstance(given, dict) else None
        return _unread(known, str(error).encode("ascii", "replace").decode())


def _unread(known: Any, why: str) -> LineVerdict:
    return LineVerdict(id=known, verdict="block", code=LINE_INVALID, rule="line", why=why)
