"""Every numbered rule of the guard is shown by a test that bears its number."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
RULES = [
    f"{letter}{number}"
    for letter, count in {"U": 10, "N": 7, "A": 4, "D": 10, "C": 11, "T": 9, "H": 6, "P": 7}.items()
    for number in range(1, count + 1)
]
TEST = re.compile(r"^(?:async )?def test_([unadcthp]\d+)_\w", re.MULTILINE)
NAMED = {
    found.upper() for file in TESTS.rglob("test_*.py") for found in TEST.findall(file.read_text())
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_test_that_names_it(rule: str) -> None:
    assert rule in NAMED


def test_no_test_names_a_rule_that_does_not_exist() -> None:
    assert set(RULES) >= NAMED
