"""What is wrong with a connector: its purposes, its papers, its entries of the allowlist."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from dispatcher.model.host import as_address, is_public_suffix, parse_host, parse_name
from dispatcher.model.paper import LegalBasis, Purpose
from dispatcher.model.registry import Connector, Destination
from dispatcher.model.token import VERSION_MAX
from dispatcher.stages.gates.addresses import parse_range
from dispatcher.stages.gates.listing import WILDCARD, has_hidden_steps
from dispatcher.stages.revising.fault import NAME, Fault, bad_name, out_of_range
from dispatcher.stages.revising.key_faults import check_key_set, check_keys
from dispatcher.stages.revising.tls_faults import check_tls

NOTICE_HOURS_LIMIT: Final = 720
TENANT_BYTES_MAX: Final = 128
"""So that the outside of a letter stays below the 1,024 bytes that libraries read of it."""
_COUNTRY: Final = re.compile(r"[A-Z]{2}\Z")


def check_connector(connector: Connector) -> Iterator[Fault]:
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
    if any(len(tenant.encode(errors="replace")) > TENANT_BYTES_MAX for tenant in connector.tenants):
        fix = f"at most {TENANT_BYTES_MAX} bytes: encrypted letters name their tenant outside"
        yield Fault(f"{of}: tenants", "a tenant's name is too long", fix)
    if not 1 <= connector.token_version <= VERSION_MAX:
        yield out_of_range(f"{of}: token_version", 1, VERSION_MAX)
    yield from _check_paper(of, connector)
    yield from check_keys(of, connector.keys)
    yield from check_key_set(of, connector)
    keys = Counter(
        (each.scheme, _plain(each.host), each.port, each.path_prefix)
        for each in connector.destinations
    )
    for (_, host, _, _), count in keys.items():
        if count > 1:
            where = f"{of}: destinations {host!r}"
            yield Fault(where, f"listed {count} times", "list it once, with one reason and one end")
    for destination in connector.destinations:
        where = f"{of}: destinations {destination.host!r}"
        yield from _check_destination(where, destination)


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


def _check_destination(where: str, entry: Destination) -> Iterator[Fault]:
    yield from _check_host(where, entry.host)
    if entry.private_range:
        yield from _check_range(f"{where}: private_range", entry.private_range)
        if "/" in entry.host:
            why = "the host is a range already"
            yield Fault(f"{where}: private_range", why, "leave it out")
    if entry.scheme not in ("https", "http"):
        fix = "write scheme = 'https', or 'http' to grant that TLS is done without"
        yield Fault(f"{where}: scheme", "not https", fix)
    if not 1 <= entry.port <= 65535:
        yield out_of_range(f"{where}: port", 1, 65535)
    if not entry.path_prefix.startswith("/") or has_hidden_steps(entry.path_prefix):
        yield Fault(f"{where}: path_prefix", "not a plain path", "begin with '/', without '..'")
    for zone in entry.alias_zones:
        if not _is_zone(zone):
            fix = "write a name, without a wildcard; all names below it are in it"
            yield Fault(f"{where}: alias_zones", f"{zone!r} is no zone", fix)
    if entry.country:
        yield from check_country(f"{where}: country", entry.country)
    if not entry.reason.strip():
        yield Fault(f"{where}: reason", "no business reason", "say why data goes there")
    yield from check_tls(where, entry)


def _plain(host: str) -> str:
    """Give the one spelling of a host, so that an entry does not hide behind its twin."""
    star = WILDCARD if host.startswith(WILDCARD) else ""
    try:
        return star + parse_host(host.removeprefix(WILDCARD))
    except ValueError:
        return host


def _check_host(where: str, host: str) -> Iterator[Fault]:
    if "/" in host:
        yield from _check_range(where, host)
        return
    try:
        name = parse_host(host.removeprefix(WILDCARD))
    except ValueError as error:
        fix = "write a host name, an address or a network, without scheme or port"
        yield Fault(where, str(error), fix)
        return
    if host.startswith(WILDCARD):
        if as_address(name) is not None:
            yield Fault(where, "a wildcard stands before a name", "write the network: 10.1.2.0/24")
        elif is_public_suffix(name):
            why = f"the wildcard covers everybody's names under {name}"
            yield Fault(where, why, "name one more label: the partner's own")


def _check_range(where: str, text: str) -> Iterator[Fault]:
    try:
        parse_range(text)
    except ValueError as error:
        fix = "write a network of at most /16 (IPv4) or /48 (IPv6), as in 10.20.0.0/16"
        yield Fault(where, f"no range to grant: {error}", fix)


def _is_zone(text: str) -> bool:
    try:
        return as_address(parse_name(text)) is None
    except ValueError:
        return False
