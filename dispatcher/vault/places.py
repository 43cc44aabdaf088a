"""Where each kind of sealed record lies: one function a kind, used to seal and to open alike.

A record opens only at its own place, so a blob moved to another row, column or tenant is refused.
"""

from typing import Final

from dispatcher.model.keys import KeyKind
from dispatcher.vault.sealer import Place

REGISTRY: Final = ""
"""Stands for the tenant of what belongs to no one tenant."""


def payload_place(tenant: str, event_id: str) -> Place:
    """Say where an event's payload lies."""
    return Place(table="events", column="payload", tenant=tenant, row=event_id)


def signing_key_place(connector: str, subscription: str, kind: KeyKind, fingerprint: str) -> Place:
    """Say where a subscription's signing secret lies; it belongs to no one tenant.

    Whose it is and what it signs with are part of that: no partner may know another one's, and
    whoever has a shared secret must not have a private key.
    """
    row = f"{connector}/{subscription}/{kind}/{fingerprint}"
    return Place(table="signing_keys", column="sealed", tenant=REGISTRY, row=row)


def credential_place(connector: str, destination: str, credential: str) -> Place:
    """Say where a header's secret value lies: it opens for one partner and one endpoint alone."""
    row = f"{credential}/{connector}/{destination}"
    return Place(table="credentials", column="sealed", tenant=REGISTRY, row=row)


def reply_place(principal: str, key: str) -> Place:
    """Say where an answer lies that is given again for the same idempotency key."""
    return Place(table="replies", column="sealed", tenant=REGISTRY, row=f"{principal}/{key}")


def token_key_place(connector: str, version: int) -> Place:
    """Say where the secret lies that a partner's tokens hang on."""
    return Place(table="token_keys", column="sealed", tenant=REGISTRY, row=f"{connector}/{version}")
