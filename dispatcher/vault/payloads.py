"""Payloads of events whose key was not at hand when their row was read: opened later, by waiting.

Called by whoever is about to look into an event: the courier, the reader, a window's gathering, a
preview. Never inside a transaction.
"""

from dataclasses import replace

from dispatcher.model.errors import KeyDestroyed, SealBroken
from dispatcher.model.event import UNREADABLE, Content, Event, read_subjects
from dispatcher.vault.places import payload_place
from dispatcher.vault.sealer import Vault


async def unlock(vault: Vault, event: Event) -> Event:
    """Give the event with its payload opened; without one where its key was destroyed.

    Raises `KeyUnavailable` where it must wait, `KeyMissing` where nobody knows its key.
    """
    if not event.is_locked or event.payload is None:
        return event
    try:
        place = payload_place(event.tenant, event.id)
        content = Content.unpack(await vault.open_soon(event.payload, place), event.type)
    except KeyDestroyed:
        return replace(event, payload=None, is_locked=False)
    except SealBroken:
        content = None
    if content is None:
        return replace(event, payload=UNREADABLE, is_locked=False)
    return replace(
        event,
        payload=content.payload,
        is_locked=False,
        subjects=read_subjects(content.subjects) or (),
        subjects_text=content.subjects,
        ordering_key=content.ordering_key,
    )
