"""Destroys the secrets of signing keys that ended, on the record: the ledger names them for ever,
and nothing is to be signed with them again.

A chore of upkeep. It waits until no worker's clock can call such a key one that signs, and makes
every process read the keys anew, so that the secret is in no memory either.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dispatcher.model.audit import CHANGES_MAX, Entry
from dispatcher.model.errors import Conflict
from dispatcher.model.keys import KeyState
from dispatcher.store.signing_keys import KeyChange, StoredKey
from dispatcher.worker.kit import Kit

CLOCKS_APART_US: Final = 3_600_000_000
"""More than the clocks of workers may be apart."""


async def destroy_ended_keys(kit: Kit) -> None:
    """Destroy what may be destroyed by now, if there is any."""
    if not await kit.registry.is_secret_left(CLOCKS_APART_US):
        return
    try:
        change, _ = await kit.registry.change_keys(_destroy)
    except Conflict:
        return  # another worker has done it
    kit.log.info("keys_destroyed", count=len(change.turned))


def _destroy(known: Sequence[StoredKey], now_us: int) -> KeyChange:
    ended = [
        replace(key, sealed=None)
        for key in known
        if key.sealed is not None and key.times.state(now_us - CLOCKS_APART_US) is KeyState.RETIRED
    ]
    if not ended:
        raise Conflict("their secrets are destroyed already", code="keys_destroyed")
    names = sorted(key.name for key in ended)
    entry = Entry(
        kind="key.destroyed",
        actor="dispatcher",
        about="signing keys that ended",
        detail={"keys": names[:CHANGES_MAX], "keys_count": len(names)},
    )
    return KeyChange(entry=entry, turned=ended)
