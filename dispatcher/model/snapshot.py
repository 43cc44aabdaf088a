"""What a worker obeys at one instant: one revision and one switch epoch, compiled and immutable.

Made by `stages.revising.compile_snapshot`; read by fan-out and the gates. Two snapshots are never
mixed inside one judgement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatcher.model.caller import Callers
from dispatcher.model.classification import Sensitivity
from dispatcher.model.endpoint import Endpoint
from dispatcher.model.headers import Headers
from dispatcher.model.ids import Epoch, Lane, Revision
from dispatcher.model.key_set import KeySet
from dispatcher.model.keys import CompatSignature, SigningProfile
from dispatcher.model.leak import DEFAULT_RULES, LeakRule
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.producers import Producers
from dispatcher.model.registry import Encryption, EventType, Limits, Policy, WireFormat
from dispatcher.model.scope import Scope
from dispatcher.model.switch import Switch
from dispatcher.model.tls import Tls
from dispatcher.model.verdict import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One subscription, compiled: where it leads, for whom, how, and which fields it may carry.

    `private_ranges` are where its host may answer besides public addresses. `is_reported`: nothing
    lists the endpoint, and the connector only reports that.
    `window_seconds` is how long a time each letter sums up, where letters do that.
    `alias_zones` are where the aliases of its host must lie; none: anywhere. `leak_rules` are those
    in force, and say something of every detector. Its thin letters bear tickets that count for
    `ticket_seconds` and `ticket_uses`; 0: none.
    An encrypted letter goes to `letter_key` alone, if there is one; one that discloses a field of
    the class `encrypt_from` must be encrypted, where a class is named.
    """

    subscription: str
    connector: str
    purpose: str
    legal_basis: str
    agreement: str
    country: str
    endpoint: Endpoint
    private_ranges: tuple[str, ...] = ()
    is_reported: bool = False
    tenants: frozenset[str]
    scopes: Mapping[str, Scope]
    window_seconds: int | None = None
    format: WireFormat = WireFormat.STANDARD
    signing: SigningProfile = SigningProfile.V1
    compat_signature: CompatSignature | None = None
    limits: Limits = field(default=Limits())
    keys: tuple[PartnerKey, ...] = ()
    encryption: Encryption = Encryption.NONE
    letter_key: PartnerKey | None = None
    encrypt_from: Sensitivity | None = None
    leak_rules: tuple[LeakRule, ...] = DEFAULT_RULES
    retry_seconds: tuple[float, ...]
    attempt_seconds: float
    concurrency: int
    rate_per_second: float | None = None
    alias_zones: tuple[str, ...] = ()
    tls: Tls = field(default=Tls())
    close_after_each: bool = False
    headers: Headers = ()
    token_version: int = 1
    ticket_seconds: int = 0
    ticket_uses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRoute:
    """Where a partner publishes its keys, and why they may not be fetched now, if so.

    `kids` are those that its subscriptions name.
    """

    route: Route
    key_set: KeySet
    kids: frozenset[str] = frozenset()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole of policy at one revision and epoch.

    `closed` holds the lanes that may not send, each with the reasons; `listed` refusals of a
    destination close lanes too. `routes_by_type` lists subscribers in a fixed order. The endpoints
    of `proving` want a proof, or a newer one. `callers` may fetch by ticket. `key_routes` are where
    partners publish their keys, by connector.
    """

    revision: Revision
    epoch: Epoch
    routes: Mapping[str, Route]
    routes_by_type: Mapping[str, tuple[Route, ...]]
    event_types: Mapping[str, EventType]
    producers: Producers
    policy: Policy = field(default=Policy())
    switches: tuple[Switch, ...] = ()
    closed: Mapping[Lane, Refusal] = field(default_factory=dict)
    open_lanes: tuple[tuple[Lane, Route], ...] = ()
    proving: tuple[Route, ...] = ()
    callers: Callers = field(default=Callers())
    key_routes: Mapping[str, KeyRoute] = field(default_factory=dict)
