"""The canary tries every family that the table forbids, and nothing that it allows."""

from ipaddress import ip_address, ip_network

import pytest

from dispatcher.network.backstop import FAMILIES
from dispatcher.stages.gates.address_table import ALLOCATED_6, DENIED_4, DENIED_6, METADATA
from dispatcher.stages.gates.addresses import AddressRules, judge_address
from tests.architecture.house import imports, modules

ADDRESSES = [ip_address(family.address) for family in FAMILIES]
LOOPBACK = ip_network("127.0.0.0/8")


@pytest.mark.parametrize("block", [*DENIED_4, *DENIED_6, *METADATA], ids=str)
def test_c11_every_forbidden_block_is_tried_but_loopback(block) -> None:
    assert any(address in block for address in ADDRESSES) == (block != LOOPBACK)


def test_c11_what_was_given_to_nobody_is_tried() -> None:
    given = [*ALLOCATED_6, *DENIED_6]
    six = [address for address in ADDRESSES if address.version == 6]
    assert any(not any(address in block for block in given) for address in six)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.address)
def test_c11_nothing_that_is_tried_could_be_a_partner(family) -> None:
    assert judge_address(family.address, 443, AddressRules()) is not None
    assert str(ip_address(family.address)) == family.address


def test_c11_nothing_but_the_doctor_knows_the_canary() -> None:
    users = {
        module.name
        for module in modules()
        for _, name in imports(module.tree)
        if name.startswith("dispatcher.network.backstop")
    }
    assert users == {"dispatcher.cli.doctor"}
