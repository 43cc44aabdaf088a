"""What can go wrong before there is a connection, and its stable name.

The dialer raises and the transport catches; foreign exceptions end here. No name tells a partner or
a submitter which address was refused.
"""

import errno
import ssl
from typing import Final

from aiohttp.client_exceptions import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientResponseError,
    ServerDisconnectedError,
)

from dispatcher.model.letter import Trouble
from dispatcher.model.tls import Peer

CONNECT_ERRORS: Final = (OSError, ClientError, RuntimeError)
"""What taking a connection can raise: the event loop uvloop adds `RuntimeError` to the list."""


class AddressForbidden(OSError):
    """An address outside the letter's vetted set."""

    def __init__(self) -> None:
        # No address in the text: several such errors must look alike to be reported as one.
        super().__init__(errno.EACCES, "the address was not vetted for this letter")


class SourceMissing(OSError):
    """No address of this machine was named for connections of that family."""

    def __init__(self) -> None:
        super().__init__(errno.EADDRNOTAVAIL, "no address to leave from in this family")


class PlainThroughProxy(OSError):
    """Without TLS the proxy would read the letter, and could answer in the partner's name."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "nothing goes through a proxy without TLS")


class ConnectionSpoiled(ConnectionError):
    """A new connection that closed, or spoke, before it was spoken to."""


class PinMismatch(ConnectionError):
    """A new connection to somebody whose public key is none of those the letter may go to."""

    def __init__(self, peer: Peer) -> None:
        super().__init__("the public key is not pinned")
        self.peer = peer


class IdentityTurned(ConnectionError):
    """A new connection that was dialled with a client certificate that is not shown any more."""


class TermsUnmet(OSError):
    """TLS terms that cannot be kept here: an authority or an identity that does not load."""


def connect_trouble(error: Exception) -> Trouble:
    """Name what went wrong before there was a connection: nothing has been sent."""
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    match cause:
        case ssl.SSLError() | TermsUnmet() | ConnectionResetError() | ConnectionAbortedError():
            # Connecting itself is refused, never reset: what is cut short here is a handshake.
            code = "tls_failed"
        case AddressForbidden():
            code = "address_forbidden"
        case SourceMissing():
            code = "source_missing"
        case PlainThroughProxy():
            code = "proxy_needs_tls"
        case _ if isinstance(error, ClientProxyConnectionError):
            code = "proxy_unreachable"
        case ClientHttpProxyError(status=status):
            code = f"proxy_http_{status}"
        case ClientResponseError() | ServerDisconnectedError():
            # Nothing but a proxy is listened to before there is a connection.
            code = "proxy_failed"
        case TimeoutError():
            code = "connect_timeout"
        case ConnectionSpoiled():
            code = "connection_lost"
        case OSError(errno=errno.ECONNREFUSED):
            code = "connect_refused"
        case _:
            code = "connect_failed"
    return Trouble(code, is_begun=False)
