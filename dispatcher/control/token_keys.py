"""The keys of partners' tokens: made for those that have none yet, destroyed for the retired.

Called when a revision is made active, for the same transaction. Nobody is ever shown such a key.
"""

from collections.abc import Callable, Iterable

from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Registry
from dispatcher.store.token_keys import StoredTokenKey, TokenKeyChange
from dispatcher.vault.places import token_key_place
from dispatcher.vault.sealer import Vault


def new_token_keys(
    registry: Registry,
    known: Iterable[StoredTokenKey],
    vault: Vault,
    mint_secret: Callable[[], bytes],
) -> TokenKeyChange:
    """Give the keys that this registry's partners lack, and the partners whose keys must go."""
    held = list(known)
    have = {(key.connector, key.version) for key in held}
    live = {key.connector for key in held if not key.is_destroyed}
    made, destroyed = [], []
    for connector in registry.connectors:
        name, version = connector.name, connector.token_version
        if connector.state is ConnectorState.RETIRED:
            if name in live:
                destroyed.append(name)
        elif (name, version) not in have:
            sealed = vault.seal(mint_secret(), token_key_place(name, version))
            made.append(StoredTokenKey(name, version, sealed))
    return TokenKeyChange(made, destroyed)
