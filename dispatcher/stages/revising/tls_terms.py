"""The part of the disclosure diff that says how TLS terms become stricter or looser.

Called with the entries of the allowlist, and with the routes of what flows: an entry that goes may
leave an endpoint to another with looser terms. To trust something else than before is to widen.
"""

from collections.abc import Iterator
from datetime import date
from typing import Final

from dispatcher.model.disclosure import Aspect, Change, Direction
from dispatcher.model.tls import Tls

_WIDENS: Final = Direction.WIDENS
_NARROWS: Final = Direction.NARROWS
Terms = tuple[Tls, bool]
"""TLS terms as they are on the day of the comparison, and whether each letter closes its
connection."""


def compare_tls(where: str, shown: str, was: Terms, now: Terms) -> Iterator[Change]:
    """Give every way in which the terms of `shown` become stricter or looser."""
    if was == now:
        return
    (before, was_closing), (after, is_closing) = was, now
    for direction, what in (
        *_compare_trust(before, after),
        *_compare_pins(before, after),
        *_compare_identity(before, after),
    ):
        yield Change(direction, Aspect.TLS, where, f"{shown}: {what}")
    if was_closing != is_closing:
        what = "a connection for each letter" if is_closing else "connections are used again"
        direction = _NARROWS if is_closing else _WIDENS
        yield Change(direction, Aspect.TLS, where, f"{shown}: {what}")


def _compare_trust(was: Tls, now: Tls) -> Iterator[tuple[Direction, str]]:
    if was.minimum != now.minimum:
        direction = _NARROWS if now.minimum > was.minimum else _WIDENS
        yield direction, f"TLS {now.minimum} or later, was {was.minimum}"
    if was.ca == now.ca:
        return
    old, new = was.authorities, now.authorities
    if not now.ca:
        yield _WIDENS, "trusts the public authorities, was its own"
    elif not was.ca:
        yield _WIDENS, "trusts an authority of its own, was the public ones"
    elif not new <= old:
        yield _WIDENS, "trusts another authority"
    elif new != old:
        yield _NARROWS, f"trusts {len(new)} authorities, was {len(old)}"


def _compare_pins(was: Tls, now: Tls) -> Iterator[tuple[Direction, str]]:
    if not was.pins and now.pins:
        kind = "reported" if now.is_reporting else "required"
        yield _NARROWS, f"its public key is {kind}: {', '.join(now.pins)}"
        return
    if was.pins and not now.pins:
        yield _WIDENS, "any public key will do, was pinned"
        return
    for pin in sorted(set(now.pins) - set(was.pins)):
        yield _WIDENS, f"the public key may be {pin}"
    for pin in sorted(set(was.pins) - set(now.pins)):
        yield _NARROWS, f"the public key may not be {pin}"
    if now.pins and was.pins_until != now.pins_until:
        yield _later(was.pins_until, now.pins_until, date.max), f"pinned through {now.pins_until}"
    if now.pins and was.pins_report_until != now.pins_report_until:
        until = now.pins_report_until
        what = f"a wrong public key is only reported through {until}" if until else "pins hold"
        yield _later(was.pins_report_until, until, date.min), what


def _compare_identity(was: Tls, now: Tls) -> Iterator[tuple[Direction, str]]:
    """Who we say we are: to show a certificate somewhere new is to widen, to show none is not."""
    if was.identity != now.identity:
        direction = _WIDENS if now.identity else Direction.NEUTRAL
        yield direction, f"identity {now.identity or 'none'}, was {was.identity or 'none'}"


def _later(was: date | None, now: date | None, absent: date) -> Direction:
    return _WIDENS if (now or absent) > (was or absent) else _NARROWS
