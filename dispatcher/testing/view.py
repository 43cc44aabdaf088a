"""What one partner would see of one event, and what a test may ask of it.

Made by `partners`. Paths are written as grants are: `$.customer.email` alone says that the value
leaves as it is, `$.customer.email pseudonym(customer)` that a token does. A question about a letter
that would not be sent, or about a field that nobody declared, fails: it would hold for the wrong
reason. A failure names partner, event type, path, class and reason, and never a value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from dispatcher.model.grant import Grant, parse_grant
from dispatcher.model.leak import Finding
from dispatcher.model.path import Path, format_path
from dispatcher.model.registry import Connector
from dispatcher.model.scope import Field
from dispatcher.model.verdict import Refusal
from dispatcher.stages.shaping.account import Fate, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One event through the eyes of one partner.

    `body` is the plaintext that would be sent; `document` has what a thin letter lets fetch, too.
    `declared` are all paths of the event type's schema. `findings` are what the leak guard found;
    where it is not installed, it did not look, and `is_guarded` is false.
    """

    partner: str
    connector: Connector
    event_type: str
    declared: frozenset[Path]
    parts: tuple[Part, ...] = ()
    disclosed: tuple[Field, ...] = ()
    findings: tuple[Finding, ...] = ()
    body: bytes = field(default=b"", repr=False)
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    refusal: Refusal | None = None
    is_guarded: bool = False

    @property
    def data(self) -> Any:
        """What is granted of the event, sent or fetched; nothing where the letter is not sent."""
        return self.document.get("data")

    @property
    def sees(self) -> tuple[str, ...]:
        """What leaves, as grants that would let exactly that leave."""
        return tuple(sorted(_grant_text(each) for each in self.disclosed))

    @property
    def withheld(self) -> Mapping[str, tuple[str, ...]]:
        """What is in the event and stays, and why."""
        return {
            format_path(part.path): tuple(map(str, part.why))
            for part in self.parts
            if part.fate is Fate.WITHHELD
        }

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the letter would not be sent; nothing where it is."""
        return () if self.refusal is None else tuple(map(str, self.refusal.reasons))

    def assert_sees(self, *grants: str, only: list[str] | None = None) -> None:
        """Fail unless all of these leave; with `only`, unless exactly these do."""
        __tracebackhide__ = True
        wanted = [self._grant(text) for text in (*grants, *(only or ()))]
        self._assert_sent()
        faults = [fault for each in wanted for fault in self._missing(each)]
        if only is not None:
            paths = {each.path for each in wanted}
            faults += [
                f"sees {self._named(each)}, which the test does not list"
                for each in self.disclosed
                if each.path not in paths
            ]
        self._conclude(faults)

    def assert_hides(self, *paths: str) -> None:
        """Fail if anything at or below one of these leaves, whatever is done with it before."""
        __tracebackhide__ = True
        hidden = [self._grant(text).path for text in paths]
        self._assert_sent()
        self._conclude(
            [
                f"sees {self._named(each)}, which the test hides"
                for each in self.disclosed
                if any(each.path[: len(path)] == path for path in hidden)
            ]
        )

    def assert_lacks(self, *values: str) -> None:
        """Fail if one of these texts stands anywhere in the body, also as a part of another."""
        __tracebackhide__ = True
        self._assert_sent()
        texts = list(_texts(self.document))
        count = sum(any(value in text for text in texts) for value in values)
        self._conclude([f"sees {count} of the texts that the test says it lacks"] if count else [])

    def assert_refused(self, *reasons: str) -> None:
        """Fail unless the letter would not be sent, for each of these reasons."""
        __tracebackhide__ = True
        if self.refusal is None:
            self._conclude(["is sent the letter, and the test says it is refused"])
        missing = [reason for reason in reasons if reason not in self.reasons]
        self._conclude([f"is not refused for {reason}" for reason in missing])

    def assert_no_leak(self) -> None:
        """Fail if the leak guard found anything, whatever is done about it, or cannot look."""
        __tracebackhide__ = True
        if not self.is_guarded:
            self._conclude(["was not looked at: the leak guard is not installed"])
        self._conclude([f"would get {self._found(each)}" for each in self.findings])

    def report(self) -> str:
        """Say in lines what leaves, what stays and why."""
        lines = [f"{self.partner} of {self.event_type}:"]
        if self.refusal is not None:
            lines.append(f"  not sent: {self.refusal.code} ({self.refusal.detail})")
        width = max((len(format_path(part.path)) for part in self.parts), default=0)
        for part in self.parts:
            what = f"{part.sensitivity} {part.category}" if part.category else "no class"
            how = f", {part.action}" if part.action not in ("", "pass") else ""
            why = f": {', '.join(part.why)}" if part.why else ""
            lines.append(f"  {part.fate:<8} {format_path(part.path):<{width}} {what}{how}{why}")
        lines += [f"  leak     {self._found(each)}" for each in self.findings]
        if not self.is_guarded:
            lines.append("  the leak guard is not installed: add google-re2 to have it look too")
        return "\n".join(lines)

    def _grant(self, text: str) -> Grant:
        """Read a grant; a test that names what is not there would pass whatever happened."""
        __tracebackhide__ = True
        try:
            grant = parse_grant(text)
        except ValueError as error:
            raise AssertionError(f"{text!r} is not understood: {error}") from None
        known = self.declared | {part.path for part in self.parts}
        if grant.path not in known:
            near = get_close_matches(format_path(grant.path), map(format_path, known), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise AssertionError(
                f"{self.event_type} has no {format_path(grant.path)}, "
                f"in its schema or in this event{hint}"
            )
        return grant

    def _assert_sent(self) -> None:
        __tracebackhide__ = True
        if self.refusal is not None:
            self._conclude(["is sent nothing of this event"])

    def _missing(self, grant: Grant) -> Iterator[str]:
        found = next((each for each in self.disclosed if each.path == grant.path), None)
        path = format_path(grant.path)
        if found is not None and found.action != str(grant.action):
            yield f"sees {self._named(found)}, and the test says {grant.action}"
        elif found is None:
            part = next((each for each in self.parts if each.path == grant.path), None)
            why = ", ".join(part.why) if part is not None and part.why else "not in this event"
            yield f"does not see {path} ({why})"

    def _named(self, found: Field) -> str:
        terms = f"{found.sensitivity} {found.category}, {found.action}"
        return f"{format_path(found.path)} ({terms})"

    def _found(self, finding: Finding) -> str:
        what = f"what looks like {finding.detector} in {format_path(finding.path)}"
        return f"{what} ({finding.action})"

    def _conclude(self, faults: list[str]) -> None:
        __tracebackhide__ = True
        if faults:
            who = f"{self.partner} (connector {self.connector.name})"
            lines = "\n".join(f"{who} {fault}" for fault in faults)
            raise AssertionError(f"{lines}\n\n{self.report()}")


def _grant_text(found: Field) -> str:
    path = format_path(found.path)
    return path if found.action == "pass" else f"{path} {found.action}"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)
