"""What is wrong with the keys of a partner, or with the set of them that it publishes."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.key_set import KeySetMode
from dispatcher.model.partner_key import PartnerKey, read_jwk
from dispatcher.model.registry import Connector
from dispatcher.stages.gates.key_fetch import check_public_key
from dispatcher.stages.gates.listing import listed_entries
from dispatcher.stages.revising.fault import Fault, out_of_range

HOLD_HOURS_LIMIT: Final = 720
THUMBPRINTS_LIMIT: Final = 20
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_KID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


def check_keys(of: str, keys: tuple[PartnerKey, ...]) -> Iterator[Fault]:
    """Find every fault of a connector's keys; no text of a key is repeated."""
    for kid, count in Counter(key.kid for key in keys).items():
        where = f"{of}: keys {kid!r}"
        if count > 1:
            yield Fault(where, f"listed {count} times", "give each key its own kid")
        if not _KID.match(kid):
            fix = "write 1 to 64 letters, digits, dots, dashes or underscores"
            yield Fault(where, "its kid is not one that a grant can name", fix)
    for key in keys:
        where = f"{of}: keys {key.kid!r}"
        try:
            jwk = read_jwk(key.jwk)
            check_public_key(jwk)
        except ValueError as error:
            fix = "paste the partner's public JWK: EC P-256, OKP X25519, or RSA of 2048 bits"
            yield Fault(where, f"no key to encrypt to: {error}", fix)
            continue
        if jwk.get("kid", key.kid) != key.kid:  # the partner looks for it by the kid it gave it
            fix = "write the JWK's own kid, or take that out of it"
            yield Fault(where, "the JWK bears another kid", fix)


def check_key_set(of: str, connector: Connector) -> Iterator[Fault]:
    """Find every fault of the set of keys that a partner publishes."""
    key_set = connector.key_set
    if key_set is None:
        return
    where = f"{of}: key_set"
    yield from _check_url(f"{where} url", key_set.url, connector)
    is_pinned = key_set.mode is KeySetMode.PINNED
    if is_pinned and not 1 <= len(key_set.thumbprints) <= THUMBPRINTS_LIMIT:
        fix = f"write the thumbprints (RFC 7638) of 1 to {THUMBPRINTS_LIMIT} keys"
        yield Fault(f"{where} thumbprints", "a pinned set names its keys", fix)
    if not is_pinned and key_set.thumbprints:
        fix = 'take them out, or write mode = "pinned"'
        yield Fault(f"{where} thumbprints", "only a pinned set has them", fix)
    for thumbprint, count in Counter(key_set.thumbprints).items():
        if count > 1 or not _THUMBPRINT.match(thumbprint):
            fix = "write each once: 43 characters of base64url, the SHA-256 of RFC 7638"
            yield Fault(f"{where} thumbprints", f"{thumbprint[:43]!r} is none, or not alone", fix)
    hours = key_set.hold_hours
    if hours is None:
        return
    if is_pinned:
        fix = 'take it out, or write mode = "follow"'
        yield Fault(f"{where} hold_hours", "what is pinned was looked at already", fix)
    if not 0 <= hours <= HOLD_HOURS_LIMIT:
        yield out_of_range(f"{where} hold_hours", 0, HOLD_HOURS_LIMIT)


def _check_url(where: str, url: str, connector: Connector) -> Iterator[Fault]:
    try:
        endpoint = parse_endpoint(url)
    except ValueError as error:
        yield Fault(where, str(error), "write https://host/path")
        return
    if endpoint.scheme != "https":
        yield Fault(where, "not https", "keys are fetched over TLS alone: write https://host/path")
    elif not listed_entries(connector, endpoint):
        fix = "list it under [[connector.destinations]], with a business reason"
        yield Fault(where, "none of the connector's destinations lists it", fix)
