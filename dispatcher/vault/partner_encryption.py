"""Encrypts to a partner's key: a compact JWE (RFC 7516) that only its holder can open.

Called by `tokens` for the action `encrypt`, and by whoever seals a letter. The keys were checked
when the registry was judged or their set was found, and are read here once. It never says what it
encrypts, and never falls back to another key.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from dispatcher.model.partner_key import CONTENT_ALGORITHM, PartnerKey, describe, read_jwk

KEYS_CACHED_MAX: Final = 4096
_ALGORITHMS: Final = ["ECDH-ES+A256KW", "RSA-OAEP-256", CONTENT_ALGORITHM]


def encrypt_field(key: PartnerKey, plaintext: bytes) -> str | None:
    """Encrypt a single value to a key, or give nothing where that cannot be done with it.

    Every call takes fresh randomness, so equal values look different.
    """
    algorithm, _ = describe(key)
    header = {"alg": algorithm, "enc": CONTENT_ALGORITHM, "kid": key.kid}
    return encrypt(key, header, plaintext)


def encrypt(key: PartnerKey, header: Mapping[str, str], plaintext: bytes) -> str | None:
    """Encrypt under exactly this protected header, or give nothing where the key cannot do it."""
    try:
        # The library writes the ephemeral key into the header it is given: each call has its own.
        own = dict(header)
        return jwe.encrypt_compact(own, plaintext, _import(key.jwk), algorithms=_ALGORITHMS)
    except (JoseError, ValueError):  # a point of small order, for one, shows only here
        return None


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _import(text: str) -> Key:
    return import_key(read_jwk(text))
