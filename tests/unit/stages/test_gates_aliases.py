"""Which names a host may go by, where an entry of the allowlist says so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatcher.model.letter import Admitted, Resolved
from dispatcher.model.registry import Destination
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.addresses import AddressRules, admit
from dispatcher.stages.gates.aliases import is_alias_outside
from tests.unit.stages import builders
from tests.unit.stages.builders import TODAY, connector, registry, snapshot

HOST = "hooks.acme.example"
INBOX = Destination(host=HOST, reason="orders", alias_zones=("acme.example", "cdn.example"))


@pytest.mark.parametrize(
    ("aliases", "is_outside"),
    [
        ((), False),
        ((HOST,), False),
        (("acme.example",), False),
        (("edge.eu.cdn.example", "pop.acme.example"), False),
        (("edge.cdn.example", "pop.evil.example"), True),
        (("evil.example", "edge.cdn.example"), True),
        (("evilcdn.example",), True),
        (("cdn.example.evil.example",), True),
        (("example",), True),
    ],
)
def test_d7_every_alias_lies_in_a_zone_by_whole_labels(aliases, is_outside):
    assert is_outside == is_alias_outside(HOST, aliases, INBOX.alias_zones)


def test_d7_without_zones_there_is_no_rule():
    assert not is_alias_outside(HOST, ("evil.example",), ())


def test_d7_the_host_itself_may_lie_outside_its_zones():
    assert not is_alias_outside("in.partner.example", ("in.partner.example",), ("cdn.example",))


def zones_of(*entries):
    held = registry(connectors=(connector(destinations=entries),))
    return snapshot(held).routes["acme-orders"].alias_zones


def test_d7_the_zones_of_an_entry_come_with_the_route_however_they_are_spelled():
    assert ("acme.example", "cdn.example") == zones_of(INBOX)
    assert ("acme.example",) == zones_of(replace(INBOX, alias_zones=("ACME.example.",)))


def test_d7_an_endpoint_that_two_entries_list_has_the_zones_of_both():
    below = replace(INBOX, path_prefix="/in", alias_zones=("other.example",))
    assert ("acme.example", "cdn.example", "other.example") == zones_of(INBOX, below)


def test_d7_an_entry_without_zones_lifts_the_rule_while_it_lasts():
    free = replace(INBOX, path_prefix="/in", alias_zones=())
    assert () == zones_of(INBOX, free)
    ended = replace(free, expires=TODAY - timedelta(days=1))
    assert ("acme.example", "cdn.example") == zones_of(INBOX, ended)


def test_d7_an_answer_by_way_of_a_foreign_zone_is_refused_and_the_name_is_not_told():
    held = registry(connectors=(connector(destinations=(INBOX,)),))
    cleared = builders.cleared(under=snapshot(held))
    fair = Resolved(("8.8.8.8",), ("edge.cdn.example",))
    foul = Resolved(("8.8.8.8",), ("edge.cdn.example", "evil.example"))
    assert isinstance(admit(cleared, fair, AddressRules()), Admitted)
    verdict = admit(cleared, foul, AddressRules())
    assert isinstance(verdict, Refusal)
    assert (Reason.ALIAS_OUTSIDE,) == verdict.reasons
    assert "evil" not in verdict.detail


def test_d7_the_final_addresses_are_judged_whatever_the_zones_say():
    held = registry(connectors=(connector(destinations=(INBOX,)),))
    inside = Resolved(("10.0.0.1",), ("edge.cdn.example",))
    verdict = admit(builders.cleared(under=snapshot(held)), inside, AddressRules())
    assert isinstance(verdict, Refusal)
    assert (Reason.ADDRESS_FORBIDDEN,) == verdict.reasons
