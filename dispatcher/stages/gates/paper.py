"""Paper bites: is everything signed, confirmed and assessed that this lane needs, and until when?

Asked by `lanes` when a snapshot is compiled, and by whoever warns ahead. An ended paper closes the
lanes that need it and loses nothing; they open by themselves when a revision renews it. It never
looks at an event, and what is not written down counts as not there.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Self

from dispatcher.model.classification import Sensitivity
from dispatcher.model.endpoint import Endpoint
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Connector, Destination, Policy, Registry
from dispatcher.model.scope import Field, Scope, content_hash
from dispatcher.model.verdict import Reason

Finding = tuple[Reason, str]
WHOLE: Final = "*"
"""Among what an assessment covers: whatever its connector is granted."""


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A paper that ends soon, or has ended: `days_left` is negative then."""

    days_left: int
    connector: str
    paper: str
    until: date


@dataclass(frozen=True, slots=True)
class Needs:
    """What fields need on paper before they go out; `grade` is that of the most sensitive one."""

    agreement: bool
    assessment: bool
    grade: Sensitivity

    @classmethod
    def of(cls, fields: Collection[Field]) -> Self:
        """Sum up these fields; none at all need nothing."""
        return cls(
            agreement=any(field.category.is_personal for field in fields),
            assessment=any(_is_sensitive(field) for field in fields),
            grade=max(
                (field.effective for field in fields),
                key=lambda sensitivity: sensitivity.rank,
                default=Sensitivity.PUBLIC,
            ),
        )


def judge_paper(
    connector: Connector,
    scope: Scope,
    entries: Iterable[Destination],
    policy: Policy,
    today: date,
    reach: str,
) -> Iterator[Finding]:
    """Give every reason why this scope may not go to this connector today.

    `entries` are the allowlist's entries that list the endpoint, expired ones included: one that
    ends must not be what lets a lane open. `reach` is what `reach_of` says of them.
    """
    if connector.state is not ConnectorState.ACTIVE:
        yield Reason.CONNECTOR_INACTIVE, f"{connector.name} is {connector.state}"
    yield from _judge_owner(connector, policy, today)
    needs = _needs(scope)
    agreement = connector.agreement
    if agreement is not None and agreement.until < today:
        yield Reason.AGREEMENT_EXPIRED, f"{connector.name}'s agreement {agreement.reference}"
    if agreement is None and needs.agreement:
        yield Reason.AGREEMENT_MISSING, f"{connector.name} gets personal fields without one"
    if needs.assessment:
        yield from _judge_assessment(connector, today, reach)
    for entry in entries:
        yield from judge_country(connector, entry, needs, policy)


def reach_of(
    event_type: str, endpoint: Endpoint, entries: Iterable[Destination], scope: Scope
) -> str:
    """Name what an assessment of a lane looks at: which personal fields go where, and how.

    Another such field, action, class, recipient or country is another reach; empty where the scope
    needs no assessment.
    """
    if not _needs(scope).assessment:
        return ""
    countries = ",".join(sorted({entry.country for entry in entries}))
    looked_at = (each for each in scope.fields if each.category.is_personal or _is_sensitive(each))
    return content_hash((event_type, str(endpoint), countries, *(each.line for each in looked_at)))


def judge_country(
    connector: Connector, entry: Destination, needs: Needs, policy: Policy
) -> Iterator[Finding]:
    """Give every reason why fields of these needs may not go to the country of a destination."""
    where = f"{entry.host} in {entry.country or 'a country nobody named'}"
    allowed = connector.agreement.countries if connector.agreement is not None else ()
    if needs.agreement and allowed and entry.country not in allowed:
        yield Reason.COUNTRY_FORBIDDEN, f"{where} is outside {connector.name}'s agreement"
    if policy.countries:
        most = policy.countries.get(entry.country, policy.countries.get("*"))
        if most is None or not needs.grade.is_within(most):
            yield Reason.COUNTRY_FORBIDDEN, f"{where} may not get fields this sensitive"


def last_day(
    connector: Connector, scope: Scope, entries: Iterable[Destination], policy: Policy
) -> date:
    """Give the last day on which no paper that this scope needs has ended."""
    ends = [max(map(_last_day_of, entries), default=date.max)]
    if connector.owner_confirmed_until is not None:
        ends.append(_after_grace(connector.owner_confirmed_until, policy))
    if connector.agreement is not None:
        ends.append(connector.agreement.until)
    if connector.assessment is not None and _needs(scope).assessment:
        ends.append(connector.assessment.until)
    return min(ends)


def coming_due(registry: Registry, today: date) -> tuple[Due, ...]:
    """List the papers of active connectors that end within the policy's earliest warning.

    The most urgent come first, those that have ended before them.
    """
    ahead = max(registry.policy.warn_days, default=0)
    return tuple(
        sorted(
            Due((until - today).days, connector.name, paper, until)
            for connector in registry.connectors
            if connector.state is ConnectorState.ACTIVE
            for paper, until in _ends(connector)
            if (until - today).days <= ahead
        )
    )


def must_warn(due: Due, warn_days: Collection[int]) -> bool:
    """True on the days on which the owner is to be told: at each warning, and once it has ended."""
    return due.days_left in warn_days or due.days_left < 0


def _last_day_of(entry: Destination) -> date:
    pinned = entry.tls.pins_until if entry.tls.pins else None
    return min(entry.expires or date.max, pinned or date.max)


@lru_cache(maxsize=65536)
def _needs(scope: Scope) -> Needs:
    # Many lanes share a scope, and a large registry is judged lane by lane at every change.
    return Needs.of(scope.fields)


def _is_sensitive(field: Field) -> bool:
    return field.category.is_special or field.effective is Sensitivity.RESTRICTED


def _judge_owner(connector: Connector, policy: Policy, today: date) -> Iterator[Finding]:
    if not (connector.owner.strip() and connector.contact.strip()):
        yield Reason.OWNER_UNCONFIRMED, f"{connector.name} has no owner or contact"
        return
    until = connector.owner_confirmed_until
    if until is None:
        yield Reason.OWNER_UNCONFIRMED, f"{connector.owner} never confirmed {connector.name}"
    elif _after_grace(until, policy) < today:
        yield Reason.OWNER_UNCONFIRMED, f"{connector.owner} confirmed {connector.name} to {until}"


def _after_grace(until: date, policy: Policy) -> date:
    try:
        return until + timedelta(days=policy.owner_grace_days)
    except OverflowError:
        return date.max


def _judge_assessment(connector: Connector, today: date, reach: str) -> Iterator[Finding]:
    assessment = connector.assessment
    if assessment is None:
        yield Reason.ASSESSMENT_MISSING, f"{connector.name} gets sensitive fields without one"
    elif assessment.until < today:
        yield Reason.ASSESSMENT_EXPIRED, f"{connector.name}'s assessment {assessment.reference}"
    elif WHOLE not in assessment.covers and reach not in assessment.covers:
        what = f"{connector.name}'s assessment {assessment.reference} does not cover {reach}"
        yield Reason.ASSESSMENT_NOT_COVERING, what


def _ends(connector: Connector) -> Iterator[tuple[str, date]]:
    if connector.owner_confirmed_until is not None:
        yield "owner's confirmation", connector.owner_confirmed_until
    if connector.agreement is not None:
        yield f"agreement {connector.agreement.reference}", connector.agreement.until
    if connector.assessment is not None:
        yield f"assessment {connector.assessment.reference}", connector.assessment.until
    if connector.report_only_until is not None:
        yield "report-only mode", connector.report_only_until
    for entry in connector.destinations:
        if entry.expires is not None:
            yield f"destination {entry.host}", entry.expires
        if entry.tls.pins and entry.tls.pins_until is not None:
            yield f"pins of {entry.host}", entry.tls.pins_until
