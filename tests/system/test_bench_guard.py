"""`dispatcher bench guard`: every figure, from a connection that was really kept."""

import json
import subprocess
import sys


def measure(*arguments: str) -> str:
    command = [sys.executable, "-m", "dispatcher", "bench", "guard", "--deliveries", "200"]
    command += ["--rounds", "2", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_figure_is_there_and_the_target_is_judged() -> None:
    report = json.loads(measure("--json"))
    assert (report["deliveries"], report["rounds"]) == (200, 2)
    for name in ("guard_cpu_us", "bare_cpu_us", "guard_to_bare_ratio"):
        figures = report[name]
        assert 0 < figures["min"] <= figures["median"] <= figures["max"], name
    assert report["guard_to_bare_ratio"]["min"] > 1
    assert report["is_met"] is (report["guard_cpu_us"]["median"] <= report["target_cpu_us"])


def test_a_person_reads_whether_the_target_is_met() -> None:
    assert "target: at most 15 µs CPU per delivery: " in measure()
