"""`/v1/explanations`: may a URL be sent to, by which rule, and what would change that?"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from dispatcher.api.blurring import DESTINATION_REFUSED, EXPLAINED, may_see_reasons
from dispatcher.api.calls import Ask
from dispatcher.api.registered import named
from dispatcher.api.routes import Route
from dispatcher.api.views import Text, View
from dispatcher.control.means import Means
from dispatcher.model.audit import Entry
from dispatcher.model.days import day_of
from dispatcher.model.endpoint import URL_CHARACTERS_MAX
from dispatcher.model.host import canonical_host
from dispatcher.model.letter import Trouble
from dispatcher.model.lookalikes import describe, shapes_of
from dispatcher.model.people import Right
from dispatcher.model.registry import Destination, Registry
from dispatcher.stages.gates.address_table import TABLE_VERSION
from dispatcher.stages.gates.addresses import ADDRESS_CHARACTERS_MAX
from dispatcher.stages.gates.listing import WILDCARD, Ground
from dispatcher.stages.gates.ownership import Ownership
from dispatcher.stages.revising.explaining import Explanation, find, judge

ANSWERS_MAX: Final = 64
ASK_APPROVER: Final = "ask somebody who approves destinations: they are told the reason"
Addresses = Annotated[
    list[Annotated[str, Field(max_length=ADDRESS_CHARACTERS_MAX)]], Field(max_length=ANSWERS_MAX)
]


class Question(View):
    """A URL to ask about; of one partner's allowlist, or of all.

    `answers` are what names would resolve to, by name; a listed host that is not among them is
    asked for by the resolver that deliveries use, and one that is not listed never.
    """

    url: Annotated[str, Field(max_length=4 * URL_CHARACTERS_MAX)]
    connector: Text | None = None
    answers: Annotated[dict[str, Addresses], Field(max_length=ANSWERS_MAX)] = Field(
        default_factory=dict
    )


class ExplanationView(View):
    """The verdict, the rule, the entry, the revision, the addresses, and the fix.

    `source` says from which addresses letters leave; `table` is the version of the address table.
    """

    verdict: Literal["allow", "block"]
    code: str
    rule: str
    why: str
    fix: str
    url: str
    connector: str
    entry: Destination | None
    addresses: list[str]
    aliases: list[str]
    notes: list[str]
    source: str
    revision: int
    table: int


async def explain(means: Means, ask: Ask) -> dict[str, Any]:
    """Say whether a URL may be sent to, by the same code that decides on every delivery."""
    now = await means.registry.policy_now()
    active, proofs = now.active, now.proofs
    today, policy = day_of(means.wall_us()), active.registry.policy
    is_trusted = may_see_reasons(ask.principal)
    ground = Ground(policy, today, frozenset())
    found = await _explain(means, active.registry, ground, ask.body, is_trusted=is_trusted)
    ownership = Ownership.of(policy, means.loopback, proofs, today)
    # A URL that cannot be read says nothing of the network inside, and what is allowed neither.
    is_told = found.is_allowed or found.endpoint is None or is_trusted
    if not is_told:
        detail = {"code": found.code, "rule": found.rule}
        await means.audit.record(
            Entry(
                kind=EXPLAINED,
                actor=ask.principal.name,
                about=str(found.endpoint),
                detail=detail,
            )
        )
        found = _blurred(found)
    return {
        "verdict": "allow" if found.is_allowed else "block",
        "code": found.code,
        "rule": found.rule,
        "why": found.why,
        "fix": found.fix if is_told else ASK_APPROVER,
        "url": str(found.endpoint or ""),
        "connector": found.connector,
        "entry": found.entry,
        "addresses": found.addresses,
        "aliases": found.aliases,
        "notes": _notes(found, active.registry, ownership) if is_told else (),
        "source": means.way_out().source,
        "revision": active.revision,
        "table": TABLE_VERSION,
    }


async def _explain(
    means: Means, registry: Registry, ground: Ground, question: Question, *, is_trusted: bool
) -> Explanation:
    connectors = registry.connectors
    if question.connector is not None:
        connectors = (named(connectors, question.connector, "connector"),)
    found = find(question.url, connectors, ground)
    if isinstance(found, Explanation):
        return found
    host, way_out = found.endpoint.host, means.way_out()
    rules = way_out.rules
    answers = {canonical_host(name): tuple(given) for name, given in question.answers.items()}
    if host in answers or found.endpoint.literal is not None:
        return judge(found, answers.get(host, ()), rules)
    if found.listing.is_reported and not is_trusted:
        return judge(found, None, rules)  # nobody listed the name, so it is not asked for
    resolved = await way_out.look_up(host, bool(found.listing.ranges))
    if isinstance(resolved, Trouble):
        return judge(found, (), rules)
    return judge(found, resolved.addresses, rules, resolved.aliases)


def _blurred(found: Explanation) -> Explanation:
    why = "this destination may not be sent to"
    return Explanation(code=DESTINATION_REFUSED, rule="P6", why=why, endpoint=found.endpoint)


def _notes(found: Explanation, registry: Registry, ownership: Ownership) -> tuple[str, ...]:
    """Say what a reader may not see: a look-alike, and that lanes wait for something else yet."""
    if found.endpoint is None:
        return ()
    notes = list(describe(found.endpoint.host, shapes_of(_listed(registry))))
    if found.is_allowed and ownership.is_unproven(found.connector, found.endpoint):
        notes.append(
            f"{found.endpoint.host} has not yet shown that it is {found.connector}'s own, and its "
            "lanes are closed until then: see 'dispatcher prove'"
        )
    return tuple(notes)


def _listed(registry: Registry) -> Iterator[str]:
    entries = (each.host for one in registry.connectors for each in one.destinations)
    return filter(None, (canonical_host(each.removeprefix(WILDCARD)) for each in entries))


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/explanations",
        right=Right.READ,
        answer=explain,
        body=Question,
        reply=ExplanationView,
        refusals=(404,),
    ),
)
