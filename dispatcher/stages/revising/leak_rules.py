"""The policy's word on leaks: what is wrong with it, and which way a change of it goes.

Asked by `faults` and `diff`. A rule is no laxer than another if it does at least as much, from no
more findings, of no higher confidence, with no further exception. Where some rule of before has no
such rule now, the change widens.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.leak import Confidence, Detector, LeakRule, rules_in_force
from dispatcher.model.path import format_path, parse_path
from dispatcher.model.registry import EventType, Policy
from dispatcher.stages.revising.fault import Fault, out_of_range
from dispatcher.stages.shaping.schema import Leaf, flatten

COUNT_LIMIT: Final = 1_000
_EVERY: Final = "*"


def check_leak_rules(
    policy: Policy, sound: Mapping[str, EventType], known: set[str]
) -> Iterator[Fault]:
    """Find rules that say the same twice, count out of range, or except what is not there."""
    seen = set()
    for rule in policy.leak_rules:
        where = f"policy: leak_rules {rule.detector}"
        if (rule.detector, rule.confidence) in seen:
            why = f"two rules for {rule.confidence} confidence"
            yield Fault(where, why, "keep one rule for a detector and a confidence")
        seen.add((rule.detector, rule.confidence))
        if not 1 <= rule.count <= COUNT_LIMIT:
            yield out_of_range(f"{where} count", 1, COUNT_LIMIT)
        for text in rule.exceptions:
            yield from _check_exception(f"{where} exceptions {text!r}", text, sound, known)


def _check_exception(
    where: str, text: str, sound: Mapping[str, EventType], known: set[str]
) -> Iterator[Fault]:
    fix = "write an event type, or '*' for all, one blank, and a path: 'order.paid $.order.note'"
    of, _, path_text = text.partition(" ")
    try:
        path = parse_path(path_text)
    except ValueError as error:
        yield Fault(where, str(error), fix)
        return
    if format_path(path) != path_text:
        yield Fault(where, "not the usual spelling", f"write {of} {format_path(path)}")
    elif of != _EVERY and of not in known:
        yield Fault(where, f"there is no event type {of!r}", fix)
    elif of in sound and not isinstance(flatten(sound[of].schema).get(path), Leaf):
        yield Fault(where, f"{of!r} has no such field", "name a field that the schema declares")


def compare_leak_rules(old: Policy, new: Policy) -> Iterator[Change]:
    """Give, for each detector, whether less is done about what it finds, or more."""
    if old.leak_rules == new.leak_rules:
        return
    was, now = _by_detector(old), _by_detector(new)
    for detector in Detector:
        before, after = was[detector], now[detector]
        what = f"{detector}: {_said(after)}; was {_said(before)}"
        if not _covers(after, before):
            yield Change(Direction.WIDENS, Aspect.LEAK, "policy", what)
        elif not _covers(before, after):
            yield Change(Direction.NARROWS, Aspect.LEAK, "policy", what)


def _by_detector(policy: Policy) -> dict[Detector, list[LeakRule]]:
    rules = rules_in_force(policy.leak_rules)
    return {each: [rule for rule in rules if rule.detector is each] for each in Detector}


def _covers(strict: Iterable[LeakRule], lax: Iterable[LeakRule]) -> bool:
    return all(any(_is_as_strict(rule, other) for rule in strict) for other in lax)


def _is_as_strict(rule: LeakRule, other: LeakRule) -> bool:
    return (
        rule.action.rank >= other.action.rank
        and rule.count <= other.count
        and (rule.confidence is Confidence.LOW or other.confidence is Confidence.HIGH)
        and all(_is_excepted(each, other.exceptions) for each in rule.exceptions)
    )


def _is_excepted(exception: str, exceptions: tuple[str, ...]) -> bool:
    path = exception.partition(" ")[2]
    return exception in exceptions or f"{_EVERY} {path}" in exceptions


def _said(rules: Iterable[LeakRule]) -> str:
    return ", ".join(map(_say, rules))


def _say(rule: LeakRule) -> str:
    parts = [f"{rule.action} at {rule.confidence} confidence"]
    if rule.count > 1:
        parts.append(f"from {rule.count} on")
    if rule.exceptions:
        parts.append(f"but for {', '.join(rule.exceptions)}")
    return " ".join(parts)
