"""Standard Webhooks: is one of the signatures in `webhook-signature` by a key that we were told?

Called by `opening`. `v1` is HMAC-SHA256, `v1a` is Ed25519, both over id, timestamp and the body as
it came; during a rotation the header holds several, and versions nobody knows are skipped.
"""

import base64
from collections.abc import Sequence
from typing import Final

from dispatcher.receiver.keys import PublicKey, Secret
from dispatcher.receiver.refusals import Why

SIGNATURES_MAX: Final = 16
"""How many are looked at: whoever sends more wants us to work."""


def judge_standard(
    header: str, content: bytes, secrets: Sequence[Secret], public_keys: Sequence[PublicKey]
) -> Why | None:
    """Say what is wrong with the signatures over this content, or nothing."""
    by_version: dict[str, Sequence[Secret | PublicKey]] = {"v1": secrets, "v1a": public_keys}
    is_known = False
    for token in header.split(" ")[:SIGNATURES_MAX]:
        version, _, encoded = token.partition(",")
        keys = by_version.get(version, ())
        if not keys:
            continue
        is_known = True
        try:
            signature = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        if any(key.is_signer(signature, content) for key in keys):
            return None
    return Why.SIGNATURE_WRONG if is_known else Why.SIGNATURE_UNKNOWN
