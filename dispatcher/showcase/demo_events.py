"""What happens in the two shops of the demonstration, orders and customers, and what is told of it.

Makes the payloads. Every text that could be told apart is *planted*: it holds a mark that occurs
once in the world, so that the checks can later say of any byte on a wire which field of which event
it came from. Nothing here knows which partner may see what.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle
from random import SystemRandom
from typing import Any, Final

TENANTS: Final = ("nordwind", "sundial")
UNDECLARED: Final = ("margin_note", "lead_score")
"""Names of members that no schema declares: somebody added them to the code, and told nobody."""
UNDECLARED_EVERY: Final = 5
DOOMED_EVERY: Final = 11
_MARK: Final = re.compile(rb"zq[0-9a-f]{16}")
_chance: Final = SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event as a product service means to tell it."""

    type: str
    payload: Mapping[str, Any] = field(repr=False)
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """One business transaction: a row of the service's own, and the events that go with it.

    A doomed one fails after everything was written, and is rolled back.
    """

    service: str
    number: str
    tenant: str
    status: str
    subject: str
    happenings: tuple[Happening, ...]
    is_doomed: bool


def plant(text: str) -> str:
    """Give a text that occurs nowhere else in the world."""
    return f"{text} zq{secrets.token_hex(8)}"


def find_marks(wire: bytes) -> set[str]:
    """Find every planted mark in some bytes, wherever it stands."""
    return {mark.decode() for mark in _MARK.findall(wire)}


def plan_dealings(events: int) -> Iterator[Dealing]:
    """Give transactions whose commits add up to this many events, the doomed ones in between."""
    makers = cycle(_MAKERS)
    left = events
    for number in count(1):
        if left <= 0:
            return
        is_doomed = number % DOOMED_EVERY == 0
        dealing = next(makers)(
            number, TENANTS[number // len(_MAKERS) % len(TENANTS)], left, is_doomed
        )
        yield dealing
        left -= 0 if is_doomed else len(dealing.happenings)


def _place(number: int, tenant: str, _left: int, is_doomed: bool) -> Dealing:
    order = _order(number)
    return _shop(number, tenant, "placed", is_doomed, (_told("order.placed", number, order),))


def _express(number: int, tenant: str, left: int, is_doomed: bool) -> Dealing:
    order = _order(number)
    told = [_told("order.placed", number, order)]
    told.append(_told("order.shipped", number, _shipment(order)))
    return _shop(number, tenant, "shipped", is_doomed, tuple(told[:left]))


def _register(number: int, tenant: str, _left: int, is_doomed: bool) -> Dealing:
    told = (_told("customer.registered", number, _registration(_customer(number))),)
    return _accounts(number, tenant, "registered", is_doomed, told)


def _correct(number: int, tenant: str, left: int, is_doomed: bool) -> Dealing:
    customer = _customer(number)
    told = [_told("customer.registered", number, _registration(customer))]
    told.append(_told("customer.updated", number, _update(customer)))
    return _accounts(number, tenant, "corrected", is_doomed, tuple(told[:left]))


_MAKERS: Final = (_place, _register, _express, _correct)


def _shop(
    number: int, tenant: str, status: str, is_doomed: bool, told: tuple[Happening, ...]
) -> Dealing:
    return Dealing(
        service="shop",
        number=f"order-{number}",
        tenant=tenant,
        status=status,
        subject=f"customer-{number}",
        happenings=told,
        is_doomed=is_doomed,
    )


def _accounts(
    number: int, tenant: str, status: str, is_doomed: bool, told: tuple[Happening, ...]
) -> Dealing:
    return Dealing(
        service="accounts",
        number=f"customer-{number}",
        tenant=tenant,
        status=status,
        subject=f"customer-{number}",
        happenings=told,
        is_doomed=is_doomed,
    )


def _told(event_type: str, number: int, payload: dict[str, Any]) -> Happening:
    if number % UNDECLARED_EVERY == 0:
        payload = payload | {UNDECLARED[0]: plant("bought for less than half")}
        payload["customer"] = payload.get("customer", {}) | {UNDECLARED[1]: plant("likely to buy")}
    return Happening(type=event_type, payload=payload, key=f"{event_type}/{number}")


def _order(number: int) -> dict[str, Any]:
    lines = [_line() for _ in range(1 + number % 3)]
    return {
        "order_id": plant(f"order-{number}"),
        "placed_at": plant(datetime.now(UTC).isoformat()),
        "currency": _chance.choice(("EUR", "DKK", "SEK")),
        "total": round(sum(line["quantity"] * line["unit_price"] for line in lines), 2),
        "customer": _person(number) | {"birth_date": plant("1984-02-29")},
        "shipping": _address(),
        "lines": lines,
        "discounts": [plant("spring"), plant("loyalty")],
        "payment": {
            "method": plant("card"),
            "iban": plant("DE02 1203 0000 0000 2020 51"),
            "card_token": plant("tok"),
        },
        "risk": {"score": round(_chance.random(), 6), "note": plant("paid late twice")},
    }


def _line() -> dict[str, Any]:
    return {
        "sku": plant("sku"),
        "title": plant("Teapot, blue"),
        "quantity": _chance.randint(1, 9),
        "unit_price": round(_chance.uniform(1, 200), 2),
        "purchase_price": round(_chance.uniform(1, 100), 2),
    }


def _shipment(order: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "order_id": order["order_id"],
        "carrier": plant("parcel-post"),
        "tracking_number": plant("PP"),
        "parcels": [
            {"label": plant("label"), "grams": _chance.randint(50, 9000), "packer": plant("Ines")}
            for _ in range(_chance.randint(1, 3))
        ],
        "warehouse": {"code": plant("north"), "door_pin": plant("4711")},
    }


def _customer(number: int) -> dict[str, Any]:
    return _person(number) | {"language": plant("da")}


def _registration(customer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "customer": {
            **customer,
            "birth_date": plant("1991-07-13"),
            "national_id": plant("130791-1234"),
        },
        "address": _address(),
        "consents": [
            {"topic": plant(topic), "given": _chance.random() < 0.5, "proof": plant("form 7")}
            for topic in ("letters", "offers")
        ],
        "login": {"password_hash": plant("$argon2id$"), "recovery_question": plant("first pet")},
        "household": {"partner": plant("Kim"), "child": None},
    }


def _update(customer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "customer": {**customer, "email": f"{plant('new')}@mail.example".replace(" ", ".")},
        "changed": [plant("email")],
        "support": {"agent": plant("Robin"), "note": plant("asked for large print")},
    }


def _person(number: int) -> dict[str, Any]:
    return {
        "id": plant(f"customer-{number}"),
        "name": plant("Åse Żółć-Brandt"),
        "email": f"{plant('aase')}@mail.example".replace(" ", "."),
        "phone": plant("+45 32 10 00 00"),
    }


def _address() -> dict[str, Any]:
    return {
        "street": plant("Havnegade 11"),
        "postcode": plant("1058"),
        "city": plant("København"),
        "country": _chance.choice(("DK", "DE", "SE")),
    }
