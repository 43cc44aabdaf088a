"""The store's tests run once for each engine; none of them may know which it is on."""

import pytest

from dispatcher.store.database import Database
from tests.support.letters import Road


@pytest.fixture
def road(database: Database) -> Road:
    return Road(database)
