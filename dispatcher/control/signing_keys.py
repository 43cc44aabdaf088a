"""Signing secrets for subscriptions that have none yet: minted, sealed, and shown once."""

from collections.abc import Callable, Iterable

from dispatcher.model.registry import Registry
from dispatcher.stages.sealing.signature import fingerprint, format_secret
from dispatcher.store.registry import StoredKey
from dispatcher.vault.places import signing_key_place
from dispatcher.vault.sealer import Vault


def new_keys(
    registry: Registry,
    known: Iterable[StoredKey],
    vault: Vault,
    mint_secret: Callable[[], bytes],
) -> tuple[dict[str, str], list[StoredKey]]:
    """Give the secret of each new subscription, as its partner gets it, and what is stored."""
    have = {key.subscription for key in known}
    secrets: dict[str, str] = {}
    keys: list[StoredKey] = []
    for subscription in registry.subscriptions:
        if subscription.name in have:
            continue
        secret = mint_secret()
        name = fingerprint(secret)
        sealed = vault.seal(secret, signing_key_place(subscription.name, name))
        keys.append(StoredKey(subscription.name, name, sealed))
        secrets[subscription.name] = format_secret(secret)
    return secrets, keys
