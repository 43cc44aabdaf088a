"""Signing keys for subscriptions that lack one of a kind they need: minted, sealed, shown once."""

from collections.abc import Callable, Iterable

from dispatcher.model.keys import KeyKind
from dispatcher.model.registry import Registry
from dispatcher.stages.sealing.signature import fingerprint, format_secret
from dispatcher.store.signing_keys import StoredKey
from dispatcher.vault.places import signing_key_place
from dispatcher.vault.sealer import Vault


def new_keys(
    registry: Registry,
    known: Iterable[StoredKey],
    vault: Vault,
    mint_secret: Callable[[], bytes],
) -> tuple[dict[str, str], list[StoredKey]]:
    """Give what the partner of each new subscription is told of its key, and what is stored."""
    have = {(key.subscription, key.kind) for key in known}
    secrets: dict[str, str] = {}
    keys: list[StoredKey] = []
    for subscription in registry.subscriptions:
        for kind in subscription.signing.kinds:
            if (subscription.name, kind) in have:
                continue
            secret = mint_secret()
            name = fingerprint(secret)
            sealed = vault.seal(secret, signing_key_place(subscription.name, name))
            keys.append(StoredKey(subscription.name, name, sealed, kind))
            if kind is KeyKind.HMAC:
                secrets[subscription.name] = format_secret(secret)
    return secrets, keys
