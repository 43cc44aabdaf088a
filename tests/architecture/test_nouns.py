"""Nouns of the API: each is where the table says, and none is loaded for another's sake."""

import subprocess
import sys
from importlib import import_module

from dispatcher.api.routes import split_path
from dispatcher.api.table import all_routes, routes_at
from tests.architecture.house import PACKAGE, ROOT

STOPPING = """
import sys
import dispatcher.app.calling
from dispatcher.api.table import routes_at
assert routes_at(("v1", "switches"))
print(*sorted(name for name in sys.modules if name.startswith("dispatcher.")))
"""


def test_every_route_is_found_at_its_path_and_no_noun_is_left_out() -> None:
    found = all_routes()
    assert len(found) == len({id(route) for route in found})
    assert all(route in routes_at(split_path(route.path)) for route in found)
    listed = {
        id(route)
        for file in (ROOT / PACKAGE / "api").glob("[!_]*.py")
        for route in getattr(import_module(f"dispatcher.api.{file.stem}"), "ROUTES", ())
    }
    assert {id(route) for route in found} == listed


def test_at_other_paths_there_is_nothing() -> None:
    for path in ("/v2/events", "/v1", "/v1/", "/", "/v1/nothing", "/events", "/v1/Events"):
        assert routes_at(split_path(path)) == ()


def test_a_stop_loads_nothing_of_other_nouns() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"dispatcher.api.switches", "dispatcher.control.switches"} <= loaded
    controls = {name for name in loaded if name.startswith("dispatcher.control.")}
    assert controls == {
        f"dispatcher.control.{name}"
        for name in ("confirming", "means", "people", "producers", "switches", "texts")
    }
    assert not {"dispatcher.api.events", "dispatcher.api.change_sets"} & loaded
