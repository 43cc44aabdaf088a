"""May this URL be sent to, and by which rule? For people, and for lists of URLs in somebody's CI.

Asked by the API's `explain` and by its batch. The URL is read, the allowlist asked and every
address judged by the very functions that stand on the road of a delivery; this module only puts
their answers into words. It resolves nothing: the addresses are handed in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dispatcher.model.endpoint import Endpoint, parse_endpoint
from dispatcher.model.host import Unreadable
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Connector, Destination
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.addresses import AddressRules, judge_answer
from dispatcher.stages.gates.aliases import is_alias_outside
from dispatcher.stages.gates.listing import Ground, Listing, is_current, judge_listing

ALLOWED: Final = "allowed"
REPORTED: Final = "reported"
URL_INVALID: Final = "url_invalid"
UNRESOLVED: Final = "unresolved"
_ALLOWING: Final = frozenset({ALLOWED, REPORTED, UNRESOLVED})

_RULES: Final[Mapping[str, str]] = {
    Reason.DESTINATION_UNLISTED: "listed",
    Reason.DESTINATION_EXPIRED: "expires",
    Reason.DESTINATION_REVOKED: "revoked",
    Reason.DESTINATION_PLAINTEXT: "U1",
    Reason.DESTINATION_INSIDE: "N6",
    Reason.CONNECTOR_INACTIVE: "active",
    Reason.ADDRESS_NONE: "D4",
    Reason.ALIAS_OUTSIDE: "D7",
}
_FIXES: Final[Mapping[str, str]] = {
    URL_INVALID: "write https://host/path, in letters that every parser reads alike",
    Reason.DESTINATION_UNLISTED: "list scheme, host, port and path in a connector's destinations, "
    "with a reason, and have it approved",
    Reason.DESTINATION_EXPIRED: "have the entry attested again: give it a later 'expires'",
    Reason.DESTINATION_REVOKED: "nobody sends there until policy.revoked_hosts lets go of it",
    Reason.DESTINATION_PLAINTEXT: "use https, or list the host with scheme = 'http'",
    Reason.DESTINATION_INSIDE: "use a public name, or name the 'private_range' it answers in",
    Reason.CONNECTOR_INACTIVE: "make the connector's state 'active'",
    Reason.ADDRESS_NONE: "check the name: it has no address",
    Reason.ADDRESS_FORBIDDEN: "have the name answer with public addresses alone; an address inside "
    "takes an entry whose 'private_range' holds it",
    Reason.ALIAS_OUTSIDE: "have its aliases lie in the entry's 'alias_zones', or add a zone there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What would become of a letter to this URL, as far as its destination goes.

    `code` is stable: `allowed`, `reported` (allowed for now by report-only mode), `unresolved`
    (allowed as far as can be said without addresses), `url_invalid`, or a reason of the gates.
    `rule` names the rule that decided, as docs/egress.md lists them.
    """

    code: str
    rule: str
    why: str = ""
    endpoint: Endpoint | None = None
    connector: str = ""
    entry: Destination | None = None
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """True where nothing forbids the destination."""
        return self.code in _ALLOWING

    @property
    def fix(self) -> str:
        """What would change the verdict; nothing where it is allowed."""
        return _FIXES.get(self.code, "")


@dataclass(frozen=True, slots=True)
class Found:
    """A URL that the allowlist lets through: what is left to judge is addresses."""

    connector: Connector
    endpoint: Endpoint
    listing: Listing
    entry: Destination | None


def find(url: str, connectors: Iterable[Connector], ground: Ground) -> Found | Explanation:
    """Ask the allowlists: the first that lists the URL answers, else the one nearest to it."""
    try:
        endpoint = parse_endpoint(url)
    except Unreadable as error:
        return Explanation(code=URL_INVALID, rule=error.rule, why=str(error))
    nearest: Explanation | None = None
    for connector in connectors:
        found = _ask(connector, endpoint, ground)
        if isinstance(found, Found):
            return found
        if nearest is None or (found.entry is not None and nearest.entry is None):
            nearest = found
    if nearest is not None:
        return nearest
    return Explanation(
        code=Reason.DESTINATION_UNLISTED,
        rule=_RULES[Reason.DESTINATION_UNLISTED],
        why="there is no connector to list it",
        endpoint=endpoint,
    )


def judge(
    found: Found,
    addresses: tuple[str, ...] | None,
    rules: AddressRules,
    aliases: tuple[str, ...] = (),
) -> Explanation:
    """Judge what the host answers with; `None` when nobody asked it."""
    if found.endpoint.literal is not None:
        addresses = (found.endpoint.host,)
    code, rule, why = _judge(found, addresses, rules, aliases)
    return Explanation(
        code=code,
        rule=rule or _RULES.get(code, "listed"),
        why=why,
        endpoint=found.endpoint,
        connector=found.connector.name,
        entry=found.entry,
        addresses=addresses or (),
        aliases=aliases,
    )


def _judge(
    found: Found,
    addresses: tuple[str, ...] | None,
    rules: AddressRules,
    aliases: tuple[str, ...],
) -> tuple[str, str, str]:
    """Give code, rule and why; no rule where the code has one of its own."""
    host, listing = found.endpoint.host, found.listing
    if addresses is None:
        return UNRESOLVED, "", "its addresses are judged at each attempt"
    if not addresses:
        return Reason.ADDRESS_NONE, "", f"{host} has no address"
    broken = judge_answer(addresses, found.endpoint.port, rules, listing.ranges)
    if broken is not None:
        why = f"{host} answers with an address that may not be dialled"
        return Reason.ADDRESS_FORBIDDEN, broken, why
    if is_alias_outside(host, aliases, listing.alias_zones):
        return Reason.ALIAS_OUTSIDE, "", f"{host} goes by a name outside its zones"
    if listing.is_reported:
        return REPORTED, "", "nothing lists it, and the connector only reports that for now"
    return ALLOWED, "", ""


def _ask(connector: Connector, endpoint: Endpoint, ground: Ground) -> Found | Explanation:
    listing = judge_listing(connector, endpoint, ground)
    current = (each for each in listing.entries if is_current(each, ground.today))
    entry = next(current, listing.entries[0] if listing.entries else None)
    if listing.findings:
        reason, why = listing.findings[0]
    elif connector.state is not ConnectorState.ACTIVE:
        reason, why = Reason.CONNECTOR_INACTIVE, f"{connector.name} is {connector.state}"
    else:
        return Found(connector, endpoint, listing, entry)
    return Explanation(
        code=reason,
        rule=_RULES[reason],
        why=why,
        endpoint=endpoint,
        connector=connector.name if entry is not None else "",
        entry=entry,
    )
