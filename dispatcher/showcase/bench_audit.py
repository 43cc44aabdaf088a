"""`dispatcher bench audit`: how long it takes to verify a long audit log, and to add to it.

Called by the command line. The entries are made by the log's own code, many to a transaction;
appending is then timed one entry to a transaction, as a change of the control plane does it.
"""

import asyncio
import time
from typing import Any, Final

from dispatcher.app.house import House, open_house
from dispatcher.app.migration import migrate_house
from dispatcher.app.running import calm_collector
from dispatcher.control.auditing import verify
from dispatcher.model.audit import Entry
from dispatcher.showcase.bench_house import make_config
from dispatcher.showcase.bench_places import Place, read_settings
from dispatcher.showcase.bench_report import measure_places, print_json, print_lines, spread
from dispatcher.telemetry import log
from dispatcher.vault.keyring import create_keyring

BATCH: Final = 10_000
APPENDED: Final = 200
_LINES: Final = {
    "verify_s": "verify every entry, seal, root and checkpoint",
    "append_s": f"add {APPENDED} entries, each in a transaction",
}


async def run_audit_bench(*, database: str | None, entries: int, rounds: int, as_json: bool) -> int:
    """Measure and report; 1 when a log that nobody touched was not found good."""
    log.configure("critical")
    calm_collector()  # as `audit verify` does
    about = {"entries": entries, "rounds": rounds}
    report = await measure_places(database, about, lambda place: _measure(place, entries, rounds))
    if as_json:
        print_json(report)
    else:
        rate = ("entries_per_s", "entries/s verified")
        print_lines(report, f"{entries} entries", _LINES, rate=rate)
    return 0 if all(report[engine]["is_good"] for engine in report["engines"]) else 1


async def _measure(place: Place, entries: int, rounds: int) -> dict[str, Any]:
    config = make_config(place.folder, place.url, port=9)
    await asyncio.to_thread(create_keyring, config.keyring_path)
    seconds: dict[str, list[float]] = {name: [] for name in _LINES}
    async with open_house(config) as house:
        await migrate_house(house)
        settings = await read_settings(house.registry_database)
        await _fill(house, entries)
        for _ in range(rounds):
            began = time.perf_counter()
            found = await verify(house.audit, "")
            seconds["verify_s"].append(time.perf_counter() - began)
            began = time.perf_counter()
            for number in range(APPENDED):
                await house.audit.record(_entry(number))
            seconds["append_s"].append(time.perf_counter() - began)
    spreads = {name: spread(each, 3) for name, each in seconds.items()}
    return {
        "source": place.source,
        "settings": settings,
        "is_good": found.is_good,
        "entries_per_s": round(entries / spreads["verify_s"]["median"]),
        **spreads,
    }


async def _fill(house: House, entries: int) -> None:
    for start in range(0, entries, BATCH):
        async with house.audit.recording() as recording:
            for number in range(start, min(start + BATCH, entries)):
                recording.note(_entry(number))


def _entry(number: int) -> Entry:
    return Entry(
        kind="change_set.approved",
        actor=f"person-{number % 50}",
        about=f"change set {number}",
        reason="an ordinary reason of ordinary length",
        detail={"author": f"person-{number % 49}", "hash": f"{number:064x}"},
    )
