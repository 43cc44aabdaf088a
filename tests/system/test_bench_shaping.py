"""`dispatcher bench shaping`: every figure, of letters that were really made."""

import json
import subprocess
import sys


def measure(*arguments: str) -> str:
    command = [sys.executable, "-m", "dispatcher", "bench", "shaping", "--letters", "100"]
    command += ["--rounds", "2", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_figure_is_there_and_the_target_is_judged() -> None:
    report = json.loads(measure("--json"))
    assert (report["letters"], report["rounds"]) == (100, 2)
    assert 900 < report["bytes"]["1k"] < 1200 < 6000 < report["bytes"]["8k"] < 10_000
    names = [
        f"{what}_{size}_cpu_us"
        for what in ("bare", "scope", "shape", "five", "guarded")
        for size in ("1k", "8k")
    ]
    for figures in (*(report[name] for name in names), *report["action_cpu_us"].values()):
        assert 0 < figures["min"] <= figures["median"] <= figures["max"]
    assert report["shape_1k_cpu_us"]["median"] > report["scope_1k_cpu_us"]["median"]
    assert report["leak_guard_plain_cpu_us"]["max"] > 0
    assert report["is_met"] is (
        report["scope_1k_cpu_us"]["median"] <= report["target_cpu_us"]
        and report["leak_guard_1k_cpu_us"]["median"] <= report["target_guard_cpu_us"]
    )


def test_a_person_reads_whether_the_target_is_met() -> None:
    assert "at most 20 µs CPU, the leak guard in 25: " in measure()
