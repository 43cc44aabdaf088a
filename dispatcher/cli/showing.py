"""`demo` and `bench`: see it work, and see how fast."""

from pathlib import Path

import click

from dispatcher.app.running import run_async
from dispatcher.cli.output import json_option


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep database, files and reports in this folder.",
)
@json_option
def demo(keep: Path | None, as_json: bool) -> int:
    """Deliver 500 events to three partners on this machine, and check every byte.

    Real inboxes on loopback, a partner that fails half the time, a hold in mid-flight, a
    destination nobody listed, a name that resolves to a private address, and a field nobody
    declared. Ends with a table; exits 1 if any check fails. Takes less than half a minute.
    """
    from dispatcher.showcase.demo import run_demo

    return run_async(run_demo(keep=keep, as_json=as_json))


@click.group()
def bench() -> None:
    """Measure this machine. Ratios within one run mean more than figures."""


@bench.command()
@click.option("--database", help="A PostgreSQL or SQLite URL. Default: a PostgreSQL made for it.")
@click.option("--events", default=4000, show_default=True, type=click.IntRange(100, 5_000_000))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 100))
@json_option
def road(database: str | None, events: int, rounds: int, as_json: bool) -> int:
    """Measure the whole road against the bare aiohttp client.

    Both in one run, in turns.
    """
    from dispatcher.showcase.road import run_road_bench

    return run_async(
        run_road_bench(database=database, events=events, rounds=rounds, as_json=as_json)
    )


@bench.command()
@click.option("--database", help="A PostgreSQL or SQLite URL. Default: a PostgreSQL made for it.")
@click.option("--connectors", default=2_000, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--subscriptions", default=10_000, show_default=True, type=click.IntRange(1, 10**6))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 100))
@json_option
def registry(
    database: str | None, connectors: int, subscriptions: int, rounds: int, as_json: bool
) -> int:
    """Measure reading, planning and obeying a large registry."""
    from dispatcher.showcase.bench_registry import run_registry_bench

    return run_async(
        run_registry_bench(
            database=database,
            connectors=connectors,
            subscriptions=subscriptions,
            rounds=rounds,
            as_json=as_json,
        )
    )


@bench.command()
@click.option("--database", help="A PostgreSQL or SQLite URL. Default: a PostgreSQL made for it.")
@click.option("--entries", default=1_000_000, show_default=True, type=click.IntRange(1, 10**8))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 100))
@json_option
def audit(database: str | None, entries: int, rounds: int, as_json: bool) -> int:
    """Measure verifying a long audit log, and adding to it."""
    from dispatcher.showcase.bench_audit import run_audit_bench

    return run_async(
        run_audit_bench(database=database, entries=entries, rounds=rounds, as_json=as_json)
    )


@bench.command()
@click.option("--deliveries", default=20_000, show_default=True, type=click.IntRange(100, 10**7))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100))
@json_option
def guard(deliveries: int, rounds: int, as_json: bool) -> int:
    """Measure what the guard costs a delivery on a kept connection.

    The target is 15 µs of processor time; whether this machine meets it is said.
    """
    from dispatcher.showcase.bench_guard import run_guard_bench

    return run_async(run_guard_bench(deliveries=deliveries, rounds=rounds, as_json=as_json))


@bench.command()
@click.option("--ids", default=20_000, show_default=True, type=click.IntRange(100, 10**6))
@click.option("--letters", default=5_000, show_default=True, type=click.IntRange(100, 10**6))
@json_option
def leakguard(ids: int, letters: int, as_json: bool) -> int:
    """Measure what the leak guard finds and misses, and its time.

    Precision and recall, harmless ids taken for leaks, and time per KB.

    The target is 25 µs for a letter of 1 KiB in 15 fields with nothing to find.
    """
    from dispatcher.showcase.bench_leakguard import run_leakguard_bench

    return run_leakguard_bench(ids=ids, letters=letters, as_json=as_json)


@bench.command()
@click.option("--letters", default=1_000, show_default=True, type=click.IntRange(100, 10**7))
@click.option("--rounds", default=21, show_default=True, type=click.IntRange(1, 100))
@json_option
def shaping(letters: int, rounds: int, as_json: bool) -> int:
    """Measure what it costs to make one partner's bytes of an event.

    The target is 20 µs of processor time for decoding, scope and encoding of an event of 1 KB with
    15 grants, and 25 µs for the leak guard; whether this machine meets it is said.
    """
    from dispatcher.showcase.bench_shaping import run_shaping_bench

    return run_async(run_shaping_bench(letters=letters, rounds=rounds, as_json=as_json))


@bench.command()
@click.option("--times", default=10_000, show_default=True, type=click.IntRange(100, 10**7))
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1, 100))
@json_option
def sealing(times: int, rounds: int, as_json: bool) -> int:
    """Measure what each seal costs, beside its target.

    The processor time of signing a letter, of encrypting it to its partner, and of sealing and
    opening 1 KiB at rest. Nothing is sent or stored.
    """
    from dispatcher.showcase.bench_sealing import run_sealing_bench

    return run_async(run_sealing_bench(times=times, rounds=rounds, as_json=as_json))
