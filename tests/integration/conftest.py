"""What tests of the way out share: an authority of their own, a fence, and what was logged."""

import io
from collections.abc import Iterator

import pytest
import structlog
import trustme

from dispatcher.telemetry import log
from tests.support.fence import fence


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def nothing_leaves() -> Iterator[None]:
    """Whatever the partner says: nothing but 127.0.0.1 is dialled, and no name is looked up."""
    with fence() as seen:
        yield
    assert set(seen.dialled) <= {"127.0.0.1"}
    assert seen.looked_up == []


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    lines = io.StringIO()
    log.configure("warning", lines)
    yield lines
    structlog.reset_defaults()
