"""Where this machine keeps its trusted roots, whatever the environment says.

Asked by `tls`, and at start, to tell a variable that names the machine's own roots from one that
would swap them: before anything is loaded that obeys such a variable. Reads paths alone.
"""

import ssl
from pathlib import Path
from typing import Final

SYSTEM_ROOTS: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep their roots, for builds of OpenSSL that look elsewhere."""


def known_roots(ca_file: Path | None) -> frozenset[Path]:
    """Give the real path of every file and folder of roots that are used anyway."""
    compiled_in = ssl.get_default_verify_paths()
    found = find_roots()
    named = [Path(each) for each in (compiled_in.openssl_cafile, *SYSTEM_ROOTS)]
    named += [Path(compiled_in.openssl_capath)]
    named += [Path(found).parent] if found is not None else []
    named += [ca_file] if ca_file is not None else []
    return frozenset(each.resolve() for each in named if each.exists())


def find_roots() -> str | None:
    """Find the system's roots as compiled in, whatever the environment says.

    With none at all the context trusts nobody: every handshake fails, none is waved through.
    """
    compiled_in = ssl.get_default_verify_paths().openssl_cafile
    return next((each for each in (compiled_in, *SYSTEM_ROOTS) if Path(each).is_file()), None)
