"""The pytest plugin: fixtures that answer what each partner would see of my events.

Loaded by every pytest beside which dispatcher is installed, so it imports nothing and does nothing
until a test asks for a fixture. The registry files are those of the ini option
`dispatcher_registry`, or of `--dispatcher-registry` on the command line.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

OPTION = "dispatcher_registry"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the registry files."""
    parser.addini(OPTION, "registry files or folders of dispatcher", type="paths", default=[])
    parser.getgroup("dispatcher").addoption(
        "--dispatcher-registry",
        action="append",
        metavar="PATH",
        help="registry file or folder of dispatcher; may be given several times",
    )


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which registry is tested against, and whether the leak guard looks too."""
    places = _places(config)
    if not places:
        return []
    guard = "installed" if find_spec("re2") else "not installed, so it is not asked"
    return [f"dispatcher: registry {', '.join(map(str, places))}; leak guard {guard}"]


@pytest.fixture(scope="session")
def dispatcher_registry(pytestconfig: pytest.Config) -> Any:
    """The registry of the files that the configuration names; override it to read others."""
    from dispatcher.testing.files import read_registry

    places = _places(pytestconfig)
    if not places:
        raise pytest.UsageError(
            f'no registry: write {OPTION} = "integrations/" into the configuration of pytest, '
            "or pass --dispatcher-registry PATH"
        )
    return read_registry(*places)


@pytest.fixture(scope="session")
def partners(dispatcher_registry: Any) -> Any:
    """Every partner of the registry: `partners["acme-orders"].sees("order.paid", {...})`."""
    from dispatcher.testing.partners import Partners

    return Partners(dispatcher_registry)


def _places(config: pytest.Config) -> list[Path]:
    given = config.getoption("--dispatcher-registry")
    if given:
        return [config.invocation_params.dir / place for place in given]
    return list(config.getini(OPTION))
