"""Where this machine keeps its trusted roots, whatever the environment says.

Asked at start, to tell a variable that names the machine's own roots from one that would swap them,
and by `doctor`. Reads paths alone, never a certificate.
"""

import ssl
from pathlib import Path

from dispatcher.network.tls import SYSTEM_ROOTS, find_roots


def known_roots(ca_file: Path | None) -> frozenset[Path]:
    """Give the real path of every file and folder of roots that are used anyway."""
    compiled_in = ssl.get_default_verify_paths()
    found = find_roots()
    named = [Path(each) for each in (compiled_in.openssl_cafile, *SYSTEM_ROOTS)]
    named += [Path(compiled_in.openssl_capath)]
    named += [Path(found).parent] if found is not None else []
    named += [ca_file] if ca_file is not None else []
    return frozenset(each.resolve() for each in named if each.exists())
