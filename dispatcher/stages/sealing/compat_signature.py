"""Older styles of signature, in a header beside the real one, while a partner moves over.

    t_v1     `t=<seconds>,v1=<hex>[,v1=<hex>]` over timestamp, dot and body
    sha256   `sha256=<hex>` over the body alone: nothing keeps it from being played again

The key is the text of the secret as the partner got it, which is what receivers of these styles
take. Called by `signature`; it never stands alone.
"""

import hmac

from dispatcher.model.keys import CompatStyle, KeyKind, SigningKey
from dispatcher.stages.sealing.standard_webhooks import format_secret


def sign_compat(
    style: CompatStyle, keys: tuple[SigningKey, ...], body: bytes, now_seconds: int
) -> str:
    """Give the header's value. `sha256` has room for one key: the newest."""
    secrets = [format_secret(key.secret).encode() for key in keys if key.kind is KeyKind.HMAC]
    if style is CompatStyle.SHA256:
        return f"sha256={_code(secrets[0], body)}"
    content = f"{now_seconds}.".encode() + body
    return ",".join((f"t={now_seconds}", *(f"v1={_code(secret, content)}" for secret in secrets)))


def _code(secret: bytes, content: bytes) -> str:
    return hmac.digest(secret, content, "sha256").hex()
