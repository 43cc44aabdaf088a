"""Sign a letter, as its endpoint's profile wants it, in the instant before the first byte.

`depart` is called for couriers and readers, by the prover and by previews; whichever it is, there
is no await between it and the write, so the timestamp is that of the attempt. It signs the very
bytes that are written, with every key that signs at that instant, and gives no headers at all
where a kind of key is missing. `depart_by` is for trials of one key, of which no letter is made.
"""

from typing import Final

from dispatcher.model.keys import KeyKind, SigningKey, SigningProfile, live_keys
from dispatcher.model.letter import Departure, Sealed, Stopped
from dispatcher.model.verdict import Reason
from dispatcher.stages.sealing.compat_signature import sign_compat
from dispatcher.stages.sealing.encryption import check_body
from dispatcher.stages.sealing.message_signature import sign_message
from dispatcher.stages.sealing.standard_webhooks import sign_tokens

_MESSAGE_SIGNATURES: Final = (SigningProfile.RFC9421_ED25519, SigningProfile.RFC9421_HMAC)


def depart(
    sealed: Sealed, keys: tuple[SigningKey, ...], now_seconds: int, *, is_answer: bool = False
) -> Departure | Stopped:
    """Make the headers of this attempt: one signature for each live key, in the order given.

    `is_answer` signs it as the answer to a partner's fetch. Nothing is signed whose bytes are not
    as the subscription has them.
    """
    signing = live_keys(keys, sealed.cleared.route.signing, now_seconds * 1_000_000)
    return depart_by(signing, sealed, now_seconds, is_answer=is_answer)


def depart_by(
    signing: tuple[SigningKey, ...], sealed: Sealed, now_seconds: int, *, is_answer: bool = False
) -> Departure | Stopped:
    """Make the headers of this attempt with just these keys, whatever others there are."""
    stopped = check_body(sealed)
    if stopped is not None:
        return stopped
    if not signing:
        return Stopped(Reason.SIGNING_KEY_MISSING)
    cleared, body = sealed.cleared, sealed.body
    route = cleared.route
    webhook_id = cleared.leased.webhook_id
    headers: tuple[tuple[str, str], ...] = (
        ("webhook-id", webhook_id),
        ("webhook-timestamp", str(now_seconds)),
    )
    if route.signing in _MESSAGE_SIGNATURES:
        endpoint = None if is_answer else route.endpoint
        headers += sign_message(
            signing, endpoint, sealed.content_type, body, webhook_id, now_seconds
        )
    else:
        content = f"{webhook_id}.{now_seconds}.".encode() + body
        headers += (("webhook-signature", sign_tokens(signing, content)),)
    compat = route.compat_signature
    if compat is not None and signing[0].kind is KeyKind.HMAC:  # a shared key, if any, comes first
        value = sign_compat(compat.style, signing, body, now_seconds)
        headers += ((compat.header, value),)
    return Departure(headers, tuple(key.fingerprint for key in signing))
