"""By which credentials a partner's own services are known when they fetch what a ticket names.

Part of a connector's document, compiled into the snapshot, asked by `partner` for every request. A
ticket alone opens nothing: whoever shows it must be one of these as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from dispatcher.model.paper import STRICT


class CallerKind(StrEnum):
    """How a caller shows who it is."""

    SIGNATURE = "signature"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One credential of a partner; `kid` names it in requests and in the ledger.

    A `signature` is made with the private half of `key` (PEM; Ed25519 or P-256). A `certificate`
    has the public key `pin` (`sha256/BASE64`) and is issued by an authority of `ca` (PEM), which
    may be the certificate itself.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    kid: str
    kind: CallerKind
    key: str = ""
    pin: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """A credential, and the connector whose it is."""

    connector: str
    caller: Caller


@dataclass(frozen=True, slots=True)
class Callers:
    """Everybody who may fetch: signatures by key id, certificates by pin (a partner's own may serve
    several of its connectors), and the authorities a certificate may come from."""

    by_kid: Mapping[str, Known] = field(default_factory=dict)
    by_pin: Mapping[str, tuple[Known, ...]] = field(default_factory=dict)
    authorities: frozenset[str] = frozenset()
