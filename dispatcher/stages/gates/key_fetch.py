"""May a partner's set of keys be fetched now, and what of the answer is believed?

Called by `worker.key_fetcher` before anything is asked, again in the instant before the first byte,
and with what came back. The set is hostile input: what is not plainly a public key to encrypt to is
refused, and where a private one was published the whole set is. It is stricter than any library.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from dispatcher.model import base64url
from dispatcher.model.event import Event
from dispatcher.model.ids import DeliveryId, EventId, LeaseToken, ScopeId, WebhookId
from dispatcher.model.key_set import EXPOSED_MAX, FoundKey, FoundKeys
from dispatcher.model.letter import Cleared, Leased, Stopped
from dispatcher.model.partner_key import PRIVATE, read_jwk, thumbprint, without_more
from dispatcher.model.schema import read_json
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import KeyRoute, Snapshot
from dispatcher.model.verdict import Reason

SET_BYTES_MAX: Final = 65_536
KEYS_MAX: Final = 20
MALFORMED: Final = "key_set_malformed"
TOO_MANY: Final = "key_set_too_many"
CACHE_SECONDS_LEAST: Final = 900
CACHE_SECONDS_MOST: Final = 86_400
_KID: Final = re.compile(r"[\x21-\x7e]{1,128}\Z")
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})", re.IGNORECASE)
_FIXED_SCALAR: Final = X25519PrivateKey.from_private_bytes(b"\x42" * 32)


def may_fetch(
    key_route: KeyRoute, snapshot: Snapshot, *, now: float, policy_lease_ends: float
) -> Stopped | None:
    """Say why a set may not be fetched now, or nothing if it may: `may_begin` for sets of keys.

    `key_route` is the one it was begun for; both times are seconds on the worker's boot clock.
    """
    if now >= policy_lease_ends:
        return Stopped(Reason.POLICY_LEASE_EXPIRED)
    current = snapshot.key_routes.get(key_route.route.connector)
    if current is None or current.route != key_route.route:
        return Stopped(Reason.POLICY_CHANGED)
    return None if current.refusal is None else Stopped(current.refusal.reasons[0])


def clear_fetch(key_route: KeyRoute, snapshot: Snapshot) -> Cleared:
    """Make the letter of nobody's event that goes the way of a fetch. It has no body."""
    event = Event(
        seq=0,
        id=EventId(""),
        tenant="",
        type="",
        producer="",
        subjects=(),
        occurred_us=0,
        payload=None,
    )
    leased = Leased(
        id=DeliveryId(0),
        token=LeaseToken(""),
        attempt=1,
        failures=0,
        webhook_id=WebhookId(""),
        subscription="",
        filed_scope=ScopeId(""),
        lease_ends=0.0,
        event=event,
    )
    return Cleared(
        leased=leased,
        route=key_route.route,
        scope=Scope.of(()),
        revision=snapshot.revision,
        epoch=snapshot.epoch,
    )


def cache_seconds(cache_control: str) -> int:
    """Give how long an answer may be relied on: what its owner says, within our own bounds."""
    found = _MAX_AGE.search(cache_control)
    said = int(found[1]) if found is not None else CACHE_SECONDS_LEAST
    return min(max(said, CACHE_SECONDS_LEAST), CACHE_SECONDS_MOST)


def read_key_set(body: bytes) -> FoundKeys | str:
    """Read a JWKS (RFC 7517); the code of what is wrong where it is none."""
    try:
        document = read_json(body)
    except ValueError:
        return MALFORMED
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        return MALFORMED
    # Anywhere in it: a copy of a secret is no less one for standing beside the keys.
    private = [each for each in _objects(document) if not PRIVATE.isdisjoint(each)]
    if private:
        halves = (each for each in map(_public_half, private) if each is not None)
        exposed = {each.thumbprint: each for each in islice(halves, EXPOSED_MAX)}
        return FoundKeys(exposed=tuple(exposed.values()), is_exposed=True)
    return _read_keys(listed) if len(listed) <= KEYS_MAX else TOO_MANY


def check_public_key(jwk: dict[str, Any]) -> None:
    """Raise `ValueError` for a key that is no point of its curve, or that agrees on nothing."""
    try:
        import_key(jwk)
        if jwk["kty"] == "OKP":
            _FIXED_SCALAR.exchange(X25519PublicKey.from_public_bytes(base64url.decode(jwk["x"])))
    except (JoseError, ValueError):
        raise ValueError("it is no key of its kind") from None


def _read_keys(listed: list[dict[str, Any]]) -> FoundKeys:
    kids = Counter(kid for each in listed if isinstance(kid := each.get("kid"), str))
    found: dict[str, FoundKey] = {}
    refused: list[str] = []
    for place, each in enumerate(listed, start=1):
        try:
            key = _read_key(each, kids)
        except ValueError as error:
            refused.append(f"key {place}: {error}")
        else:
            found.setdefault(key.thumbprint, key)
    return FoundKeys(tuple(found.values()), tuple(refused))


def _read_key(jwk: dict[str, Any], kids: Counter[str]) -> FoundKey:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not _KID.match(kid):
        raise ValueError("it has no kid, or none that can be written down")
    if kids[kid] > 1:
        raise ValueError("its kid is that of another too")
    plain = read_jwk(_written(without_more(jwk)))
    check_public_key(plain)
    return FoundKey(kid, thumbprint(plain), _written(plain), jwk.get("use") == "enc")


def _public_half(jwk: dict[str, Any]) -> FoundKey | None:
    """Give the public half of a key whose private one was published; nothing where it is none."""
    said = ("use", "alg", "key_ops", *PRIVATE)
    named = {name: value for name, value in jwk.items() if name not in said}
    try:
        plain = read_jwk(_written(without_more(named)))
    except ValueError:
        return None
    kid = jwk.get("kid")
    is_plain = isinstance(kid, str) and _KID.match(kid) is not None
    return FoundKey(str(kid) if is_plain else "", thumbprint(plain), "", False)


def _objects(found: object) -> Iterator[dict[str, Any]]:
    """Give every object of a document; `read_json` has judged how deep they may lie."""
    if isinstance(found, dict):
        yield found
        found = list(found.values())
    if isinstance(found, list):
        for each in found:
            yield from _objects(each)


def _written(jwk: dict[str, Any]) -> str:
    return msgspec.json.encode(jwk, order="sorted").decode()
