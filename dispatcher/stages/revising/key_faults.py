"""What is wrong with the keys of a partner, that single fields are encrypted to."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import import_key

from dispatcher.model.partner_key import PartnerKey, read_jwk
from dispatcher.stages.revising.fault import Fault

_KID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


def check_keys(of: str, keys: tuple[PartnerKey, ...]) -> Iterator[Fault]:
    """Find every fault of a connector's keys; no text of a key is repeated."""
    for kid, count in Counter(key.kid for key in keys).items():
        where = f"{of}: keys {kid!r}"
        if count > 1:
            yield Fault(where, f"listed {count} times", "give each key its own kid")
        if not _KID.match(kid):
            fix = "write 1 to 64 letters, digits, dots, dashes or underscores"
            yield Fault(where, "its kid is not one that a grant can name", fix)
    for key in keys:
        try:
            import_key(read_jwk(key.jwk))
        except (JoseError, ValueError) as error:
            fix = "paste the partner's public JWK: EC P-256, OKP X25519, or RSA of 2048 bits"
            yield Fault(f"{of}: keys {key.kid!r}", f"no key to encrypt to: {error}", fix)
