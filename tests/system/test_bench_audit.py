"""`dispatcher bench audit`: every figure on both engines, of a log that is found good."""

import json
import subprocess
import sys


def test_every_figure_is_there_for_both_engines(postgres_server: str) -> None:
    command = [sys.executable, "-m", "dispatcher", "bench", "audit", "--json"]
    command += ["--entries", "500", "--rounds", "2", "--database", postgres_server]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["engines"] == ["postgresql", "sqlite"]
    for engine in report["engines"]:
        assert report[engine]["is_good"]
        for name in ("verify_s", "append_s"):
            figures = report[engine][name]
            assert 0 < figures["min"] <= figures["median"] <= figures["max"], name
