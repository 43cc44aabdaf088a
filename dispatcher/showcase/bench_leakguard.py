"""`dispatcher bench leakguard`: what the leak guard finds, what it takes for a leak, what it costs.

Called by the command line. It asks the guard that workers ask, by the rules that hold where a
policy says nothing. Precision and recall are over the texts labelled by hand and over families made
with a seed; both were written by those who wrote the guard. Nothing leaves the process.
"""

import gc
import os
import platform
import time
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any, Final

import click

from dispatcher.model.leak import DEFAULT_RULES, Detector, Finding, LeakAction
from dispatcher.model.scope import Scope
from dispatcher.showcase.bench_report import print_json
from dispatcher.showcase.leak_goods import (
    Case,
    clean_letter,
    field_of,
    harmless,
    labelled,
    sensitive,
)
from dispatcher.stages.shaping.guard import inspect

TARGET_US: Final = 25.0
LETTER_BYTES: Final = 1024
_EVENT_TYPE: Final = "order.paid"
_SEED: Final = 4711
_NOTES: Final = {
    "clean": "",
    "one long number, no card": "1760000000123 ",
    "one finding": "4111 1111 1111 1111 ",
}


def run_leakguard_bench(*, ids: int, letters: int, as_json: bool) -> int:
    """Measure and report; 0 when it was measured, whatever the figures."""
    chance = Random(_SEED)  # noqa: S311 - the same goods every time
    report: dict[str, Any] = {
        "ids": ids,
        "letters": letters,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "labelled": judge(labelled()),
        "generated": judge(sensitive(chance, max(1, ids // 100))),
        "false_positives_per_100000": _false_positives(chance, ids),
        "us_per_kb": {name: _time(note, letters) for name, note in _NOTES.items()},
        "target_us": TARGET_US,
    }
    report["is_met"] = report["us_per_kb"]["clean"]["median"] <= TARGET_US
    if as_json:
        print_json(report)
    else:
        _print_lines(report)
    return 0


def judge(cases: Iterable[Case]) -> dict[str, dict[str, float | int | None]]:
    """Count, for each detector, what it found rightly, wrongly and not at all."""
    right: Counter[Detector] = Counter()
    wrong: Counter[Detector] = Counter()
    missed: Counter[Detector] = Counter()
    for case in cases:
        found = {each.detector for each in look(case.scope, case.text)}
        right.update(found & case.finds)
        wrong.update(found - case.finds)
        missed.update(case.finds - found)
    return {
        str(each): {
            "precision": _share(right[each], wrong[each]),
            "recall": _share(right[each], missed[each]),
            "right": right[each],
            "wrong": wrong[each],
            "missed": missed[each],
        }
        for each in Detector
        if right[each] + wrong[each] + missed[each]
    }


def look(scope: Scope, text: str) -> tuple[Finding, ...]:
    """Let the guard look at one text in the one field of a scope."""
    return inspect(scope, [text], [0], _EVENT_TYPE, DEFAULT_RULES)


def _share(right: int, other: int) -> float | None:
    return round(right / (right + other), 4) if right + other else None


def _false_positives(chance: Random, count: int) -> dict[str, dict[str, float]]:
    """Give, for each family, how many of 100,000 are told of, and how many are stopped."""
    scope = Scope.of((field_of("$.note"),))
    rates = {}
    for name, texts in harmless(chance, count):
        found = [each for text in texts for each in look(scope, text)[:1]]
        stopped = sum(each.action.rank > LeakAction.ALERT.rank for each in found)
        rates[name] = {
            "told": round(len(found) * 100_000 / count, 1),
            "stopped": round(stopped * 100_000 / count, 1),
        }
    return rates


def _time(note: str, letters: int) -> dict[str, float]:
    """Give the processor time of single letters, reading the clock included."""
    scope, texts, places = clean_letter(LETTER_BYTES, note)
    for _ in range(letters // 10 + 1):
        inspect(scope, texts, places, _EVENT_TYPE, DEFAULT_RULES)
    taken = []
    gc.disable()
    try:
        for _ in range(letters):
            began = time.thread_time_ns()
            inspect(scope, texts, places, _EVENT_TYPE, DEFAULT_RULES)
            taken.append(time.thread_time_ns() - began)
    finally:
        gc.enable()
    taken.sort()
    return {
        "median": round(taken[letters // 2] / 1000, 2),
        "p99": round(taken[min(letters - 1, letters * 99 // 100)] / 1000, 2),
    }


def _print_lines(report: dict[str, Any]) -> None:
    for kind in ("labelled", "generated"):
        click.echo(f"{kind} texts: precision, recall (right, wrong, missed)")
        for name, found in report[kind].items():
            counts = ", ".join(str(found[each]) for each in ("right", "wrong", "missed"))
            click.echo(
                f"  {name:20} {_said(found['precision'])} {_said(found['recall'])} ({counts})"
            )
    click.echo(f"of 100,000 harmless ids ({report['ids']} tried of each): told of, stopped")
    for name, rates in report["false_positives_per_100000"].items():
        click.echo(f"  {name:24} {rates['told']:8.0f} {rates['stopped']:8.0f}")
    click.echo(f"CPU µs for a letter of 1 KiB in 15 fields, {report['letters']} times: median, p99")
    for name, figures in report["us_per_kb"].items():
        click.echo(f"  {name:24} {figures['median']:8.1f} {figures['p99']:8.1f}")
    verdict = "met" if report["is_met"] else "not met"
    click.echo(f"target: at most {TARGET_US:g} µs where there is nothing to find: {verdict}")


def _said(share: float | None) -> str:
    return "   -  " if share is None else f"{share:6.3f}"
