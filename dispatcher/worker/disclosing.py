"""What the ledger is told of a letter before it leaves, whether it is sent or fetched.

Called by the courier and the reader, so that one letter is accounted for in one way. People are
named by pseudonyms, keys by fingerprints; no value is near here.
"""

from collections.abc import Iterator

from dispatcher.model.keys import live_keys
from dispatcher.model.letter import Sealed
from dispatcher.model.partner_key import describe
from dispatcher.store.ledger import Disclosure
from dispatcher.worker.kit import Kit
from dispatcher.worker.policy import PolicyWatch


def disclosure_of(kit: Kit, policy: PolicyWatch, sealed: Sealed) -> Disclosure:
    """Give the ledger's row of a letter: whom it is about, which keys sign and encrypt it."""
    return Disclosure(
        sealed,
        kit.vault.pseudonyms(sealed.leased.event.tenant, sealed.shaped.subjects),
        _key_ids(kit, policy, sealed),
    )


def has_same_keys(kit: Kit, policy: PolicyWatch, row: Disclosure) -> bool:
    """True while the keys that sign now are those that the ledger has."""
    return _key_ids(kit, policy, row.sealed) == row.key_ids


def _key_ids(kit: Kit, policy: PolicyWatch, sealed: Sealed) -> tuple[str, ...]:
    held = policy.keys.get(sealed.leased.subscription, ())
    keys = live_keys(held, sealed.cleared.route.signing, kit.clock.wall_us())
    return (*(key.fingerprint for key in keys), *_encrypting(sealed))


def _encrypting(sealed: Sealed) -> Iterator[str]:
    """Name the key a letter is encrypted to by its content: a partner chooses its kids freely."""
    key = sealed.cleared.route.letter_key
    if key is not None:
        _, thumbprint = describe(key)
        yield f"jwe:{thumbprint}"
