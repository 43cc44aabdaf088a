"""Seal the body: after this, not one byte of it changes.

Called by the courier and the prover once a letter is shaped. The body is the plaintext as it is;
its hash goes into the ledger. It never re-serialises: what is hashed, signed and written is one
object.
"""

import hashlib

from dispatcher.model.letter import Sealed, Shaped


def seal(shaped: Shaped) -> Sealed:
    """Fix the body and its hash."""
    return Sealed(
        shaped=shaped,
        body=shaped.plaintext,
        body_sha256=hashlib.sha256(shaped.plaintext).digest(),
        content_type=shaped.content_type,
    )
