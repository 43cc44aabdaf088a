"""Shapes one letter with its tokens, and tells what shaping found on the way.

Called by the courier for what is sent and by the reader for what is fetched, so that both are one.
"""

from dispatcher.model.letter import Admitted, Shaped
from dispatcher.model.verdict import Reason, Refusal, hold
from dispatcher.worker.gathering import gather
from dispatcher.worker.kit import Kit
from dispatcher.worker.leaks import tell_findings
from dispatcher.worker.tokens import LetterTokens, TokenDesk


async def shape_letter(
    kit: Kit, desk: TokenDesk, admitted: Admitted, tokens: LetterTokens
) -> Shaped | Refusal:
    """Give the exact plaintext, or why there is none; findings are durable before it is given."""
    leased = admitted.cleared.leased
    if not await desk.open_key(admitted.cleared.route):
        return hold(Reason.KEY_UNAVAILABLE)
    if leased.window_id is None:
        shaped = await desk.shape(admitted, tokens)
    else:
        shaped = await gather(kit.windows, kit.vault, admitted, leased.window_id, tokens)
    if shaped.findings and not await tell_findings(kit, leased, shaped.findings):
        return hold(Reason.LEDGER_UNAVAILABLE)
    if isinstance(shaped, Shaped) and shaped.dropped:
        labels = (admitted.cleared.route.subscription, leased.event.type)
        kit.metrics.fields_dropped.labels(*labels).inc(len(shaped.dropped))
    return shaped
