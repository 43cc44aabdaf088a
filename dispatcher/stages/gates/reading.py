"""May a partner read now what its ticket is for, and with which fields at most?

Called by `worker.reader` before the event is shaped, and again in the instant before the first byte
of the answer. A read is judged like a letter, by the same functions and under today's snapshot:
what would keep a letter back keeps the answer back too, but for a client certificate that nobody
here has: it is shown to those we call. It can only narrow what the ticket was issued for.
"""

import hmac
from dataclasses import replace

from dispatcher.model.caller import Callers, Known
from dispatcher.model.ids import lane_of
from dispatcher.model.letter import Admitted, Cleared, Leased, Stopped
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Route, Snapshot
from dispatcher.model.ticket import Denial, Fetch, Ticket, hash_ticket
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.gates.departure import has_same_terms
from dispatcher.stages.gates.preflight import preflight


def find_rightful(fetch: Fetch, ticket: Ticket | None) -> Known | None:
    """Say as whom somebody comes for this, if with its ticket and as its connector's partner."""
    if ticket is None or not hmac.compare_digest(hash_ticket(fetch.ticket), ticket.sha256):
        return None
    return next((each for each in fetch.known if each.connector == ticket.connector), None)


def judge_ticket(ticket: Ticket, route: Route) -> Denial | None:
    """Say what a ticket lacks, by its own terms or by today's."""
    if ticket.left_us <= 0 or ticket.age_us >= route.ticket_seconds * 1_000_000:
        return Denial.EXPIRED
    return Denial.USED_UP if ticket.reads >= min(ticket.uses_max, route.ticket_uses) else None


def judge_read(
    leased: Leased, ticket: Ticket, by: Known, snapshot: Snapshot, issued: Scope
) -> Cleared | Refusal:
    """Judge one read of a delivery; today's scope may only narrow `issued`, that of the ticket."""
    verdict = preflight(leased, _without_ours(leased, snapshot), issued)
    if isinstance(verdict, Refusal):
        return verdict
    is_theirs = verdict.route.connector == ticket.connector
    if not (is_theirs and is_known(by, snapshot.callers)):
        return refuse(Reason.POLICY_CHANGED, detail="whose the ticket was may not fetch any more")
    return replace(verdict, scope=verdict.scope.fetched)


def _without_ours(leased: Leased, snapshot: Snapshot) -> Snapshot:
    """Open the lane where a client certificate of ours is all that it lacks."""
    closed = snapshot.closed.get(lane_of(leased.subscription, leased.event.type))
    if closed is None or set(closed.reasons) != {Reason.CLIENT_IDENTITY_MISSING}:
        return snapshot
    return replace(snapshot, closed={})


def is_known(by: Known, callers: Callers) -> bool:
    """True when these still list the credential as it was shown."""
    return callers.by_kid.get(by.caller.kid) == by or by in callers.by_pin.get(by.caller.pin, ())


def admit_read(cleared: Cleared) -> Admitted:
    """Admit what goes back on the connection it was asked on: there is no address to dial."""
    return Admitted(cleared=cleared, addresses=())


def may_answer(
    cleared: Cleared,
    ticket: Ticket,
    by: Known,
    issued: Scope,
    snapshot: Snapshot,
    *,
    now: float,
    policy_lease_ends: float,
) -> Stopped | None:
    """Say why the first byte may not be written, or nothing if it may: `may_begin` for reads."""
    if now >= policy_lease_ends:
        return Stopped(Reason.POLICY_LEASE_EXPIRED)
    if snapshot.epoch == cleared.epoch and snapshot.revision == cleared.revision:
        return None
    verdict = judge_read(cleared.leased, ticket, by, snapshot, issued)
    if isinstance(verdict, Refusal):
        return Stopped(verdict.reasons[0])
    return None if has_same_terms(cleared, verdict) else Stopped(Reason.POLICY_CHANGED)


def deny(told: Refusal | Stopped) -> Denial:
    """Say as much of a refusal as its partner may know: whether it is worth to come again."""
    reasons = told.reasons if isinstance(told, Refusal) else (told.reason,)
    if Reason.PAYLOAD_GONE in reasons:
        return Denial.GONE
    passing = {Reason.POLICY_LEASE_EXPIRED, Reason.KEY_UNAVAILABLE}
    return Denial.UNAVAILABLE if passing & set(reasons) else Denial.HELD
