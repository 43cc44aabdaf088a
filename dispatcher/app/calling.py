"""Answers a call for a command within this process: the same API, on the databases themselves."""

from typing import Any, Final

from dispatcher.api.calls import Call
from dispatcher.api.front import Front
from dispatcher.api.openapi import description
from dispatcher.api.problems import document_of
from dispatcher.api.table import routes_at
from dispatcher.app.asking import who_asks
from dispatcher.app.config import Config
from dispatcher.app.house import open_house
from dispatcher.app.means import means_of
from dispatcher.control.people import People
from dispatcher.model.people import Principal
from dispatcher.telemetry import log

_STOPS: Final = "/v1/switches"


async def call_here(config: Config, call: Call, *, with_token: bool = True) -> Any:
    """Answer a call, and give its document; without the token, for whoever sits here.

    Raises `DispatcherError`.
    """
    log.configure("warning")  # on standard error: standard output is the answer's
    async with open_house(config) as house:
        if not call.path.startswith(_STOPS):
            # A stop must work while a newer release is being rolled out.
            await house.check_schema()

        means = means_of(house)

        async def who() -> Principal:
            return await who_asks(config, People.over(means), with_token=with_token)

        reply, _ = await Front(means, routes_at, description).answer(call, who)
    return document_of(reply)
