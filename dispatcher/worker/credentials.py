"""The secret headers that some partners want, opened for the place that each is bound to.

Called by the policy watch with each reading. A value opens only for the connector and endpoint it
was entered for; one that does not open counts as destroyed.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from dispatcher.model.credential import Credential
from dispatcher.model.errors import DispatcherError
from dispatcher.model.headers import Headers
from dispatcher.model.registry import Registry
from dispatcher.stages.sealing.stored_headers import Opened
from dispatcher.store.credentials import StoredCredential
from dispatcher.vault.places import credential_place
from dispatcher.vault.sealer import Place
from dispatcher.worker.kit import Kit


def open_credentials(
    kit: Kit,
    registry: Registry,
    stored: Iterable[StoredCredential],
    open_secret: Callable[[bytes, Place], bytes],
) -> tuple[tuple[Credential, ...], Opened]:
    """Give the credentials as the snapshot is compiled by, and the headers they make."""
    connectors = {each.name: each.connector for each in registry.subscriptions}
    held: list[Credential] = []
    opened: dict[tuple[str, str], Headers] = {}
    for each in stored:
        found = each.credential
        connector = connectors.get(found.subscription)
        if connector is None or not found.is_bound(found.destination) or each.sealed is None:
            held.append(found)
            continue
        place = credential_place(connector, found.destination, found.id)
        try:
            value = open_secret(each.sealed, place).decode("ascii")
        except (DispatcherError, UnicodeDecodeError) as error:
            # Not sent, so the lanes of its subscription close.
            code = error.reason if isinstance(error, DispatcherError) else "not_text"
            kit.log.error("credential_unreadable", subscription=found.subscription, reason=code)
            held.append(replace(found, destroyed_us=found.entered_us))
            continue
        held.append(found)
        key = found.subscription, found.destination
        opened[key] = (*opened.get(key, ()), (found.header, value))
    return tuple(held), opened
