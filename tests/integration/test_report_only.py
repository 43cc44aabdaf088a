"""A connector that only reports what is not listed: letters go, and it is said."""

import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import trustme

from dispatcher.model.registry import Destination, Registry
from dispatcher.model.tls import Tls
from tests.support.certificates import pem_of, serving
from tests.support.hostile import Receiver, answers, receiver
from tests.support.waiting import until
from tests.support.world_tls import HOST, registry_to, working
from tests.unit.stages import builders


def reporting(partner: Receiver, until: date | None) -> Registry:
    """List another host alone, or nothing at all where that is only reported."""
    held = registry_to(partner, Tls())
    (connector,) = held.connectors
    entries = () if until else (Destination(host="other.example", reason="orders"),)
    connector = replace(connector, destinations=entries, report_only_until=until)
    return replace(held, connectors=(connector,))


async def test_what_is_not_listed_goes_and_is_said_until_it_is_over(
    tmp_path: Path, said: io.StringIO
) -> None:
    own = trustme.CA()
    (tmp_path / "roots.pem").write_text(pem_of(own))
    async with receiver(answers(200), tls=serving(own.issue_cert(HOST))) as partner:
        held = reporting(partner, builders.FAR)
        async with working(tmp_path, partner, held, ca_file=Path("roots.pem")) as world:
            await world.deliver()
            assert len(partner.requests) == 1
            sample = world.metrics.registry.get_sample_value
            assert sample("dispatcher_reported_lanes") == 1
            await world.apply(reporting(partner, None))
            await until(lambda: sample("dispatcher_reported_lanes") == 0)
            await world.deliver("waiting")
            assert len(partner.requests) == 1
    lines = [json.loads(each) for each in said.getvalue().splitlines()]
    found = [each for each in lines if each["event"] == "destination_reported"]
    assert {(line["connector"], line["host"]) for line in found} == {("acme", HOST)}
