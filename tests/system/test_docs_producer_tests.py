"""The tests that the documentation shows to product teams pass as they are printed."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.integrations import PERSONAL, REGISTRY, write_integrations
from tests.unit.stages.builders import leaf, record

pytest_plugins = ["pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "shaping.md"
SCHEMA = record(
    order=record(id=leaf(), total_cents=leaf("integer", level="internal")),
    lines={"type": "array", "items": record(sku=leaf(), gift_note=leaf(category="pii"))},
    customer=record(
        email=leaf(**PERSONAL),
        phone=leaf(**PERSONAL),
        born=leaf(category="pii", level="restricted"),
    ),
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(pytester, monkeypatch):
    """A product's folder: its registry has the page's grants, and the page's tests."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    grants, settings = (
        next(block for block in blocks("toml") if block.startswith(heading))
        for heading in ("[subscription.scope]", "[tool.pytest.ini_options]")
    )
    head, _, tail = REGISTRY.partition("[subscription.scope]\n")
    registry = head + grants + tail.partition("\n")[2].replace(', "$.customer.born"', "")
    registry = registry.replace('"$.id"', '"$.order.id"')
    for name in ("integrations", "tests/baseline"):
        write_integrations(pytester.path / name, SCHEMA, registry)
    (pytester.path / "pyproject.toml").write_text(settings)
    [example] = blocks("python")
    (pytester.path / "tests" / "test_partners.py").write_text(example)
    assert tomllib.loads(settings)
    return pytester


def run(folder):
    return folder.runpytest_subprocess("-p", "dispatcher.testing.plugin", "-p", "no:cacheprovider")


def test_the_documented_tests_pass(folder):
    done = run(folder)
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["dispatcher: registry */integrations; *"])


def test_each_of_them_fails_when_the_gift_note_is_granted(folder):
    file = folder.path / "integrations" / "partners.toml"
    text = file.read_text()
    file.write_text(text.replace('"$.lines[*].sku"', '"$.lines[*].sku", "$.lines[*].gift_note"'))
    done = run(folder)
    done.assert_outcomes(passed=1, failed=3)
    named = "order.paid $.lines[[]*].gift_note: newly seen (public pii); seen by acme-orders (pass)"
    done.stdout.fnmatch_lines([f"*{named}*"])
