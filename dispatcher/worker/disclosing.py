"""What the ledger is told of a letter before it leaves, whether it is sent or fetched.

Called by the courier and the reader, so that one letter is accounted for in one way, and signed as
it was accounted for. People are named by pseudonyms, keys by fingerprints; no value is near here.
"""

from collections.abc import Iterator

from dispatcher.model.keys import live_keys
from dispatcher.model.letter import Departure, Sealed, Stopped
from dispatcher.model.partner_key import describe
from dispatcher.model.verdict import Reason
from dispatcher.stages.sealing.signature import depart
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


def sign_disclosed(
    kit: Kit, policy: PolicyWatch, row: Disclosure, *, is_answer: bool = False
) -> Departure | Stopped:
    """Sign in the instant before the first byte, by just those keys that the ledger names."""
    keys = policy.keys.get(row.sealed.leased.subscription, ())
    departure = depart(row.sealed, keys, _now_seconds(kit), is_answer=is_answer)
    if isinstance(departure, Departure) and row.key_ids != (
        *departure.signed_by,
        *_encrypting(row.sealed),
    ):
        return Stopped(Reason.POLICY_CHANGED)
    return departure


def _key_ids(kit: Kit, policy: PolicyWatch, sealed: Sealed) -> tuple[str, ...]:
    held = policy.keys.get(sealed.leased.subscription, ())
    keys = live_keys(held, sealed.cleared.route.signing, _now_seconds(kit) * 1_000_000)
    return (*(key.fingerprint for key in keys), *_encrypting(sealed))


def _now_seconds(kit: Kit) -> int:
    """Give the time as a signature tells it: what the ledger has is judged by the same."""
    return kit.clock.wall_us() // 1_000_000


def _encrypting(sealed: Sealed) -> Iterator[str]:
    """Name the key a letter is encrypted to by its content: a partner chooses its kids freely."""
    key = sealed.cleared.route.letter_key
    if key is not None:
        _, thumbprint = describe(key)
        yield f"jwe:{thumbprint}"
