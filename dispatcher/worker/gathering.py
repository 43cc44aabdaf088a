"""Step 6 of the road for the letter of a window: gather the events it sums up, page by page.

Called by `shaping` in place of `shape`. No more than a page of payloads is in hand at a time. The
window took nobody in since its letter was leased, so every attempt gathers the same events.
"""

from typing import Final

from dispatcher.model.errors import DispatcherError, KeyUnavailable
from dispatcher.model.ids import WindowId
from dispatcher.model.letter import Admitted, Shaped
from dispatcher.model.verdict import Reason, Refusal, hold, refuse
from dispatcher.stages.shaping.summary import Tally, shape_window
from dispatcher.stages.shaping.tokens import Tokens
from dispatcher.store.windows import WindowStore
from dispatcher.vault.payloads import unlock
from dispatcher.vault.sealer import Vault

PAGE: Final = 256
"""Events in hand at a time; between two pages the other couriers go on."""


async def gather(
    windows: WindowStore, vault: Vault, admitted: Admitted, window_id: WindowId, tokens: Tokens
) -> Shaped | Refusal:
    """Sum up a window; where its events cannot be read right now, the letter is held."""
    tally, after = Tally(admitted.cleared, tokens), 0
    try:
        window = await windows.window(window_id)
        while members := await windows.members(window_id, after=after, limit=PAGE):
            for event in members:
                refusal = tally.take(await unlock(vault, event))
                if refusal is not None:
                    return refusal
            after = members[-1].seq
    except KeyUnavailable:
        return hold(Reason.KEY_UNAVAILABLE)
    except DispatcherError as error:
        return hold(Reason.WINDOW_UNAVAILABLE, detail=error.reason)
    if window is None or not tally.count:
        return refuse(Reason.EVENT_UNREADABLE, detail="its window is gone")
    return shape_window(admitted, window, tally)
