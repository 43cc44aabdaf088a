"""`dispatcher bench shaping`: what it costs to make one partner's exact bytes of an event.

Called by the command line. By the road's own code: decode, scope and encode by themselves; then the
whole letter, with its envelope and records, with and without the leak guard. Beside them, in the
same run and in turns, the same event is decoded and encoded whole, by the same library. Then five
subscribers of one event, and each action alone. One process; nothing is sent or stored.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import click
import msgspec

from dispatcher.app.running import calm_collector
from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.event import Event
from dispatcher.model.ids import Epoch, EventId, Revision, WebhookId
from dispatcher.model.letter import Admitted, Shaped
from dispatcher.model.paper import LegalBasis, Purpose
from dispatcher.model.registry import EventType, Registry
from dispatcher.model.scope import Scope
from dispatcher.model.token import TokenKey
from dispatcher.showcase.bench_goods import EVENT_TYPE, GRANTS, TENANT, payload, schema_of, subject
from dispatcher.showcase.bench_registry import large_registry
from dispatcher.showcase.bench_report import machine, print_json, spread
from dispatcher.stages.gates.rehearsal import rehearse
from dispatcher.stages.revising.compiling import compile_snapshot
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.picking import pick
from dispatcher.stages.shaping.projection import project
from dispatcher.stages.shaping.scopes import resolve_scope
from dispatcher.stages.shaping.shape import shape
from dispatcher.stages.shaping.tokens import Tokens
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.tokens import TokenKeys

TARGET_CPU_US: Final = 20.0
TARGET_GUARD_CPU_US: Final = 25.0
SUBSCRIBERS: Final = 5
_CLEARANCE: Final = Sensitivity.CONFIDENTIAL
_KEY_BYTES: Final = 32
_LINES: Final = {"1k": 5, "8k": 135}
"""How many lines the order of each event has."""
_NUMBER: Final = 482_915_374_206
"""What the ids of an event are made of."""
_OTHER_NUMBERS: Final = {"plain": 1, "long": 4_829_153_742_061_374}
"""The same where the leak guard sees nothing at a glance; where two ids could be card numbers."""
_EMAIL: Final = "$.customer.email"
_TOKENISED: Final = tuple(f"{g} pseudonym(customer)" if g == _EMAIL else g for g in GRANTS)
_ACTIONS: Final = {
    "pass": "$.order.id",
    "mask(last=4)": "$.order.id",
    "truncate(4)": "$.order.id",
    "const(1)": "$.order.id",
    "pseudonym(a)": "$.order.id",
    "siv(a)": "$.order.id",
    "generalise(month)": "$.order.placed_at",
    "generalise(postcode=2)": "$.order.id",
    "generalise(bucket=10)": "$.order.total",
}
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Goods:
    """One event as every subscriber has it, and whose tokens each letter bears."""

    text: bytes
    letters: tuple[Admitted, ...]
    tokens: tuple[Tokens, ...]

    def bare(self) -> None:
        """Decode and encode the whole event, as whoever sends all of it would."""
        _encode(_decode(self.text))

    def scoped(self) -> None:
        """Decode what one subscriber is granted, and encode it."""
        draft = Draft(self.letters[0].cleared.scope, self.tokens[0])
        _encode(pick(self.text, draft))

    def one(self) -> None:
        """Shape it for one subscriber."""
        _made(self.letters[0], self.tokens[0])

    def five(self) -> None:
        """Shape it for every subscriber."""
        for letter, tokens in zip(self.letters, self.tokens, strict=True):
            _made(letter, tokens)

    def unguarded(self) -> "_Goods":
        """Give the same where the policy has no rule for the leak guard."""
        return replace(self, letters=tuple(_unguarded(letter) for letter in self.letters))


async def run_shaping_bench(*, letters: int, rounds: int, as_json: bool) -> int:
    """Measure and report; 0 when it was measured, whether or not the target is met."""
    calm_collector()  # as every serving process does
    goods = {size: _goods(_event(lines)) for size, lines in _LINES.items()}
    report: dict[str, Any] = {"letters": letters, "rounds": rounds, **machine()}
    report["bytes"] = {size: len(each.text) for size, each in goods.items()}
    figures = _take_turns(goods, letters, rounds)
    report |= {name: spread(found, 2) for name, found in figures.items()}
    actions = _alone(letters, rounds)
    report["action_cpu_us"] = {name: spread(found, 2) for name, found in actions.items()}
    report |= {"target_cpu_us": TARGET_CPU_US, "target_guard_cpu_us": TARGET_GUARD_CPU_US}
    report["is_met"] = (
        report["scope_1k_cpu_us"]["median"] <= TARGET_CPU_US
        and report["leak_guard_1k_cpu_us"]["median"] <= TARGET_GUARD_CPU_US
    )
    if as_json:
        print_json(report)
    else:
        _print_lines(report)
    return 0


def shaped_letter(**terms: Any) -> Shaped:
    """Give the bench's own letter by a route with these terms, shaped and not yet sealed."""
    goods = _goods(_event(_LINES["1k"]))
    letter = goods.letters[0]
    route = replace(letter.cleared.route, **terms)
    admitted = replace(letter, cleared=replace(letter.cleared, route=route))
    return _made(admitted, goods.tokens[0])


def _take_turns(goods: dict[str, _Goods], letters: int, rounds: int) -> dict[str, list[float]]:
    """Measure all in each round, in one order and then in the other; one round goes before."""
    works: dict[str, Callable[[], None]] = {}
    for size, each in goods.items():
        bold = each.unguarded()
        works[f"bare_{size}_cpu_us"] = each.bare
        works[f"scope_{size}_cpu_us"] = bold.scoped
        works[f"shape_{size}_cpu_us"] = bold.one
        works[f"five_{size}_cpu_us"] = bold.five
        works[f"guarded_{size}_cpu_us"] = each.one
    for kind, number in _OTHER_NUMBERS.items():
        other = _goods(_event(_LINES["1k"], number))
        works[f"shape_{kind}_cpu_us"] = other.unguarded().one
        works[f"guarded_{kind}_cpu_us"] = other.one
    found: dict[str, list[float]] = {}
    for round_ in range(rounds + 1):
        turns = list(works.items())
        cost = {name: _cpu_us(work, letters) for name, work in turns[:: 1 if round_ % 2 else -1]}
        for size in goods:
            ratio = cost[f"scope_{size}_cpu_us"] / cost[f"bare_{size}_cpu_us"]
            cost[f"scope_to_bare_{size}_ratio"] = ratio
        for kind in (*goods, *_OTHER_NUMBERS):
            guarded, shaped = cost[f"guarded_{kind}_cpu_us"], cost[f"shape_{kind}_cpu_us"]
            cost[f"leak_guard_{kind}_cpu_us"] = guarded - shaped
        for name, figure in cost.items() if round_ else ():
            found.setdefault(name, []).append(figure)
    return found


def _alone(letters: int, rounds: int) -> dict[str, list[float]]:
    """Measure the scope of one grant with each action, on an event that is decoded already."""
    document = _event(1)
    tokens = _tokens("bench-0")
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for action, path in _ACTIONS.items():
            scope = _scope(document, f"{path} {action}")

            def work(scope: Scope = scope) -> None:
                project(document, Draft(scope, tokens))

            found.setdefault(action, []).append(_cpu_us(work, letters))
    return found


def _cpu_us(work: Callable[[], None], count: int) -> float:
    work()
    began = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - began) * 1e6 / count


def _made(letter: Admitted, tokens: Tokens) -> Shaped:
    shaped = shape(letter, tokens)
    if not isinstance(shaped, Shaped) or shaped.dropped:
        raise RuntimeError("the bench's own letter was not made as it should be")
    return shaped


def _goods(document: dict[str, Any]) -> _Goods:
    text = _encode(document)
    held = _registry(document)
    snapshot = compile_snapshot(
        held,
        revision=Revision(1),
        epoch=Epoch(1),
        switches=(),
        proofs=(),
        today=date(2026, 1, 1),
        loopback=frozenset(),
    )
    event = Event(
        seq=1,
        id=EventId("evt_bench"),
        tenant=TENANT,
        type=EVENT_TYPE,
        producer="bench",
        subjects=(subject(1),),
        occurred_us=1_700_000_000_000_000,
        payload=text,
    )
    letters = []
    for wanted in held.subscriptions:
        scope = snapshot.routes[wanted.name].scopes[EVENT_TYPE]
        # No endpoint is proven, and none has an address: a letter that is only looked at.
        letter = rehearse(event, wanted.name, WebhookId("msg_bench"), scope, snapshot).admitted
        if letter is None or len(scope.fields) != len(GRANTS):
            raise RuntimeError("the bench's own letter was refused")
        letters.append(letter)
    tokens = (_tokens(wanted.connector) for wanted in held.subscriptions)
    goods = _Goods(text, tuple(letters), tuple(tokens))
    if pick(text, Draft(letters[0].cleared.scope, goods.tokens[0])) is None:
        raise RuntimeError("the bench's own event was not read as it should be")
    return goods


def _registry(document: dict[str, Any]) -> Registry:
    """Make a registry in which every subscriber is granted the same of the event."""
    held = large_registry(SUBSCRIBERS, SUBSCRIBERS)
    purpose = Purpose(name="shipping", categories=tuple(Category), legal_basis=LegalBasis.CONTRACT)
    terms: Any = {
        "purposes": (purpose,),
        "tenants": (TENANT,),
        "clearance": Sensitivity.CONFIDENTIAL,
    }
    schema = json.dumps(schema_of("", document))
    return replace(
        held,
        event_types=(EventType(name=EVENT_TYPE, schema=schema),),
        connectors=tuple(replace(each, **terms) for each in held.connectors),
        subscriptions=tuple(
            replace(each, scope={EVENT_TYPE: _TOKENISED}) for each in held.subscriptions
        ),
    )


def _unguarded(letter: Admitted) -> Admitted:
    route = replace(letter.cleared.route, leak_rules=())
    return replace(letter, cleared=replace(letter.cleared, route=route))


def _event(lines: int, number: int = _NUMBER) -> dict[str, Any]:
    made = payload(number)
    made["lines"] = [made["lines"][0] | {"sku": f"SKU-{line:05d}"} for line in range(lines)]
    return made


def _scope(document: dict[str, Any], grant: str) -> Scope:
    schema = json.dumps(schema_of("", document))
    scope, _ = resolve_scope(schema, (grant,), _CLEARANCE, frozenset(Category))
    if len(scope.fields) != 1:
        raise RuntimeError("the bench's own grant was withheld")
    return scope


def _tokens(connector: str) -> Tokens:
    root, secret = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_KEY_BYTES)
    keys = TokenKeys(Keyring("k1", MappingProxyType({"k1": root})))
    return keys.recipient(TENANT, TokenKey(connector, 1, secret))


def _print_lines(report: dict[str, Any]) -> None:
    click.echo(
        f"{len(GRANTS)} grants, one a pseudonym; {report['letters']} letters, "
        f"{report['rounds']} rounds, {report['cores']} cores; CPU µs, median (min - max)"
    )
    for size, length in report["bytes"].items():
        click.echo(f"an event of {length} bytes:")
        _print_line("decode and encode whole", report[f"bare_{size}_cpu_us"])
        _print_line("decode, scope and encode", report[f"scope_{size}_cpu_us"])
        _print_line("ratio of the two", report[f"scope_to_bare_{size}_ratio"])
        _print_line("the whole letter", report[f"shape_{size}_cpu_us"])
        _print_line(f"{SUBSCRIBERS} whole letters", report[f"five_{size}_cpu_us"])
        _print_line("leak guard besides", report[f"leak_guard_{size}_cpu_us"])
    click.echo("the leak guard besides, for 1 KB")
    _print_line("without any long number", report["leak_guard_plain_cpu_us"])
    _print_line("with two that could be cards", report["leak_guard_long_cpu_us"])
    click.echo("the scope of one grant:")
    for action, figures in report["action_cpu_us"].items():
        _print_line(action, figures)
    verdict = "met" if report["is_met"] else "not met"
    click.echo(
        f"target: 1 KB decoded, scoped and encoded in at most {TARGET_CPU_US:g} µs CPU, the leak "
        f"guard in {TARGET_GUARD_CPU_US:g}: {verdict}"
    )


def _print_line(what: str, figures: dict[str, float]) -> None:
    median, least, most = (figures[each] for each in ("median", "min", "max"))
    click.echo(f"  {what:36} {median:7.2f} ({least:.2f} - {most:.2f})")
