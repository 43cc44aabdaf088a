"""Signing keys: made for subscriptions that lack one of a kind they need, sealed, and shown once.

A shared secret is shown to whoever activates the revision, for the partner; of an Ed25519 key only
the public half is anybody's, and that can be read at any time.
"""

import base64
from collections.abc import Callable, Iterable

from dispatcher.model.keys import KeyKind
from dispatcher.model.registry import Registry, Subscription
from dispatcher.stages.sealing.ed25519 import public_half
from dispatcher.stages.sealing.standard_webhooks import fingerprint, format_public, format_secret
from dispatcher.store.signing_keys import StoredKey
from dispatcher.vault.places import signing_key_place
from dispatcher.vault.sealer import Vault


def new_keys(
    registry: Registry,
    known: Iterable[StoredKey],
    vault: Vault,
    mint_secret: Callable[[], bytes],
) -> tuple[dict[str, str], list[StoredKey]]:
    """Give the shared secret of each new subscription, as its partner gets it, and all new keys."""
    have = {(key.connector, key.subscription, key.kind) for key in known}
    secrets: dict[str, str] = {}
    keys: list[StoredKey] = []
    for subscription in registry.subscriptions:
        for kind in subscription.signing.kinds:
            if (subscription.connector, subscription.name, kind) in have:
                continue
            secret = mint_secret()
            keys.append(seal_key(subscription, kind, secret, vault))
            if kind is KeyKind.HMAC:
                secrets[subscription.name] = format_secret(secret)
    return secrets, keys


def seal_key(subscription: Subscription, kind: KeyKind, secret: bytes, vault: Vault) -> StoredKey:
    """Close a key for storing; `secret` is 32 bytes, the seed where the kind is Ed25519."""
    name = fingerprint(kind, secret)
    place = signing_key_place(subscription.connector, subscription.name, kind, name)
    is_pair = kind is KeyKind.ED25519
    return StoredKey(
        subscription=subscription.name,
        connector=subscription.connector,
        fingerprint=name,
        sealed=vault.seal(secret, place),
        kind=kind,
        public=base64.b64encode(public_half(secret)).decode() if is_pair else "",
    )


def public_text(key: StoredKey) -> str:
    """Write the public half of an Ed25519 key as partners receive it; empty for a shared secret."""
    return format_public(base64.b64decode(key.public)) if key.public else ""
