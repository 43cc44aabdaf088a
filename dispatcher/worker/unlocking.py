"""Opens payloads whose key was not at hand when their row was read; or lets the letter wait.

Used by the courier, the reader and gathering before they look into an event. Where the key cannot
be had, nothing is sent: no unwrap, no send.
"""

from dataclasses import replace

from dispatcher.model.errors import KeyMissing, KeyUnavailable
from dispatcher.model.letter import Leased
from dispatcher.model.verdict import Reason, Refusal, hold, refuse
from dispatcher.vault.payloads import unlock
from dispatcher.worker.kit import Kit


async def unlock_letter(kit: Kit, leased: Leased) -> Leased | Refusal:
    """Give the letter with its event opened, or why it cannot be."""
    if not leased.event.is_locked:
        return leased
    try:
        return replace(leased, event=await unlock(kit.vault, leased.event))
    except KeyUnavailable as error:
        kit.report("key_unavailable", error)
        return hold(Reason.KEY_UNAVAILABLE)
    except KeyMissing as error:
        kit.report("key_unavailable", error)
        return refuse(Reason.PAYLOAD_UNREADABLE, detail=error.reason)
