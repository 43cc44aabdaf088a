"""`dispatcher bench registry`: every figure on both engines, of a registry whose lanes are open."""

import json
import subprocess
import sys
from datetime import date

from dispatcher.showcase.bench_registry import large_registry
from dispatcher.stages.revising.faults import find_faults
from dispatcher.stages.revising.flows import flows

FIGURES = {"read_files_s", "plan_s", "compile_s", "pickup_s"}


def test_every_figure_is_there_for_both_engines(postgres_server: str) -> None:
    command = [sys.executable, "-m", "dispatcher", "bench", "registry", "--json"]
    command += ["--connectors", "20", "--subscriptions", "60", "--rounds", "2"]
    command += ["--database", postgres_server]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["connectors"], report["subscriptions"], report["rounds"]) == (20, 60, 2)
    assert report["engines"] == ["postgresql", "sqlite"]
    for engine in report["engines"]:
        for name in FIGURES:
            figures = report[engine][name]
            assert 0 < figures["min"] <= figures["median"] <= figures["max"], name


def test_what_is_measured_is_a_sound_registry_with_every_lane_open() -> None:
    held = large_registry(7, 30)
    assert find_faults(held) == ()
    assert len(flows(held, date(2026, 1, 1), frozenset())) == 30
