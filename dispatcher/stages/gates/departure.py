"""The last gate, asked between the last wait and the first byte.

Called by the transport on a connection that is ready to write. Most letters leave under the very
snapshot they were judged under, and that comparison is all it costs. It never waits, and it never
lets a letter leave under terms other than those it was shaped and written into the ledger under.
"""

from dispatcher.model.letter import Cleared, Stopped
from dispatcher.model.scope import Scope
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.gates.preflight import preflight


def may_begin(
    cleared: Cleared,
    filed: Scope,
    snapshot: Snapshot,
    *,
    now: float,
    policy_lease_ends: float,
) -> Stopped | None:
    """Say why the first byte may not be written, or nothing if it may.

    `now` and both lease ends are seconds on the worker's boot clock.
    """
    if now >= policy_lease_ends:
        return Stopped(Reason.POLICY_LEASE_EXPIRED)
    if cleared.leased.lease_ends < now + cleared.route.attempt_seconds:
        return Stopped(Reason.DELIVERY_LEASE_SHORT)
    if snapshot.epoch == cleared.epoch and snapshot.revision == cleared.revision:
        return None
    verdict = preflight(cleared.leased, snapshot, filed)
    if isinstance(verdict, Refusal):
        return Stopped(verdict.reasons[0])
    return None if has_same_terms(cleared, verdict) else Stopped(Reason.POLICY_CHANGED)


def has_same_terms(before: Cleared, after: Cleared) -> bool:
    """Compare what the body, its ledger row and the dialled endpoint were made from."""
    was, now = before.route, after.route
    return (
        before.scope.id == after.scope.id
        and was.endpoint == now.endpoint
        and (was.headers, was.format, was.limits, was.keys)
        == (now.headers, now.format, now.limits, now.keys)
        and (was.signing, was.compat_signature) == (now.signing, now.compat_signature)
        and (was.encryption, was.letter_key, was.encrypt_from)
        == (now.encryption, now.letter_key, now.encrypt_from)
        and (was.token_version, was.leak_rules) == (now.token_version, now.leak_rules)
        and (was.private_ranges, was.alias_zones, was.is_reported)
        == (now.private_ranges, now.alias_zones, now.is_reported)
        and was.attempt_seconds == now.attempt_seconds
        and (was.ticket_seconds, was.ticket_uses) == (now.ticket_seconds, now.ticket_uses)
        and (was.tls, was.close_after_each) == (now.tls, now.close_after_each)
        and (was.connector, was.purpose, was.legal_basis, was.agreement, was.country)
        == (now.connector, now.purpose, now.legal_basis, now.agreement, now.country)
    )
