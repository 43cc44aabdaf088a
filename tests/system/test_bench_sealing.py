"""`dispatcher bench sealing`: every figure is measured, and each target judged."""

import json
import subprocess
import sys


def test_every_figure_is_there_and_each_target_is_judged() -> None:
    command = [sys.executable, "-m", "dispatcher", "bench", "sealing", "--times", "100"]
    done = subprocess.run(
        [*command, "--rounds", "2", "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    promised = {"seal_1k", "open_1k", "sign_v1", "sign_v1a", "depart_v1", "jwe_p-256"}
    assert promised <= report["lines"].keys()
    for line in report["lines"].values():
        figures, target = line["cpu_us"], line["target_us"]
        assert 0 < figures["min"] <= figures["median"] <= figures["max"]
        assert line["is_met"] is (None if target is None else figures["median"] <= target)
    assert report["lines"]["seal_1k"]["target_us"] == report["lines"]["open_1k"]["target_us"] == 8
