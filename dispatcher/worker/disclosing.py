"""What the ledger is told of a letter before it leaves, whether it is sent or fetched.

Called by the courier and the reader, so that one letter is accounted for in one way. People are
named by pseudonyms, keys by fingerprints; no value is near here.
"""

from dispatcher.model.keys import live_keys
from dispatcher.model.letter import Sealed
from dispatcher.store.ledger import Disclosure
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch


def disclosure_of(kit: Kit, policy: PolicyWatch, sealed: Sealed) -> Disclosure:
    """Give the ledger's row of a letter: whom it is about, and the keys that will sign it."""
    leased = sealed.leased
    held = policy.keys.get(leased.subscription, ())
    keys = live_keys(held, sealed.cleared.route.signing, kit.clock.wall_us())
    return Disclosure(
        sealed,
        kit.vault.pseudonyms(leased.event.tenant, sealed.shaped.subjects),
        tuple(key.fingerprint for key in keys),
    )
