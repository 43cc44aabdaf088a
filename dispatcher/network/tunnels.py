"""The forward proxy, where a network lets nothing out but through one: asked for tunnels only.

Used by the dialer. The proxy is told an address and a port that the gates vetted, never a name, and
its credentials; what the partner is told travels inside TLS, which ends at the partner. It must
never be asked to fetch anything, nor be reached by another address than the operator wrote.
"""

import base64
import ssl
from typing import Final

from aiohttp import ClientRequest
from yarl import URL

from dispatcher.model.endpoint import Endpoint
from dispatcher.network.settings import Proxy
from dispatcher.network.wire import USER_AGENT

TUNNELS_MAX: Final = 64
"""Addresses of one endpoint that are remembered."""


class Tunnels:
    """The tunnels to one endpoint: a description for each vetted address, as aiohttp wants it."""

    def __init__(self, endpoint: Endpoint, proxy: Proxy, context: ssl.SSLContext) -> None:
        self._endpoint = endpoint
        self._context = context
        self._url = URL.build(scheme="http", host=proxy.address, port=proxy.port)
        self._headers = {"User-Agent": USER_AGENT}
        if proxy.user:
            word = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
            self._headers["Proxy-Authorization"] = f"Basic {word}"
        self._requests: dict[str, ClientRequest] = {}
        self._last = ""

    def ordered(self, addresses: tuple[str, ...]) -> list[str]:
        """Give the addresses in the order to try: the one that worked last, then as they came."""
        return sorted(addresses, key=lambda address: address != self._last)

    def note(self, address: str) -> None:
        """Remember which address worked."""
        self._last = address

    def request(self, address: str) -> ClientRequest:
        """Describe the tunnel to one address; the partner is verified by its name."""
        found = self._requests.get(address)
        if found is None:
            if len(self._requests) >= TUNNELS_MAX:
                self._requests.clear()
            to = URL.build(scheme="https", host=address, port=self._endpoint.port, path="/")
            found = self._requests[address] = ClientRequest(
                "POST",
                to,
                proxy=self._url,
                # With `Host` from the start: aiohttp adds it, and pools by what is in here.
                proxy_headers={"Host": _authority(to), **self._headers},
                server_hostname=self._endpoint.host,
                ssl=self._context,
            )
        return found


def _authority(url: URL) -> str:
    return url.host_port_subcomponent or ""
