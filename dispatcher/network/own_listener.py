"""May an address of this machine be listened on, and is it us who listen there already?

Asked by `doctor` about the partner listener. It binds and lets go again, and where something stands
it shakes hands and leaves; it asks for nothing. It trusts one certificate, our own, and no
authority.
"""

import asyncio
import errno
import ssl
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import (
    DNSName,
    ExtensionNotFound,
    IPAddress,
    SubjectAlternativeName,
    load_pem_x509_certificate,
)

_ANY_HOST: Final = "localhost"


async def is_free(host: str, port: int) -> bool:
    """Say whether it can be listened on; `OSError` where it never could, whoever else listens."""
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    server.close()
    await server.wait_closed()
    return True


async def is_ours(host: str, port: int, chain: bytes, seconds: float) -> bool:
    """Say whether what listens there proves to have the key of the first certificate of `chain`.

    Not, where that certificate names nobody, or is out of its dates.
    """
    names = names_of(chain)
    if not names:
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own = load_pem_x509_certificate(chain).public_bytes(Encoding.DER)
    context.load_verify_locations(cadata=own)
    # It is trusted for itself, whoever issued it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    name = names[0].replace("*", "any", 1)
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(
                host or _ANY_HOST, port, ssl=context, server_hostname=name
            )
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


def names_of(chain: bytes) -> tuple[str, ...]:
    """Give the hosts and addresses that the first certificate of a PEM text is for."""
    try:
        found = load_pem_x509_certificate(chain).extensions.get_extension_for_class(
            SubjectAlternativeName
        )
    except (ExtensionNotFound, ValueError):
        return ()
    hosts = (each.lower() for each in found.value.get_values_for_type(DNSName))
    return (*hosts, *map(str, found.value.get_values_for_type(IPAddress)))
