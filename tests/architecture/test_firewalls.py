"""Firewalls that people copy from us drop what the guard drops: the chart's, and the documented."""

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from dispatcher.network.backstop import FAMILIES
from dispatcher.stages.gates.address_table import ALLOCATED_6, DENIED_4, DENIED_6
from dispatcher.stages.gates.firewall import list_openings
from tests.architecture.house import ROOT

TABLE = re.compile(
    r"^ +# The product's own table.*?\n(.*?)^ +# End of the table\.$", re.MULTILINE | re.DOTALL
)
SET = re.compile(r"set (\w+) \{.*?elements = \{(.*?)\}", re.DOTALL)


def peers() -> list[Any]:
    """What the chart's policy lets through, read without the tools of the chart."""
    text = (ROOT / "helm" / "templates" / "networkpolicy.yaml").read_text()
    [table] = TABLE.findall(text)
    listed: list[Any] = yaml.safe_load(table)
    return listed


def test_c11_the_chart_lets_workers_reach_what_the_table_allows_and_nothing_else() -> None:
    wanted = []
    for opening in list_openings():
        block: dict[str, Any] = {"cidr": str(opening.block)}
        if opening.closed:
            block["except"] = [str(each) for each in opening.closed]
        wanted.append({"ipBlock": block})
    assert peers() == wanted


def test_c11_the_documented_rules_of_nftables_hold_the_table() -> None:
    text = (ROOT / "docs" / "egress.md").read_text()
    sets = {name: re.findall(r"[0-9a-f:.]+/\d+", body) for name, body in SET.findall(text)}
    assert sets == {
        "forbidden4": [str(each) for each in DENIED_4],
        "forbidden6": [str(each) for each in DENIED_6],
        "allocated6": [str(each) for each in ALLOCATED_6],
    }


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.address)
def test_c11_no_opening_holds_an_address_of_a_forbidden_family(family) -> None:
    address = ip_address(family.address)
    assert not any(
        address in opening.block and not any(address in each for each in opening.closed)
        for opening in list_openings()
    )


@pytest.mark.parametrize("text", ["1.2.3.4", "8.8.8.8", "2600::1", "2a00:1450::1", "2001:200::1"])
def test_c11_an_ordinary_address_is_in_an_opening(text: str) -> None:
    address = ip_address(text)
    assert any(
        address in opening.block and not any(address in each for each in opening.closed)
        for opening in list_openings()
    )


def test_what_is_closed_lies_strictly_inside_its_opening() -> None:
    for opening in list_openings():
        for each in opening.closed:
            assert ip_network(each) != opening.block
