"""Which addresses may be dialled."""

import json
from pathlib import Path

import pytest

from dispatcher.model.letter import Admitted, Resolved
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.addresses import AddressRules, admit, judge_address, judge_answer
from tests.unit.stages import builders

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "addresses.json").read_text())
NONE = AddressRules()
INBOX = frozenset({("127.0.0.1", 9001), ("::1", 9001), ("10.0.0.1", 9001), ("169.254.1.1", 9001)})


@pytest.mark.parametrize("address", VECTORS["allowed"])
def test_a_global_address_may_be_dialled(address):
    assert judge_address(address, 443, NONE) is None


@pytest.mark.parametrize("address", VECTORS["forbidden"])
def test_a_special_address_may_not_be_dialled(address):
    assert judge_address(address, 443, NONE) is not None


@pytest.mark.parametrize(
    ("address", "port", "is_allowed"),
    [
        ("127.0.0.1", 9001, True),
        ("::1", 9001, True),
        ("127.0.0.1", 9002, False),
        ("127.0.0.2", 9001, False),
        ("::ffff:127.0.0.1", 9001, False),
        ("10.0.0.1", 9001, False),
        ("169.254.1.1", 9001, False),
    ],
)
def test_only_an_exact_loopback_inbox_is_let_through(address, port, is_allowed):
    assert is_allowed == (judge_address(address, port, AddressRules(loopback=INBOX)) is None)


def test_a_letter_is_admitted_with_exactly_the_vetted_addresses():
    addresses = ("8.8.8.8", "2606:4700:4700::1111")
    verdict = admit(builders.cleared(), Resolved(addresses), NONE)
    assert isinstance(verdict, Admitted)
    assert addresses == verdict.addresses


@pytest.mark.parametrize("addresses", [("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8")])
def test_d1_one_bad_answer_rejects_the_whole_set_and_is_not_named(addresses):
    verdict = admit(builders.cleared(), Resolved(addresses), NONE)
    assert isinstance(verdict, Refusal)
    assert (Reason.ADDRESS_FORBIDDEN,) == verdict.reasons
    assert "10.0.0.1" not in verdict.detail


def test_d4_a_host_without_addresses_is_refused():
    verdict = admit(builders.cleared(), Resolved(()), NONE)
    assert isinstance(verdict, Refusal)
    assert (Reason.ADDRESS_NONE,) == verdict.reasons


def test_a_text_that_is_far_too_long_for_an_address_is_refused_and_not_kept():
    before = judge_address.cache_info().currsize
    assert judge_answer(["1" * 2_000_000], 443, NONE) == "A4"
    assert judge_address.cache_info().currsize == before


@pytest.mark.parametrize("carried", ["a9fe:a9fe", "7f00:1", "a00:9"])
def test_a1_isatap_inside_a_granted_range_is_judged_by_what_it_carries(carried):
    grant = ("fd12:3456:789a::/48",)
    address = f"fd12:3456:789a::5efe:{carried}"
    assert judge_address(address, 443, NONE, grant) is not None
    assert judge_address("fd12:3456:789a::1", 443, NONE, grant) is None
