"""What partners read about receiving is so."""

import re
from pathlib import Path
from typing import Any

import pytest

from dispatcher.receiver.opening import Receiver, Why
from tests.support.receiving import VECTORS

PAGE = (Path(__file__).parents[3] / "docs" / "receive" / "README.md").read_text(encoding="utf-8")
BY_NAME = {vector["name"]: vector for vector in VECTORS}
GENUINE = BY_NAME["v1"]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The example's own names, at the time of the vectors."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    worked: list[tuple[str, Any]] = []
    names: dict[str, Any] = {"work": lambda *said: worked.append(said), "worked": worked}
    monkeypatch.setattr(
        Receiver.__init__,
        "__kwdefaults__",
        {**Receiver.__init__.__kwdefaults__, "clock": lambda: GENUINE["now"]},
    )
    exec(code, names)
    return names


def test_the_example_works_once_for_a_letter_and_answers_well_each_time(example: dict[str, Any]):
    headers, body = GENUINE["headers"], GENUINE["body"].encode()
    assert [(200, "")] * 2 == [example["answer"](headers, body) for _ in range(2)]
    assert ["order.paid"] == [kind for kind, _ in example["worked"]]


def test_the_example_refuses_what_is_not_genuine(example: dict[str, Any]):
    forged = BY_NAME["a flipped byte"]
    answer = example["answer"](forged["headers"], forged["body"].encode())
    assert (400, "signature_wrong") == answer
    assert example["worked"] == []


def test_the_headers_on_the_page_are_those_of_a_vector():
    printed = re.findall(r"^(webhook-[a-z]+): (\S.*)$", PAGE, re.MULTILINE)
    genuine = BY_NAME["v1 and v1a: only the public key is known"]
    assert dict(printed) == {
        name: value for name, value in genuine["headers"] if name != "content-type"
    }


def test_every_reason_is_on_the_page():
    reasons = PAGE.split("## Reasons")[1].split("## ")[0]
    assert set(re.findall(r"`([a-z]+_[a-z]+)`", reasons)) == set(Why)


def test_every_recipe_is_on_the_page():
    folder = Path(__file__).parents[3] / "docs" / "receive"
    recipes = {file.name for file in folder.glob("*.*")} - {"README.md"}
    assert recipes == set(re.findall(r"\]\((\w+\.\w+)\)", PAGE))
    assert set(re.findall(r"^\S.* (\w+\.\w+) receiving\.json$", PAGE, re.MULTILINE)) == recipes
