"""Who may enqueue what: the one judgement of it, from the producers that the registry lists.

A registry that lists no producer has no such rule: whoever may write to the outbox may enqueue what
the catalogue knows. From the first one listed, nobody else may. Asked by `producer` before anything
is written, by fan-out of every event, by the HTTP door for a principal, and by the disclosure diff.
The function `dispatcher_enqueue` and the trigger on `events` say the same in SQL.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dispatcher.model.registry import Producer
from dispatcher.model.verdict import Reason, Refusal, refuse

ALL: Final = "*"
UNNAMED_PRODUCER: Final = "default"
"""The producer of whoever names none."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one producer may enqueue: event types and tenants, `*` for all of them."""

    producer: str
    event_types: frozenset[str]
    tenants: frozenset[str]

    def has_type(self, event_type: str) -> bool:
        """True when events of this type are covered."""
        return event_type in self.event_types or ALL in self.event_types

    def has_tenant(self, tenant: str) -> bool:
        """True when events of this tenant are covered."""
        return tenant in self.tenants or ALL in self.tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class Producers:
    """The rights of everybody who may enqueue, by each way to be known.

    `is_open` says that the registry lists no producer, so that there is no such rule.
    """

    is_open: bool
    by_name: Mapping[str, Rights]
    by_role: Mapping[str, Rights]
    by_principal: Mapping[str, Rights]


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes an event: a database role; without one, the producer that is named.

    No role counts on SQLite, which has none, nor where it is dispatcher's own: the role that owns
    the outbox enqueues for others.
    """

    name: str
    role: str | None


def list_producers(producers: Iterable[Producer]) -> Producers:
    """Make the rule of one revision of what its registry lists."""
    by_name: dict[str, Rights] = {}
    by_role: dict[str, Rights] = {}
    by_principal: dict[str, Rights] = {}
    for each in producers:
        rights = Rights(each.name, frozenset(each.event_types), frozenset(each.tenants))
        by_name[each.name] = rights
        by_role |= dict.fromkeys(each.database_roles, rights)
        by_principal |= dict.fromkeys(each.principals, rights)
    return Producers(
        is_open=not by_name, by_name=by_name, by_role=by_role, by_principal=by_principal
    )


def judge_producer(
    producers: Producers, writer: Writer, event_type: str, tenant: str
) -> str | Refusal:
    """Give the name of the producer whose event this is, or refuse it.

    Where there is no rule, that is whatever name the writer gave.
    """
    if producers.is_open:
        return writer.name
    if writer.role is None:
        rights, who = producers.by_name.get(writer.name), f"producer {writer.name[:200]!r}"
    else:
        rights, who = producers.by_role.get(writer.role), f"database role {writer.role!r}"
    return _judge(rights, who, event_type, tenant)


def producer_of_principal(
    producers: Producers, principal: str, event_type: str, tenant: str
) -> str | Refusal:
    """Give the name of the producer in whose name a principal may enqueue this, or refuse it.

    Where there is no rule, the principal is the producer, by its own name.
    """
    if producers.is_open:
        return principal
    rights = producers.by_principal.get(principal)
    return _judge(rights, f"principal {principal!r}", event_type, tenant)


def _judge(rights: Rights | None, who: str, event_type: str, tenant: str) -> str | Refusal:
    if rights is None:
        why = f"{who} is no producer of the registry"
    elif not rights.has_type(event_type):
        why = f"{who} may not enqueue {event_type}"
    elif not rights.has_tenant(tenant):
        why = f"{who} may not enqueue for this tenant"
    else:
        return rights.producer
    return refuse(Reason.PRODUCER_NOT_ALLOWED, detail=why)
