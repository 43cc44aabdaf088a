"""Encrypts a single value to a partner's key: a compact JWE (RFC 7516) that only they can open.

Called by `tokens` for the action `encrypt`. The keys were checked when the registry was judged, and
are read here once. It never says what it encrypts, and never falls back to another key.
"""

from functools import lru_cache
from typing import Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from dispatcher.model.partner_key import PartnerKey, algorithm_of, read_jwk

CONTENT_ALGORITHM: Final = "A256GCM"
KEYS_CACHED_MAX: Final = 4096
_ALGORITHMS: Final = ["ECDH-ES+A256KW", "RSA-OAEP-256", CONTENT_ALGORITHM]


def encrypt_field(key: PartnerKey, plaintext: bytes) -> str | None:
    """Encrypt to a key, or give nothing where that cannot be done with it.

    Every call takes fresh randomness, so equal values look different.
    """
    try:
        imported, algorithm = _import(key.jwk)
        # The library writes into the header it is given, so each call has its own.
        header = {"alg": algorithm, "enc": CONTENT_ALGORITHM, "kid": key.kid}
        return jwe.encrypt_compact(header, plaintext, imported, algorithms=_ALGORITHMS)
    except (JoseError, ValueError):  # a point of small order, for one, shows only here
        return None


@lru_cache(maxsize=KEYS_CACHED_MAX)
def _import(text: str) -> tuple[Key, str]:
    jwk = read_jwk(text)
    return import_key(jwk), algorithm_of(jwk)
