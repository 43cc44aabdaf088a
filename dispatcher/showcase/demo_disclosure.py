"""What really left, judged byte by byte: signatures, scopes, planted marks, undeclared fields.

Works on the raw requests the partners' inboxes kept. Signatures are verified by the independent
`standardwebhooks` package, scopes against the registry files. Nothing here trusts the house.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

from dispatcher.model.errors import InvalidInput
from dispatcher.showcase.demo_events import UNDECLARED, find_marks
from dispatcher.showcase.demo_evidence import Evidence, LedgerRow
from dispatcher.showcase.demo_terms import PSEUDONYM, SUBJECT, Terms, count_leaves, leaves
from dispatcher.showcase.demo_world import Told
from dispatcher.showcase.inbox import Received

ENVELOPE: Final = frozenset({"id", "type", "timestamp", "data"})
VERIFIER: Final = "standardwebhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One received request, with what it claims to be and what it may hold."""

    received: Received
    terms: Terms
    told: Told
    document: Mapping[str, Any] = field(repr=False)

    @property
    def data(self) -> object:
        """What the partner was told."""
        return self.document.get("data")

    @property
    def allowed(self) -> frozenset[str]:
        """The path of every leaf the partner may be told of, as it is or otherwise."""
        return self.terms.scope[self.told.type]

    @property
    def actions(self) -> Mapping[str, str]:
        """What is done to leaves that do not pass as they are."""
        return self.terms.actions[self.told.type]

    @property
    def paths(self) -> frozenset[str]:
        """The path of every leaf the partner was told, the person it is about among them."""
        return frozenset(path for path, _ in self.told_leaves)

    @property
    def told_leaves(self) -> list[tuple[str, object]]:
        """Every leaf the partner was told, with its path."""
        person = [(SUBJECT, self.document["subject"])] if "subject" in self.document else []
        return person + list(leaves(self.data))


def require_verifier() -> None:
    """Raise `InvalidInput` when the independent verifier is not installed."""
    if find_spec(VERIFIER) is None:
        raise InvalidInput(
            f"the demonstration verifies signatures with the package '{VERIFIER}', "
            "which is not installed",
            fix="pip install 'dispatcher[server,demo]'",
            code="extra_missing",
        )


def open_letters(evidence: Evidence) -> tuple[list[Letter], int]:
    """Recognise what was received; also count the strays that nobody was meant to get."""
    targets = {terms.target: terms for terms in evidence.terms.values()}
    rows = {row.webhook_id: row for row in evidence.deliveries if row.webhook_id}
    told = {each.id: each for each in evidence.committed}
    letters: list[Letter] = []
    strays = 0
    for received in evidence.received:
        terms, row = targets.get(received.target), rows.get(received.webhook_id)
        about = told.get(row.event) if row is not None else None
        document = _decode(received.body)
        if (
            terms is None
            or row is None
            or about is None
            or row.subscription != terms.subscription
            or about.tenant not in terms.tenants
            or about.type not in terms.scope
            or document is None
        ):
            strays += 1
            continue
        letters.append(Letter(received=received, terms=terms, told=about, document=document))
    return letters, strays


def count_verified(received: Iterable[Received], evidence: Evidence, *, shift: int = 0) -> int:
    """Count signatures that verify under the subscription's own secret, or under another's."""
    from standardwebhooks import Webhook, WebhookVerificationError  # noqa: PLC0415 - an extra

    names = sorted(evidence.terms)
    targets = {evidence.terms[name].target: at for at, name in enumerate(names)}
    verified = 0
    for each in received:
        if each.target not in targets:
            continue
        name = names[(targets[each.target] + shift) % len(names)]
        try:
            Webhook(evidence.secrets[name]).verify(each.body, each.headers, json_parse=False)
        except (WebhookVerificationError, UnicodeDecodeError, ValueError):
            continue
        verified += 1
    return verified


def count_outside_scope(letters: Iterable[Letter]) -> int:
    """Count leaves, envelope members and ids that the subscription was not granted."""
    return sum(
        sum(path not in letter.allowed for path, _ in letter.told_leaves)
        + len(letter.document.keys() - ENVELOPE - {"subject"})
        + (letter.document.get("id") != letter.received.webhook_id)
        + (letter.document.get("type") != letter.told.type)
        for letter in letters
    )


def count_unfaithful(letters: Iterable[Letter]) -> int:
    """Count granted leaves of the event that did not arrive, or not with their value.

    A leaf with an action must arrive, and not as it was.
    """
    found = 0
    for letter in letters:
        raw = letter.allowed - letter.actions.keys()
        was, is_now = letter.told.payload, letter.data
        found += (count_leaves(was, raw) - count_leaves(is_now, raw)).total()
        changed = frozenset(letter.actions)
        before, after = count_leaves(was, changed), count_leaves(is_now, changed)
        found += abs(before.total() - after.total()) + (before & after).total()
    return found


def count_names(letters: Iterable[Letter]) -> int:
    """Count the names that partners know people by, each partner for itself."""
    return sum(len(names) for names in _names(letters).values())


def count_shared_names(letters: Iterable[Letter]) -> int:
    """Count names that two partners have in common, by which they could match people."""
    partners = Counter(name for names in _names(letters).values() for name in names)
    return sum(count > 1 for count in partners.values())


def _names(letters: Iterable[Letter]) -> Mapping[str, set[object]]:
    found: dict[str, set[object]] = defaultdict(set)
    for letter in letters:
        found[letter.terms.connector].update(
            value
            for path, value in letter.told_leaves
            if letter.actions.get(path, "").startswith(PSEUDONYM)
        )
    return found


def count_foreign_marks(letters: Iterable[Letter]) -> int:
    """Count planted marks, anywhere in a raw request, of a field that was not granted to it."""
    return sum(
        len(find_marks(letter.received.head + letter.received.body) - _granted_marks(letter))
        for letter in letters
    )


def count_forbidden_texts(letters: Iterable[Letter]) -> int:
    """Look for every ungranted text of each event in the raw request, one by one."""
    found = 0
    for letter in letters:
        wire = letter.received.head + letter.received.body
        granted = _granted_texts(letter)
        texts = {value for _, value in leaves(letter.told.payload) if isinstance(value, str)}
        forbidden = (text for text in texts - granted if find_marks(text.encode()))
        found += sum(_is_in(text, wire) for text in forbidden)
    return found


def count_undeclared(received: Iterable[Received]) -> int:
    """Count undeclared members by name, anywhere in a raw request."""
    return sum(name.encode() in each.head + each.body for each in received for name in UNDECLARED)


def count_planted(told: Iterable[Told]) -> int:
    """Count the marks that were planted in some events."""
    return sum(len(_marks_of(value for _, value in leaves(each.payload))) for each in told)


def count_with_undeclared(told: Iterable[Told]) -> int:
    """Count events that hold a member no schema declares."""
    return sum(any(name in repr(each.payload) for name in UNDECLARED) for each in told)


def by_webhook_id(received: Iterable[Received]) -> dict[str, list[Received]]:
    """Group requests by delivery, each in the order they came."""
    groups: dict[str, list[Received]] = defaultdict(list)
    for each in sorted(received, key=lambda one: one.received_us):
        groups[each.webhook_id].append(each)
    return groups


def attempts_of(ledger: Iterable[LedgerRow]) -> dict[str, list[LedgerRow]]:
    """Group ledger rows by delivery, each in the order they were begun."""
    groups: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in sorted(ledger, key=lambda one: (one.begun_us, one.attempt)):
        groups[row.webhook_id].append(row)
    return groups


def count_written_before(evidence: Evidence) -> int:
    """Count requests that the ledger had a row of their own for, with these bytes, before."""
    attempts = attempts_of(evidence.ledger)
    written = 0
    for webhook_id, group in by_webhook_id(evidence.received).items():
        for place, received in enumerate(group):
            digest = hashlib.sha256(received.body).hexdigest()
            earlier = [
                row
                for row in attempts.get(webhook_id, ())
                if row.begun_us < received.received_us and row.body_sha256 == digest
            ]
            written += len(earlier) > place
    return written


def count_misreported(letters: Iterable[Letter], ledger: Sequence[LedgerRow]) -> int:
    """Count requests whose ledger row names other fields than those in the body."""
    attempts = attempts_of(ledger)
    return sum(
        any(
            _ledger_paths(row) != letter.paths
            for row in attempts.get(letter.received.webhook_id, ())
        )
        for letter in letters
    )


def _granted_texts(letter: Letter) -> frozenset[object]:
    """What may be seen: one text may stand in two fields, and one of them be granted."""
    raw = letter.allowed - letter.actions.keys()
    return frozenset(v for path, v in leaves(letter.told.payload) if path in raw)


def _granted_marks(letter: Letter) -> set[str]:
    return _marks_of(_granted_texts(letter))


def _marks_of(values: Iterable[object]) -> set[str]:
    return {mark for v in values if isinstance(v, str) for mark in find_marks(v.encode())}


def _is_in(text: str, wire: bytes) -> bool:
    return text.encode() in wire or json.dumps(text)[1:-1].encode() in wire


def _ledger_paths(row: LedgerRow) -> frozenset[str]:
    return frozenset(line.partition(" ")[0] for line in json.loads(row.fields or "[]"))


def _decode(body: bytes) -> Mapping[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
