"""Which steps may be taken from one revision to the next, and what each step asks for.

A connector:

    (new) ─┬─> draft ──> active ──> retired          draft ──> retired
           └─> active                                active ──> draft

Called by `control` for every change set, beside `faults`: a fault is wrong by itself, a step is
wrong given where the connector stood. What is missing is listed as a check with the key that meets
it. A partner that is active already and whose paper ends is no step: its lanes close by themselves.

An event type: to another schema only under another version. An older version may come back with
the schema it had, for a rollback does no more than that.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Connector, Policy, Registry
from dispatcher.stages.gates.listing import is_current, is_report_only
from dispatcher.stages.revising.fault import Fault

_STEPS: Final[Mapping[ConnectorState | None, frozenset[ConnectorState]]] = {
    None: frozenset({ConnectorState.DRAFT, ConnectorState.ACTIVE}),
    ConnectorState.DRAFT: frozenset({ConnectorState.ACTIVE, ConnectorState.RETIRED}),
    ConnectorState.ACTIVE: frozenset({ConnectorState.DRAFT, ConnectorState.RETIRED}),
    ConnectorState.RETIRED: frozenset(),
}


def find_wrong_moves(old: Registry, new: Registry, today: date) -> tuple[Fault, ...]:
    """List every step that may not be taken, and every check that a step to active has not met."""
    was = {each.name: each for each in old.connectors}
    return (
        *_check_versions(old, new),
        *(
            fault
            for connector in new.connectors
            for fault in _judge(was.get(connector.name), connector, new.policy, today)
        ),
        *_check_retired(old, new),
    )


def _check_retired(old: Registry, new: Registry) -> Iterator[Fault]:
    """A retired partner stays listed, or its name would be free for somebody else."""
    listed = {each.name for each in new.connectors}
    for connector in old.connectors:
        if connector.state is ConnectorState.RETIRED and connector.name not in listed:
            yield Fault(
                f"connector {connector.name!r}: state",
                "it is retired, and is no longer listed",
                "keep it, with state = 'retired'",
            )


def _check_versions(old: Registry, new: Registry) -> Iterator[Fault]:
    was = {each.name: each for each in old.event_types}
    for event_type in new.event_types:
        before = was.get(event_type.name, event_type)
        if before.version == event_type.version and before.schema != event_type.schema:
            yield Fault(
                f"event type {event_type.name!r}: version",
                f"the schema is another, and the version still {event_type.version}",
                f"raise it: version = {event_type.version + 1}",
            )


def _judge(
    before: Connector | None, after: Connector, policy: Policy, today: date
) -> Iterator[Fault]:
    stood = before.state if before is not None else None
    if stood is after.state:
        return
    where = f"connector {after.name!r}: state"
    if after.state not in _STEPS[stood]:
        allowed = ", ".join(sorted(_STEPS[stood])) or "nowhere: give a new partner a new name"
        yield Fault(where, f"cannot go from {stood or 'new'} to {after.state}", f"go {allowed}")
    elif after.state is ConnectorState.ACTIVE:
        for check, key in _unmet(after, policy, today):
            yield Fault(where, f"not ready to be active: {check}", f"set {key}, or state = 'draft'")


def _unmet(connector: Connector, policy: Policy, today: date) -> Iterator[tuple[str, str]]:
    """Give each milestone that has not been reached, and the key that reaches it."""
    if not connector.owner.strip():
        yield "nobody owns it", "owner"
    if not connector.contact.strip():
        yield "there is nobody to contact", "contact"
    confirmed = connector.owner_confirmed_until
    if confirmed is None or confirmed < today:
        yield "its owner has not confirmed it", "owner_confirmed_until"
    if connector.agreement is not None and connector.agreement.until < today:
        yield "its agreement has ended", "agreement.until"
    if connector.assessment is not None and connector.assessment.until < today:
        yield "its assessment has ended", "assessment.until"
    current = [
        entry
        for entry in connector.destinations
        if is_current(entry, today) and entry.host not in policy.revoked_hosts
    ]
    if not current and not is_report_only(connector, today):
        yield "it may be reached nowhere", "destinations"
