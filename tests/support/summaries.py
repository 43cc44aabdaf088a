"""Short ways to sum up a window of events, for tests of the pure floors."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.event import Event
from dispatcher.model.ids import EventId, WindowId
from dispatcher.model.letter import Admitted, Cleared, Shaped
from dispatcher.model.paper import Agreement, Assessment, Purpose
from dispatcher.model.registry import Registry, Style
from dispatcher.model.verdict import Refusal
from dispatcher.model.window import Window
from dispatcher.stages.gates.preflight import preflight
from dispatcher.stages.shaping.summary import Tally, shape_window
from tests.unit.stages import builders
from tests.unit.stages.builders import FAR, TOKENS, leaf, record

WINDOW = Window.at(1_700_000_000_000_000, 3600)
SCHEMA = record(
    total=leaf(["integer", "null"]),
    price=leaf("number"),
    status=leaf(["string", "null"]),
    customer=record(name=leaf(category="pii", level="confidential"), age=leaf("integer")),
    lines={"type": "array", "items": record(qty=leaf("integer"))},
)
GRANTS = ("$.total sum", "$.status latest")


def event(number: int, payload: Any, *subjects: str, **more: Any) -> Event:
    """An event of this number; text is taken for JSON as it is."""
    body = payload.encode() if isinstance(payload, str) else msgspec.json.encode(payload)
    given = {"seq": number, "id": EventId(f"evt_{number}"), "subjects": subjects} | more
    return builders.event(body, **given)


def summary_of(*grants: str, **more: Any) -> Registry:
    """A registry with one summary, to a partner who may be told everything."""
    given = {"scope": {"order.paid": grants}, "style": Style.SUMMARY} | more
    return builders.registry(
        event_types=(builders.event_type(schema=SCHEMA),),
        subscriptions=(builders.subscription(**given),),
        connectors=(
            builders.connector(
                clearance=Sensitivity.RESTRICTED,
                agreement=Agreement(reference="A-1", until=FAR),
                assessment=Assessment(reference="PIA-1", until=FAR),
                purposes=(Purpose(name="fulfilment", categories=tuple(Category)),),
            ),
        ),
    )


def cleared(held: Registry, filed: Registry | None = None) -> Cleared:
    """The letter of a window, as the first gate lets it pass."""
    snapshot, before = builders.snapshot(held), builders.snapshot(filed or held)
    letter = builders.leased(event(1, {}), window_id=WindowId(1))
    verdict = preflight(letter, snapshot, before.routes["acme-orders"].scopes["order.paid"])
    assert isinstance(verdict, Cleared), verdict
    return verdict


def summed(events: Iterable[Event], letter: Cleared) -> Shaped | Refusal:
    tally = Tally(letter, TOKENS)
    for each in events:
        refusal = tally.take(each)
        if refusal is not None:
            return refusal
    return shape_window(Admitted(cleared=letter, addresses=("8.8.8.8",)), WINDOW, tally)


def shaped(events: Iterable[Event], *grants: str, **more: Any) -> Shaped:
    found = summed(events, cleared(summary_of(*(grants or GRANTS), **more)))
    assert isinstance(found, Shaped), found
    return found


def told(events: Iterable[Event], *grants: str, **more: Any) -> dict[str, Any]:
    """What the partner is told, but for the times of the window."""
    data: dict[str, Any] = msgspec.json.decode(shaped(events, *grants, **more).plaintext)["data"]
    del data["window"]
    return data


def of_people(payloads: Sequence[Any], people: int) -> list[Event]:
    """Events with these payloads, about so many people in turn."""
    return [
        event(number, payload, f"person-{number % people}")
        for number, payload in enumerate(payloads, start=1)
    ]
