"""Proof that an endpoint is the partner's own, as somebody once showed it.

Read with the policy, judged by `stages.gates.ownership`, won by `worker.prover` and written by
`store.proofs`. A proof is for one connector and one place: scheme, host, port and path. Another
path, port or host is another place, and has shown nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dispatcher.model.endpoint import Endpoint
from dispatcher.model.ids import Revision

TXT_LABEL: Final = "_dispatcher-challenge"
TXT_PREFIX: Final = "dispatcher-proof="

ProofKey = tuple[str, str]
"""A connector, and a place of it."""


class ProofMethod(StrEnum):
    """How it was shown: the endpoint repeated a challenge, or its host's DNS bore our token."""

    ECHO = "echo"
    DNS = "dns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One endpoint that was proven: by which worker, under which revision, when."""

    connector: str
    place: str
    method: ProofMethod
    proven_us: int
    proven_by: str
    revision: Revision

    @property
    def key(self) -> ProofKey:
        """What it is a proof of."""
        return self.connector, self.place


@dataclass(frozen=True, slots=True)
class Unproven:
    """A challenge that failed: why nothing was echoed, and why no record spoke for the host."""

    echo: str
    dns: str


def proof_key(connector: str, endpoint: Endpoint) -> ProofKey:
    """Say what a proof of this endpoint is filed under. The query is none of it."""
    return connector, f"{endpoint.origin}{endpoint.path}"


def txt_name(endpoint: Endpoint) -> str | None:
    """Name the DNS record that speaks for the endpoint's host; an address has none."""
    return None if endpoint.literal is not None else f"{TXT_LABEL}.{endpoint.host}"
