"""`dispatcher bench leakguard`: every figure, with its floor where there is one."""

import json
import subprocess
import sys


def measure(*arguments: str) -> str:
    command = [sys.executable, "-m", "dispatcher", "bench", "leakguard", "--ids", "500"]
    command += ["--letters", "200", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_figure_is_there_and_the_target_is_judged() -> None:
    report = json.loads(measure("--json"))
    assert (report["ids"], report["letters"]) == (500, 200)
    for kind in ("labelled", "generated"):
        for name, share in report[kind].items():
            assert share["precision"] >= 0.9, name
            assert share["recall"] >= 0.8, name
    assert len(report["labelled"]) == 15
    assert report["false_positives_per_100000"]["UUID"] == {"told": 0, "stopped": 0}
    clean, found = (report["us_per_kb"][each] for each in ("clean", "one finding"))
    assert 0 < clean["median"] <= clean["p99"]
    assert clean["median"] < found["median"]
    assert report["is_met"] is (clean["median"] <= report["target_us"])


def test_a_person_reads_whether_the_target_is_met() -> None:
    assert "target: at most 25 µs where there is nothing to find: " in measure()
