"""Steps 4 and 5 of the road: from a cleared letter to one whose every address is vetted.

Called by the courier and by the prover, so that a challenge is guarded as a letter is, by the same
lines. It never dials, and never gives an address that the gates have not seen.
"""

from dispatcher.model.letter import Admitted, Cleared, Trouble
from dispatcher.model.verdict import Refusal
from dispatcher.stages.gates.addresses import admit
from dispatcher.worker.kit import Kit, Step


async def reach(kit: Kit, cleared: Cleared) -> Admitted | Refusal | Trouble:
    """Resolve the letter's host, once, and have the gates judge everything it resolved to."""
    route = cleared.route
    kit.step(Step.RESOLVE)
    resolved = await kit.resolver.resolve(
        route.endpoint.host, is_private=bool(route.private_ranges)
    )
    if isinstance(resolved, Trouble):
        return resolved
    kit.step(Step.ADMIT)
    return admit(cleared, resolved, kit.settings.address_rules)
