"""Seal the body: after this, not one byte of it changes.

Called by the courier, the prover and the reader once a letter is shaped, and by whoever shows one.
The body is the plaintext as it is, or encrypted to the partner; its hash goes into the ledger. It
never re-serialises: what is hashed, signed and written is one object. It never encrypts to another
key than the route's, and never leaves in clear what was to be encrypted.
"""

import hashlib
from collections.abc import Callable, Mapping

from dispatcher.model.letter import Sealed, Shaped
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.path import format_path
from dispatcher.model.registry import Encryption
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.sealing.encryption import JOSE, find_sensitive, header_of

Encrypt = Callable[[PartnerKey, Mapping[str, str], bytes], str | None]
"""Encrypts under a protected header, with fresh randomness; nothing where the key cannot."""


def seal(shaped: Shaped, encrypt: Encrypt) -> Sealed | Refusal:
    """Fix the body and its hash, or say why the letter may not have one."""
    cleared = shaped.admitted.cleared
    route = cleared.route
    if route.encryption is Encryption.NONE:
        sensitive = find_sensitive(shaped)
        if sensitive is not None:
            detail = f"{format_path(sensitive.path)} ({sensitive.effective}) leaves encrypted alone"
            return refuse(Reason.ENCRYPTION_REQUIRED, detail=detail)
        return _seal(shaped, shaped.plaintext, shaped.content_type)
    key = route.letter_key
    if key is None:
        return refuse(Reason.ENCRYPTION_KEY_MISSING, detail=f"{route.connector} has no key")
    body = encrypt(key, header_of(cleared, key, shaped.content_type), shaped.plaintext)
    if body is None:
        detail = f"nothing can be encrypted to {route.connector}'s key {key.kid!r}"
        return refuse(Reason.ENCRYPTION_KEY_MISSING, detail=detail)
    return _seal(shaped, body.encode(), JOSE)


def _seal(shaped: Shaped, body: bytes, content_type: str) -> Sealed:
    return Sealed(
        shaped=shaped,
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
        content_type=content_type,
    )
