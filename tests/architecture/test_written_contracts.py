"""What is written down equals the code: the example configuration, the drawing, the lists."""

import itertools
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, SecretStr

from dispatcher.app.config import Config, load_config
from dispatcher.model.delivery import LIFE_CYCLE, State
from dispatcher.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
OWN = {"base", "source"}


def defaults() -> dict[str, Any]:
    """Every key of the configuration with its default, as TOML would hold it."""
    sections = {
        name: field.default for name, field in Config.model_fields.items() if name not in OWN
    }
    return {
        name: {key: plain(value) for key, value in default}
        if isinstance(default, BaseModel)
        else default
        for name, default in sections.items()
    }


def plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def without_nothing(tree: dict[str, Any]) -> dict[str, Any]:
    """Leave out keys whose default is to be absent: TOML cannot say so."""
    return {
        key: without_nothing(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if value is not None
    }


def test_the_example_configuration_lists_every_key_with_its_default() -> None:
    example = tomllib.loads((ROOT / "config.example.toml").read_text())
    assert without_nothing(defaults()) == example


def test_the_example_configuration_mentions_the_keys_that_are_absent_by_default() -> None:
    text = (ROOT / "config.example.toml").read_text()
    for section, keys in defaults().items():
        if isinstance(keys, dict):
            block = text.split(f"[{section}]")[1].split("\n[")[0]
            for key, value in keys.items():
                assert re.search(rf"^(# )?{key} = ", block, re.MULTILINE), (
                    f"{section}.{key}: {value}"
                )


def test_every_key_of_the_example_has_a_sentence_above_it() -> None:
    lines = (ROOT / "config.example.toml").read_text().splitlines()
    for above, line in itertools.pairwise(lines):
        if re.match(r"[a-z_]+ = ", line):
            assert above.startswith("# "), line


def test_the_example_configuration_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("DISPATCHER_")]:
        monkeypatch.delenv(name)
    file = tmp_path / "dispatcher.toml"
    file.write_text((ROOT / "config.example.toml").read_text())
    assert load_config(file).worker == Config().worker


def drawing() -> str:
    """Draw the life cycle from its table."""
    lines = ["stateDiagram-v2", "    [*] --> waiting"]
    lines += [f"    {start} --> {end}: {move}" for (start, move), end in LIFE_CYCLE.items()]
    lines += [f"    {state} --> [*]" for state in State if state.is_final]
    return "\n".join(lines)


def test_the_drawing_of_the_life_cycle_is_the_table() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    drawn = text.split("<!-- life-cycle -->")[1].split("```mermaid\n")[1].split("\n```")[0]
    assert drawing() == drawn


def test_every_metric_is_documented() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    text = (ROOT / "docs" / "operating.md").read_text()
    assert [family.name for family in registry.collect() if family.name not in text] == []
