"""The TLS of the listener that partners call: our certificate, and theirs if they have one.

Called by `app` for the partner listener. A client certificate is asked for and not required. Whose
it is says its public key, which `partner` looks up; that it came from an authority somebody once
registered is what TLS wants before it shows the key, and proves nothing by itself.
"""

import ssl
from collections.abc import Callable

from dispatcher.model.caller import Callers
from dispatcher.network.identities import read_pair
from dispatcher.network.settings import Identity


def make_listening_context(identity: Identity, callers: Callable[[], Callers]) -> ssl.SSLContext:
    """Make the context to listen with; `callers` gives who may call now, asked at every handshake.

    Raises `ConfigInvalid` unless certificate and key are a pair that only we can read.
    """
    pair = read_pair("of the partner listener", identity)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    pair.show(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    # A certificate may be registered as its own authority, whether or not it signed itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusted: set[str] = set()

    def trust_those_of_today(*_handshake: object) -> None:
        # OpenSSL can only add; whom policy no longer lists is turned away by its key.
        for authority in callers().authorities - trusted:
            context.load_verify_locations(cadata=authority)
            trusted.add(authority)

    context.sni_callback = trust_those_of_today
    return context
