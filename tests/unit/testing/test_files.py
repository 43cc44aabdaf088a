"""Registry files are read as `dispatcher apply` reads them, with nothing but the base package."""

import re
import tomllib
from pathlib import Path

import pytest

from dispatcher.control.documents import read_registry as read_as_the_control_plane
from dispatcher.control.exporting import export_registry
from dispatcher.model.errors import RegistryInvalid
from dispatcher.testing.files import read_registry, read_schemas
from tests.support.integrations import REGISTRY, write_integrations

DOCS = Path(__file__).parents[3] / "docs"


def test_a_registry_reads_as_the_control_plane_reads_it(tmp_path):
    folder = write_integrations(tmp_path / "files")
    assert read_as_the_control_plane([folder]) == read_registry(folder)


def test_every_documented_key_reads_as_the_control_plane_reads_it(tmp_path):
    text = re.search(r"```toml\n(.*?)```", (DOCS / "registry.md").read_text(), re.DOTALL)[1]
    folder = write_integrations(tmp_path / "files", registry=text)
    assert {"event_type", "connector", "subscription", "policy"} <= set(tomllib.loads(text))
    assert read_as_the_control_plane([folder]) == read_registry(folder)


def test_an_exported_registry_reads_as_what_was_exported(tmp_path):
    registry = read_registry(write_integrations(tmp_path / "files"))
    export_registry(registry, tmp_path / "exported")
    assert registry == read_registry(tmp_path / "exported")


def test_schemas_are_of_the_event_types_they_are_named_after(tmp_path):
    folder = write_integrations(tmp_path / "files")
    found = read_schemas(folder / "schemas")
    assert ["order.lost", "order.paid"] == sorted(each.name for each in found.event_types)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("clearance", "clearence", "connector acme: there is no key 'clearence'"),
        ("reason =", "reasn =", "connector acme: .*reason"),
        ('"confidential"', '"secretish"', "connector acme: .*secretish"),
        ("subjects_max = 2", 'subjects_max = "2"', "subscription acme-thin: .*subjects_max"),
        ("[[event_type]]", "[[event_typ]]", "there is no kind 'event_typ'"),
        ("[[connector]]", "[[connector", "partners.toml"),
        ("schemas/order.paid.json", "schemas/none.json", "none.json.*No such file"),
        ("[[event_type]]", "[policy]\n[[event_type]]", None),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, old, new, why):
    text = REGISTRY.replace(old, new, 1)
    folder = write_integrations(tmp_path / "files", registry=text)
    if why is None:
        read_registry(folder)
        return
    with pytest.raises(RegistryInvalid, match=why):
        read_registry(folder)


def test_a_folder_without_files_is_named(tmp_path):
    with pytest.raises(RegistryInvalid, match=r"no \.toml file there"):
        read_registry(tmp_path)


def test_two_policies_are_one_too_many(tmp_path):
    folder = write_integrations(tmp_path / "files", registry=REGISTRY + "\n[policy]\n")
    (folder / "more.toml").write_text("[policy]\n")
    with pytest.raises(RegistryInvalid, match=r"more than one \[policy\]"):
        read_registry(folder)
