"""Runs a coroutine from the command line: the fastest event loop there is, and a calm collector."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

try:
    from uvloop import new_event_loop
except ImportError:  # the extra `speed` is not installed
    from asyncio import new_event_loop

T = TypeVar("T")
COLLECT_AFTER: Final = (20_000, 20, 50)
"""Objects, and younger collections, between two searches for garbage: see `calm_collector`."""


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def calm_collector() -> None:
    """Search for cyclic garbage less often, and never in what was loaded at the start.

    A letter is a dozen small records that live until they are settled and make no cycles. At the
    interpreter's own pace the search goes through those in flight over and over.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
