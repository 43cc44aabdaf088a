"""What is exported is read back as it was, whatever a registry holds."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from dispatcher.control.documents import read_registry
from dispatcher.control.exporting import export_registry
from dispatcher.model.errors import Conflict, InvalidInput
from dispatcher.model.paper import Agreement, Assessment
from dispatcher.model.registry import Registry
from tests.properties.test_disclosure_diff import REGISTRIES
from tests.unit.stages import builders


def as_applied(held: Registry) -> Registry:
    """Write the schemas as they are written when files are read."""
    texts = (
        json.dumps(json.loads(each.schema), sort_keys=True, separators=(",", ":"))
        for each in held.event_types
    )
    kinds = zip(held.event_types, texts, strict=True)
    return replace(held, event_types=tuple(replace(kind, schema=text) for kind, text in kinds))


@given(REGISTRIES.map(as_applied))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_export_is_read_back_as_it_was(held: Registry) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "registry"
        export_registry(held, folder)
        assert read_registry([folder]) == held


def test_everything_there_is_to_a_connector_survives(tmp_path: Path) -> None:
    partner = builders.connector(
        escalation="the 'boss' \\ \"x\"",
        agreement=Agreement(
            reference="DPA-1\t\U0001f600",
            until=builders.FAR,
            countries=("DE",),
            notice_hours=24,
            processors=("Host",),
        ),
        assessment=Assessment(reference="PIA", until=builders.TODAY),
    )
    wanted = builders.subscription(retry_seconds=(0.5, 7), scope={"order.paid": ("$['odd key']",)})
    held = as_applied(builders.registry(connectors=(partner,), subscriptions=(wanted,)))
    files = export_registry(held, tmp_path / "out")
    assert {file.name for file in files} == {
        "acme.connector.toml",
        "event_types.toml",
        "order.paid.json",
    }
    assert read_registry([tmp_path / "out"]) == held


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with pytest.raises(Conflict) as caught:
        export_registry(builders.registry(), kept)
    assert caught.value.reason == "folder_exists"
    assert list(kept.iterdir()) == []
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(Conflict):
        export_registry(builders.registry(), link)


def test_what_cannot_be_written_leaves_nothing_half_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InvalidInput) as caught:
        export_registry(builders.registry(), file / "below")
    assert caught.value.reason == "folder_unwritable"
    long = replace(builders.event_type(), name="a" * 300)
    with pytest.raises(InvalidInput):
        export_registry(builders.registry(event_types=(long,)), tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == [file]
