"""The verdict of the demonstration: every promise it makes, held against what was observed.

Both sides of every check are counted from the evidence, never written down here. What left is
judged in `demo_disclosure`; this module judges deliveries, the ledger, the hold, destinations.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from dispatcher.showcase import demo_disclosure as disclosure
from dispatcher.showcase.demo_evidence import Evidence
from dispatcher.showcase.demo_report import Check, Report, equal, none
from dispatcher.showcase.demo_terms import Fate, Owed, owed_to

SECONDS_MAX: Final = 30
"""What the demonstration may take, start to end."""
_DISCLOSED: Final = frozenset({"delivered", "answered", "unknown"})


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is counted once and used by several checks."""

    evidence: Evidence
    letters: list[disclosure.Letter]
    strays: int
    owed: dict[Fate, frozenset[Owed]]
    arrived: frozenset[Owed]
    states: dict[str, frozenset[Owed]]

    def in_state(self, state: str) -> frozenset[Owed]:
        """Give what the database says is in a state."""
        return self.states.get(state, frozenset())


def judge(evidence: Evidence, elapsed: Callable[[], float]) -> Report:
    """Hold everything that was observed against what was promised."""
    facts = _count(evidence)
    verified = disclosure.count_verified(evidence.received, evidence)
    outside = disclosure.count_outside_scope(facts.letters)
    lost = len(facts.owed[Fate.ARRIVES] - facts.arrived)
    checks = (
        *_check_transactions(facts),
        *_check_deliveries(facts, lost),
        *_check_contents(facts, verified, outside),
        *_check_ledger(facts),
        *_check_hold(facts),
        *_check_destinations(facts),
    )
    seconds = elapsed()
    in_time = Check("seconds taken", f"< {SECONDS_MAX}", f"{seconds:.1f}", seconds < SECONDS_MAX)
    return Report(
        enqueued=len(evidence.events),
        rolled_back=len(evidence.rolled_back),
        delivered=len(facts.in_state("delivered")),
        parked=len(facts.in_state("parked")),
        waiting=len(facts.in_state("waiting")),
        held_then_released=len(_delivered_after_hold(evidence)),
        retried=sum(row.attempt > 1 for row in evidence.ledger),
        duplicates=_count_duplicates(evidence),
        signatures_verified=verified,
        scope_violations=outside,
        unlisted_connections=_count_unlisted(evidence),
        lost=lost,
        hold_confirmed_ms=evidence.hold.confirmed_ms,
        seconds=round(seconds, 2),
        checks=(*checks, in_time),
    )


def _count(evidence: Evidence) -> _Facts:
    letters, strays = disclosure.open_letters(evidence)
    owed: dict[Fate, set[Owed]] = {fate: set() for fate in Fate}
    for terms in evidence.terms.values():
        owed[terms.fate].update(owed_to(terms, evidence.committed))
    states: dict[str, set[Owed]] = {}
    for row in evidence.deliveries:
        pair = Owed(event=row.event, subscription=row.subscription or "")
        states.setdefault(row.state, set()).add(pair)
    return _Facts(
        evidence,
        letters,
        strays,
        {fate: frozenset(pairs) for fate, pairs in owed.items()},
        frozenset(
            Owed(event=letter.told.id, subscription=letter.terms.subscription) for letter in letters
        ),
        {state: frozenset(pairs) for state, pairs in states.items()},
    )


def _check_transactions(facts: _Facts) -> Iterator[Check]:
    evidence = facts.evidence
    events = set(evidence.events)
    yield equal("committed events are in the outbox", len(evidence.committed), len(events))
    yield equal("committed business rows are there", evidence.transactions, evidence.business_rows)
    undone = [each for each in evidence.rolled_back if each.id in events]
    yield none("rolled-back events left a trace", len(undone), of=len(evidence.rolled_back))


def _check_deliveries(facts: _Facts, lost: int) -> Iterator[Check]:
    rows = facts.evidence.deliveries
    owed = frozenset[Owed]().union(*facts.owed.values())
    yield equal("every event has its deliveries, once each", len(owed), len(rows))
    yield none("owed to a partner and lost", lost, of=len(facts.owed[Fate.ARRIVES]))
    yield none("received, and meant for somebody else", facts.strays, of=_received(facts))
    yield equal(
        "delivered, by database and by inboxes",
        len(facts.arrived),
        len(facts.in_state("delivered") & facts.arrived),
    )
    unfinished = facts.in_state("waiting") - facts.owed[Fate.WAITS]
    bad = unfinished | facts.in_state("leased") | facts.in_state("dead") | facts.in_state("dropped")
    yield none("dead, dropped or left lying", len(bad), of=len(rows))


def _check_contents(facts: _Facts, verified: int, outside: int) -> Iterator[Check]:
    evidence, letters = facts.evidence, facts.letters
    count = _received(facts)
    yield equal("signatures verified by standardwebhooks", count, verified)
    foreign = disclosure.count_verified(evidence.received, evidence, shift=1)
    yield none("signatures good under another's secret", foreign, of=count)
    yield none("fields outside the subscription's scope", outside, of=count)
    yield none("granted fields missing or changed", disclosure.count_unfaithful(letters), of=count)
    marks = disclosure.count_foreign_marks(letters) + disclosure.count_forbidden_texts(letters)
    planted = disclosure.count_planted(evidence.committed)
    yield none("planted texts where they were not granted", marks, of=planted)
    shared = disclosure.count_shared_names(letters)
    names = disclosure.count_names(letters)
    yield none("names of people that two partners could match", shared, of=names)
    undeclared = disclosure.count_undeclared(evidence.received)
    yield none(
        "undeclared fields on any wire",
        undeclared,
        of=disclosure.count_with_undeclared(evidence.committed),
    )
    yield none("planted texts legible in database or log", evidence.readable_marks, of=planted)


def _check_ledger(facts: _Facts) -> Iterator[Check]:
    evidence = facts.evidence
    count = _received(facts)
    groups = disclosure.by_webhook_id(evidence.received)
    changed = sum(len({each.body for each in group}) > 1 for group in groups.values())
    yield none("ids that came with two different bodies", changed, of=len(groups))
    yield equal(
        "duplicates the ledger explains", _count_duplicates(evidence), _count_explained(evidence)
    )
    yield equal("in the ledger before received", count, disclosure.count_written_before(evidence))
    wrong = disclosure.count_misreported(facts.letters, evidence.ledger)
    yield none("ledger rows naming other fields than left", wrong, of=count)
    unended = sum(row.outcome is None for row in evidence.ledger)
    yield none("ledger rows without an outcome", unended, of=len(evidence.ledger))
    retried = sum(row.attempt > 1 for row in evidence.ledger)
    yield Check("attempts repeated", "> 0", retried, retried > 0)


def _check_hold(facts: _Facts) -> Iterator[Check]:
    evidence, hold = facts.evidence, facts.evidence.hold
    mine = [
        letter.received.received_us
        for letter in facts.letters
        if letter.terms.connector == hold.connector
    ]
    before = sum(moment < hold.tripped_us for moment in mine)
    during = sum(hold.confirmed_us < moment < hold.released_us for moment in mine)
    yield Check(f"{hold.connector}: received before the hold", "> 0", before, before > 0)
    yield none(f"{hold.connector}: begun during the hold", during, of=len(mine))
    delivered = _delivered_after_hold(evidence)
    yield Check(
        f"{hold.connector}: held, delivered after release",
        len(hold.waiting),
        len(delivered),
        bool(hold.waiting) and delivered == hold.waiting,
    )
    spent = sum(row.failures > 0 for row in evidence.deliveries if row.delivery in hold.waiting)
    yield none(f"{hold.connector}: retries spent by the hold", spent, of=len(hold.waiting))


def _check_destinations(facts: _Facts) -> Iterator[Check]:
    evidence = facts.evidence
    unlisted = [t for t in evidence.terms.values() if t.fate is Fate.WAITS]
    lanes = [f"{t.subscription}/{name}" for t in unlisted for name in t.scope]
    closed = [lane for lane in lanes if evidence.closed.get(lane) == "destination_unlisted"]
    yield equal("unlisted destination: lanes closed for it", len(lanes), len(closed))
    waiting = facts.in_state("waiting") & facts.owed[Fate.WAITS]
    yield equal("unlisted destination: kept waiting", len(facts.owed[Fate.WAITS]), len(waiting))
    yield none("unlisted destination: connections", evidence.trap_connections, of=len(waiting))
    forbidden = {
        Owed(event=row.event, subscription=row.subscription or "")
        for row in evidence.deliveries
        if (row.state, row.code) == ("parked", "address_forbidden")
    }
    owed = facts.owed[Fate.PARKS]
    yield equal("private address: parked as forbidden", len(owed), len(forbidden & owed))
    written = sum(
        evidence.terms[row.subscription].fate is not Fate.ARRIVES for row in evidence.ledger
    )
    yield none("begun for a destination not allowed", written, of=len(evidence.ledger))
    strange = len(_dialled_elsewhere(evidence)) + len(evidence.names_asked)
    yield none("dialled or looked up, and no inbox", strange, of=len(evidence.peers))


def _received(facts: _Facts) -> int:
    return len(facts.evidence.received)


def _dialled_elsewhere(evidence: Evidence) -> list[tuple[str, int]]:
    return [peer for peer in evidence.peers if peer not in evidence.inboxes]


def _count_unlisted(evidence: Evidence) -> int:
    """Count connections nobody allowed; those to the trap by the trap's own count."""
    strange = [peer for peer in _dialled_elsewhere(evidence) if peer != evidence.trap]
    return evidence.trap_connections + len(strange)


def _delivered_after_hold(evidence: Evidence) -> frozenset[int]:
    delivered = {row.delivery for row in evidence.deliveries if row.state == "delivered"}
    return evidence.hold.waiting & delivered


def _count_duplicates(evidence: Evidence) -> int:
    return len(evidence.received) - len({each.webhook_id for each in evidence.received})


def _count_explained(evidence: Evidence) -> int:
    """A duplicate is explained when each arrival has an attempt, and only the last succeeded."""
    attempts = disclosure.attempts_of(evidence.ledger)
    explained = 0
    for webhook_id, group in disclosure.by_webhook_id(evidence.received).items():
        sent = [row for row in attempts.get(webhook_id, ()) if row.outcome in _DISCLOSED]
        is_explained = len(group) <= len(sent) and all(
            row.outcome != "delivered" for row in sent[:-1]
        )
        explained += len(group) - 1 if is_explained else 0
    return explained
