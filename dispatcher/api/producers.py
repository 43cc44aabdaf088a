"""`/v1/producers`: who may put which events in, for which tenants."""

from typing import Any, Final

from dispatcher.api.calls import Ask
from dispatcher.api.registered import list_and_read, named
from dispatcher.api.views import page_of_names
from dispatcher.control.means import Means
from dispatcher.model.registry import Producer


async def list_producers(means: Means, ask: Ask) -> dict[str, Any]:
    """List producers. Where there is none, whoever may write to the outbox may enqueue."""
    return page_of_names((await means.active()).producers, ask.query)


async def read_producer(means: Means, ask: Ask) -> Producer:
    """Give one producer."""
    return named((await means.active()).producers, ask.path["name"], "producer")


ROUTES: Final = list_and_read("/v1/producers", list_producers, read_producer, Producer)
