"""The one TLS policy: who is trusted, and what is the least that is spoken.

Called by the transport when it starts. Built by hand rather than by `create_default_context`, which
obeys the environment: a key log file or other roots named there must not reach this context. It can
never be made to skip verification.
"""

import ssl
from pathlib import Path
from typing import Final

from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.settings import NetworkSettings

SYSTEM_ROOTS: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep their roots, for builds of OpenSSL that look elsewhere."""


def make_context(settings: NetworkSettings) -> ssl.SSLContext:
    """Make the context of every connection; `ConfigInvalid` when the roots cannot be read."""
    if settings.tls_context is not None:
        return settings.tls_context
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    file = settings.ca_file or find_roots()
    try:
        if file is not None:
            context.load_verify_locations(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigInvalid(
            f"the trusted roots cannot be read: {error.strerror or 'not PEM certificates'}",
            where=file or "",
            fix="name a readable PEM file in [network] ca_file",
            code="ca_file",
        ) from None
    return context


def find_roots() -> str | None:
    """Find the system's roots as compiled in, whatever the environment says.

    With none at all the context trusts nobody: every handshake fails, none is waved through.
    """
    compiled_in = ssl.get_default_verify_paths().openssl_cafile
    return next((each for each in (compiled_in, *SYSTEM_ROOTS) if Path(each).is_file()), None)
