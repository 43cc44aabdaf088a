"""Metrics: names and labels are a documented contract, low in cardinality, free of values.

Labels name subscriptions and reason codes, never tenants, people, URLs or addresses.
"""

from typing import Final

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_LATENCY_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)


class Metrics:
    """The metrics of a process on one collector registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self.planned = Counter(
            "dispatcher_events_planned",
            "Events taken from the outbox and planned.",
            registry=registry,
        )
        self.settled = Counter(
            "dispatcher_deliveries_settled",
            "Turns of deliveries that ended, by what happened.",
            ("subscription", "move", "code"),
            registry=registry,
        )
        self._settled: dict[tuple[str, str, str], Counter] = {}
        self.attempt_seconds = Histogram(
            "dispatcher_attempt_seconds",
            "Time from the first byte written to the answer's status.",
            buckets=_LATENCY_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "dispatcher_in_flight", "Deliveries being carried now.", registry=registry
        )
        self.epoch = Gauge(
            "dispatcher_policy_epoch", "Switch epoch this worker obeys.", registry=registry
        )
        self.revision = Gauge(
            "dispatcher_registry_revision",
            "Registry revision this worker obeys.",
            registry=registry,
        )
        self.policy_failures = Counter(
            "dispatcher_policy_read_failures",
            "Policy readings that failed; a worker that cannot read stops sending.",
            registry=registry,
        )
        self.paper_days_left = Gauge(
            "dispatcher_paper_days_left",
            "Days until the first paper of a connector ends, where that is soon.",
            ("connector",),
            registry=registry,
        )
        self._watch_destinations(registry)
        self._watch_contents(registry)
        self._watch_keeping(registry)
        self.rescued = Counter(
            "dispatcher_deliveries_rescued", "Lost leases given back.", registry=registry
        )
        self.settlements_lost = Counter(
            "dispatcher_settlements_lost",
            "Outcomes that could not be recorded within their lease.",
            registry=registry,
        )
        self._watch_requests(registry)
        self._watch_keys(registry)

    def _watch_requests(self, registry: CollectorRegistry) -> None:
        """Add what is asked of us, by people and by partners."""
        self.api_requests = Counter(
            "dispatcher_api_requests",
            "Requests to the API, by operation and status.",
            ("operation", "status"),
            registry=registry,
        )
        self.api_auth_failures = Counter(
            "dispatcher_api_auth_failures",
            "Requests to the API that bore no token, or one that is not good.",
            registry=registry,
        )
        self.fetches = Counter(
            "dispatcher_fetches",
            "Requests on the partner listener, by what was told: 'answered' or a code.",
            ("code",),
            registry=registry,
        )

    def _watch_destinations(self, registry: CollectorRegistry) -> None:
        """Add what is known of where letters go, and of those at the other end."""
        self.reported_lanes = Gauge(
            "dispatcher_reported_lanes",
            "Lanes that go out though nothing lists their destination: report-only mode.",
            registry=registry,
        )
        self.endpoints_to_prove = Gauge(
            "dispatcher_endpoints_to_prove",
            "Endpoints without a proof of ownership, or whose proof soon ends.",
            registry=registry,
        )
        self.certificate_days_left = Gauge(
            "dispatcher_certificate_days_left",
            "Days until the first certificate of a connector's destinations ends, as last met.",
            ("connector",),
            registry=registry,
        )
        self.drifts = Counter(
            "dispatcher_destination_drifts",
            "Destinations met in another network, or with another issuer, than ever before.",
            ("connector", "kind"),
            registry=registry,
        )
        self.key_fetches = Counter(
            "dispatcher_key_fetches",
            "Fetches of the keys that partners publish, by what came of it: 'found' or a code.",
            ("connector", "code"),
            registry=registry,
        )
        self.key_trials = Counter(
            "dispatcher_key_trials",
            "Trials of new signing keys at endpoints, by what came of it: 'proven' or a code.",
            ("connector", "code"),
            registry=registry,
        )
        self.pin_mismatches = Counter(
            "dispatcher_pin_mismatches",
            "Connections to a public key that is not pinned: refused, or only reported.",
            ("connector", "kind"),
            registry=registry,
        )

    def _watch_keys(self, registry: CollectorRegistry) -> None:
        """Add what is known of keys that should not stay as they are for ever."""
        self.signing_key_age_days = Gauge(
            "dispatcher_signing_key_age_days",
            "Days that the oldest active key of a subscription has signed, once that is long.",
            ("subscription",),
            registry=registry,
        )
        self.client_identities_broken = Gauge(
            "dispatcher_client_identities_broken",
            "Changed files of client certificates that cannot be used; the old ones still are.",
            registry=registry,
        )

    def _watch_contents(self, registry: CollectorRegistry) -> None:
        """Add what is known of the letters themselves."""
        self.fields_dropped = Counter(
            "dispatcher_fields_dropped",
            "Granted fields of which a value was not what was granted, and did not leave.",
            ("subscription", "event_type"),
            registry=registry,
        )
        self.fields_withheld = Counter(
            "dispatcher_fields_withheld",
            "Places in events that no schema classes; at most one event a second is looked at.",
            ("event_type", "reason"),
            registry=registry,
        )
        self.leaks_found = Counter(
            "dispatcher_leaks_found",
            "What the leak guard found in granted fields, and what was done about it.",
            ("detector", "action"),
            registry=registry,
        )

    def _watch_keeping(self, registry: CollectorRegistry) -> None:
        """Add what is purged, and what should have been by now."""
        self.retention_lag = Gauge(
            "dispatcher_retention_lag_seconds",
            "How far the oldest row of a store is past its window; 0: none is.",
            ("store",),
            registry=registry,
        )
        self.purged = Counter(
            "dispatcher_rows_purged",
            "What retention removed, by the store whose window was over.",
            ("store", "kind"),
            registry=registry,
        )

    def count_settled(self, subscription: str, move: str, code: str) -> None:
        """Count a turn that ended. Finding the counter of three labels costs more than counting."""
        labels = (subscription, move, code)
        counter = self._settled.get(labels)
        if counter is None:
            counter = self._settled[labels] = self.settled.labels(*labels)
        counter.inc()

    def render(self) -> bytes:
        """Give all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
