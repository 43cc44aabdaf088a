"""What an operator can tune about the way out: one frozen record, composed by `app.config`.

Read by the transport and the dialer. Nothing here can make an address reachable that the gates
refuse, save `loopback_inboxes`, which `app` fills in development alone.
"""

import ssl
from dataclasses import dataclass, field
from ipaddress import IPv6Network

from dispatcher.model.host import Network
from dispatcher.stages.gates.addresses import AddressRules


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Limits of the way out.

    `ca_file` replaces the system's trusted roots. `tls_context` replaces the whole TLS policy and
    exists for tests; no configuration key sets it. `loopback_inboxes` lists the exact
    `(address, port)` pairs on loopback that may be dialled; `nat64` and `forbidden` are for the
    gates' `AddressRules`.
    """

    connect_seconds: float = 5.0
    answer_bytes_max: int = 65536
    keepalive_seconds: float = 60.0
    close_after_each: bool = False
    connections_per_partner_max: int = 1024
    interim_answers_max: int = 8
    ca_file: str | None = None
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)
    loopback_inboxes: frozenset[tuple[str, int]] = frozenset()
    nat64: tuple[IPv6Network, ...] = ()
    forbidden: frozenset[Network] = frozenset()

    @property
    def address_rules(self) -> AddressRules:
        """What the gates and the dialer judge addresses by, beside the table."""
        return AddressRules(
            loopback=self.loopback_inboxes, nat64=self.nat64, forbidden=self.forbidden
        )
