"""What is wrong with a connector: its purposes, its papers, its entries of the allowlist."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from dispatcher.model.host import parse_host
from dispatcher.model.paper import LegalBasis, Purpose
from dispatcher.model.registry import Connector, Destination
from dispatcher.stages.gates.lanes import has_hidden_steps
from dispatcher.stages.revising.fault import NAME, Fault, bad_name, out_of_range, plaintext

NOTICE_HOURS_LIMIT: Final = 720
_COUNTRY: Final = re.compile(r"[A-Z]{2}\Z")


def check_connector(connector: Connector, loopback: frozenset[tuple[str, int]]) -> Iterator[Fault]:
    """Find every fault of one connector."""
    of = f"connector {connector.name!r}"
    for name, count in Counter(each.name for each in connector.purposes).items():
        if count > 1:
            where = f"{of}: purposes {name!r}"
            yield Fault(where, f"defined {count} times", "give each its own name")
    for purpose in connector.purposes:
        yield from _check_purpose(f"{of}: purposes {purpose.name!r}", purpose)
    if any(not tenant.strip() for tenant in connector.tenants):
        yield Fault(f"{of}: tenants", "a tenant is blank", "name the tenant")
    yield from _check_paper(of, connector)
    keys = Counter(
        (each.scheme, each.host, each.port, each.path_prefix) for each in connector.destinations
    )
    for (_, host, _, _), count in keys.items():
        if count > 1:
            where = f"{of}: destinations {host!r}"
            yield Fault(where, f"listed {count} times", "list it once, with one reason and one end")
    for destination in connector.destinations:
        where = f"{of}: destinations {destination.host!r}"
        yield from _check_destination(where, destination, loopback)


def _check_purpose(where: str, purpose: Purpose) -> Iterator[Fault]:
    if not NAME.match(purpose.name):
        yield bad_name(where)
    personal = [each for each in purpose.categories if each.is_personal]
    if personal and purpose.legal_basis is None:
        yield Fault(
            f"{where}: legal_basis",
            f"covers {', '.join(personal)} without a ground to process it on",
            f"write legal_basis = one of {', '.join(LegalBasis)}",
        )


def _check_paper(of: str, connector: Connector) -> Iterator[Fault]:
    agreement, assessment = connector.agreement, connector.assessment
    if agreement is not None:
        if not agreement.reference.strip():
            yield Fault(f"{of}: agreement reference", "is blank", "say where it is filed")
        for country in agreement.countries:
            yield from check_country(f"{of}: agreement countries", country)
        hours = agreement.notice_hours
        if hours is not None and not 0 <= hours <= NOTICE_HOURS_LIMIT:
            yield out_of_range(f"{of}: agreement notice_hours", 0, NOTICE_HOURS_LIMIT)
    if assessment is not None and not assessment.reference.strip():
        yield Fault(f"{of}: assessment reference", "is blank", "say where it is filed")


def check_country(where: str, country: str) -> Iterator[Fault]:
    """Find what is wrong with the code of a country."""
    if not _COUNTRY.match(country):
        yield Fault(where, f"{country!r} is no country", "write two capitals, as DE (ISO 3166-1)")


def _check_destination(
    where: str, entry: Destination, loopback: frozenset[tuple[str, int]]
) -> Iterator[Fault]:
    host = ""
    try:
        host = parse_host(entry.host.removeprefix("*."))
    except ValueError as error:
        yield Fault(where, str(error), "write a host name or an address, without scheme or port")
    if entry.host.startswith("*.") and host and "." not in host:
        yield Fault(where, "the wildcard covers a whole top level", "name at least two labels")
    if entry.scheme not in ("https", "http"):
        yield Fault(f"{where}: scheme", "not https", "write scheme = 'https'")
    if entry.scheme == "http" and (host, entry.port) not in loopback:
        yield plaintext(f"{where}: scheme")
    if not 1 <= entry.port <= 65535:
        yield out_of_range(f"{where}: port", 1, 65535)
    if not entry.path_prefix.startswith("/") or has_hidden_steps(entry.path_prefix):
        yield Fault(f"{where}: path_prefix", "not a plain path", "begin with '/', without '..'")
    if entry.country:
        yield from check_country(f"{where}: country", entry.country)
    if not entry.reason.strip():
        yield Fault(f"{where}: reason", "no business reason", "say why data goes there")
