"""Every partner of a registry, and what each would see of an event: the same code that sends it.

Used by tests of product services, through the fixtures of `plugin`. The registry is compiled as
workers compile it, the letter is cleared by the same gate and shaped by the same function. Lanes
that a switch, a paper or a missing proof closes count as open: asked is what leaves once they are.
What a thin letter lets its partner fetch counts as seen. The leak guard looks where it is
installed. Nothing is sent, no database is opened, no clock is read.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import msgspec

from dispatcher.model.errors import InvalidInput, NotFound, RegistryInvalid
from dispatcher.model.event import Event
from dispatcher.model.ids import Epoch, EventId, Revision, WebhookId
from dispatcher.model.letter import Shaped
from dispatcher.model.paper import ConnectorState
from dispatcher.model.path import SUBJECT
from dispatcher.model.registry import Connector, EventType, Registry, Subscription
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.fanout.intake import check_payload, check_subjects
from dispatcher.stages.gates.rehearsal import rehearse
from dispatcher.stages.revising.compiling import compile_snapshot
from dispatcher.stages.shaping.account import Part, Shown, Terms, account
from dispatcher.stages.shaping.detectors import IS_INSTALLED
from dispatcher.stages.shaping.schema import flatten
from dispatcher.stages.shaping.shape import shape
from dispatcher.stages.shaping.synthetic import synthesise
from dispatcher.stages.shaping.tokens import TokensWanted
from dispatcher.testing.stand_ins import StandIns
from dispatcher.testing.view import View

_DAY: Final = date(2000, 1, 1)
"""Any day: lanes are taken for open, whatever has ended."""
_MOMENT_US: Final = 946_684_800_000_000
_WEBHOOK_ID: Final = WebhookId("msg_" + "0" * 32)


@dataclass(frozen=True, slots=True)
class Partner:
    """One subscription of a registry: a partner's endpoint, with its scope and terms."""

    subscription: Subscription
    connector: Connector
    partners: "Partners"

    @property
    def name(self) -> str:
        """The subscription's name."""
        return self.subscription.name

    def sees(
        self,
        event_type: str,
        payload: object,
        *,
        subjects: Collection[str] = (),
        tenant: str | None = None,
    ) -> View:
        """Give what this partner would see of an event, by default one of its first tenant.

        `payload` is what `enqueue` takes: plain values, or bytes that hold a JSON object.
        """
        kind = self.partners.event_type(event_type)
        event = Event(
            seq=0,
            id=EventId("evt_test"),
            tenant=self.connector.tenants[0] if tenant is None else tenant,
            type=event_type,
            producer="test",
            subjects=tuple(subjects),
            occurred_us=_MOMENT_US,
            payload=_encode(payload),
        )
        blank = View(
            partner=self.name,
            connector=self.connector,
            event_type=event_type,
            declared=frozenset(flatten(kind.schema)) | {SUBJECT},
            is_guarded=IS_INSTALLED,
        )
        unfit = check_subjects(len(event.subjects), kind)
        unfit = unfit or check_payload(event.payload or b"", kind)
        letter = self._shape(event, self.partners.snapshot) if unfit is None else unfit
        if isinstance(letter, Refusal):
            return replace(blank, refusal=letter, findings=letter.findings)
        seen = self._shape(event, self.partners.fetched)
        if isinstance(seen, Refusal):
            return replace(blank, refusal=seen, findings=seen.findings)
        return replace(
            blank,
            parts=self._parts(event, kind, seen),
            disclosed=seen.disclosed,
            findings=seen.findings,
            body=letter.plaintext,
            document=msgspec.json.decode(seen.plaintext),
        )

    def _shape(self, event: Event, snapshot: Snapshot) -> Shaped | Refusal:
        """Take the road of a delivery, from its gate to its plaintext."""
        scope = snapshot.routes[self.name].scopes.get(event.type, Scope.of(()))
        rehearsed = rehearse(event, self.name, _WEBHOOK_ID, scope, snapshot)
        if rehearsed.admitted is None:
            return rehearsed.refusals[0]
        kids = frozenset(key.kid for key in self.connector.keys)
        shaped = shape(rehearsed.admitted, StandIns(event.tenant, self.connector.name, kids))
        if isinstance(shaped, TokensWanted):  # stand-ins are always at hand
            return refuse(Reason.TOKENS_UNAVAILABLE)
        return shaped

    def _parts(self, event: Event, kind: EventType, shaped: Shaped) -> tuple[Part, ...]:
        terms = Terms.of(kind, self.subscription, self.connector)
        shown = Shown(
            scope=shaped.admitted.cleared.scope, disclosed=shaped.disclosed, dropped=shaped.dropped
        )
        document = msgspec.json.decode(event.payload or b"{}")
        return account(document, bool(event.subjects), terms, shown)


class Partners:
    """The partners of one registry, by subscription; those of a retired connector are left out."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.snapshot = _compile(registry)
        self.fetched = _with_all_fetched(self.snapshot)
        connectors = {each.name: each for each in registry.connectors}
        self._partners: dict[str, Partner] = {}
        for each in registry.subscriptions:
            connector = connectors.get(each.connector)
            if connector is None or each.name not in self.snapshot.routes:
                raise RegistryInvalid(
                    f"subscription {each.name!r} does not hold together",
                    fix="'dispatcher plan' names all faults of registry files",
                )
            if connector.state is not ConnectorState.RETIRED:
                self._partners[each.name] = Partner(each, connector, self)

    def __getitem__(self, name: str) -> Partner:
        found = self._partners.get(name)
        if found is None:
            known = ", ".join(sorted(self._partners)) or "none"
            raise NotFound(f"no partner {name!r}", fix=f"name a subscription: {known}")
        return found

    def __iter__(self) -> Iterator[Partner]:
        return iter(self._partners.values())

    def __len__(self) -> int:
        return len(self._partners)

    def of(self, event_type: str) -> tuple[Partner, ...]:
        """Give the partners that receive events of a type."""
        self.event_type(event_type)
        return tuple(each for each in self if event_type in each.subscription.scope)

    def event_type(self, name: str) -> EventType:
        """Find an event type. Raises `NotFound`."""
        found = next((each for each in self.registry.event_types if each.name == name), None)
        if found is None:
            known = ", ".join(each.name for each in self.registry.event_types) or "none"
            raise NotFound(f"no event type {name!r}", fix=f"name one of the registry: {known}")
        return found

    def sample(self, event_type: str, seed: str = "") -> Any:
        """Make an event of nothing but the schema of its type: the same for the same seed."""
        return synthesise(self.event_type(event_type).schema, seed)

    def assert_schema_accepts(self, event_type: str, payload: object) -> None:
        """Fail unless an event with this payload could be enqueued."""
        __tracebackhide__ = True
        unfit = check_payload(_encode(payload), self.event_type(event_type))
        if unfit is not None:
            raise AssertionError(f"{event_type} refuses the payload: {unfit.code}, {unfit.detail}")


def _compile(registry: Registry) -> Snapshot:
    try:
        snapshot = compile_snapshot(
            registry,
            revision=Revision(0),
            epoch=Epoch(0),
            switches=(),
            proofs=(),
            today=_DAY,
            loopback=frozenset(),
            identities=None,
        )
    except ModuleNotFoundError as error:
        raise RegistryInvalid(
            f"a host of the registry is not plain ASCII, and {error.name} is not installed",
            fix="install dispatcher[server] beside your tests",
        ) from None
    if IS_INSTALLED:
        return replace(snapshot, closed={})
    routes = {name: replace(each, leak_rules=()) for name, each in snapshot.routes.items()}
    return replace(snapshot, closed={}, routes=routes)


def _with_all_fetched(snapshot: Snapshot) -> Snapshot:
    """Give the snapshot as if every letter carried what it lets its partner fetch."""
    return replace(
        snapshot,
        routes={
            name: replace(route, scopes={kind: each.fetched for kind, each in route.scopes.items()})
            for name, route in snapshot.routes.items()
        },
    )


def _encode(payload: object) -> bytes:
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    try:
        return msgspec.json.encode(payload)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        raise InvalidInput(
            "the payload cannot be written as JSON",
            fix="pass a mapping of plain values, or bytes that hold a JSON object",
        ) from None
