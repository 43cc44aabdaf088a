"""The actions as functions of a value: declared in `model.action`, compiled here once for a scope.

Called by `projection` for every granted leaf that does not pass as it is. A function gives the
value to send, or nothing where the value is not what its action is made for (a date that is none):
then it is dropped, and counted. It never gives more than the action says, and never raises.
"""

import re
from collections.abc import Callable
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_address
from math import floor, isfinite
from typing import Final

import msgspec

from dispatcher.model.action import Action, ActionKind
from dispatcher.model.token import write_value
from dispatcher.stages.shaping.draft import Draft

HIDDEN: Final = "***"
"""What stands for the part of a value that is hidden, however long that is."""
DROPPED: Final = object()
"""Given for a value that does not fit its action."""

Transform = Callable[[object, Draft], object]
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})(?:-\d{2}(?:[Tt ].*)?)?\Z", re.ASCII | re.DOTALL)
_IPV4_KEPT: Final = 24
_IPV6_KEPT: Final = 48


def suits(action: Action, types: str) -> bool:
    """True when an action is made for a leaf of these scalar types (`string`, `integer|null`)."""
    said = set(types.split("|")) - {"null"}
    match action.kind:
        case ActionKind.PASS | ActionKind.CONST | ActionKind.ENCRYPT | ActionKind.LATEST:
            return True
        case ActionKind.SUM:
            return bool(said) and said <= {"integer", "number"}
        case ActionKind.PSEUDONYM | ActionKind.VAULT | ActionKind.SIV:
            return bool(said) and said <= {"string", "integer"}
        case ActionKind.GENERALISE if action.argument.startswith("bucket"):
            return bool(said) and said <= {"integer", "number"}
        case _:
            return said == {"string"}


def compile_action(action: Action) -> Transform:
    """Give the function of an action; one that takes values as they are has none."""
    match action.kind:
        case ActionKind.MASK:
            return _mask(action.count("first"), action.count("last"))
        case ActionKind.PSEUDONYM | ActionKind.VAULT | ActionKind.SIV:
            return _token(action.kind, action.argument)
        case ActionKind.TRUNCATE:
            return _truncate(action.count())
        case ActionKind.GENERALISE:
            return _generalise(action)
        case ActionKind.CONST:
            return _constant(msgspec.json.decode(action.argument))
        case ActionKind.ENCRYPT:
            return _encrypt(action.argument)
        case _:
            raise ValueError(f"{action} needs no function")


def _mask(first: int, last: int) -> Transform:
    def mask(value: object, _: Draft) -> object:
        # Of a short value nothing is shown: what is kept would be most of it.
        if not isinstance(value, str) or 2 * (first + last) > len(value):
            return HIDDEN
        return value[:first] + HIDDEN + value[len(value) - last :]

    return mask


def _token(kind: ActionKind, domain: str) -> Transform:
    def pseudonym(value: object, draft: Draft) -> object:
        return draft.tokens.pseudonym(domain, write_value(value))

    def siv(value: object, draft: Draft) -> object:
        return draft.tokens.siv(domain, write_value(value))

    def vault(value: object, draft: Draft) -> object:
        text = write_value(value)
        token = draft.tokens.vault(domain, text)
        if token is None:
            draft.wanted.add((domain, text))
            return DROPPED
        return token

    return {ActionKind.PSEUDONYM: pseudonym, ActionKind.SIV: siv}.get(kind, vault)


def _truncate(length: int) -> Transform:
    return lambda value, _: value[:length] if isinstance(value, str) else DROPPED


def _constant(value: object) -> Transform:
    return lambda _value, _draft: value


def _encrypt(kid: str) -> Transform:
    def encrypt(value: object, draft: Draft) -> object:
        sealed = draft.tokens.encrypt(kid, msgspec.json.encode(value))
        return DROPPED if sealed is None else sealed

    return encrypt


def _generalise(action: Action) -> Transform:
    name, _, number = action.argument.partition("=")
    if name == "postcode":
        return _prefix(int(number))
    if name == "bucket":
        return _bucket(int(number))
    coarsen = {"year": _year, "month": _month, "ip": _network}[name]
    return lambda value, _: coarsen(value) if isinstance(value, str) else DROPPED


def _prefix(length: int) -> Transform:
    def prefix(value: object, _: Draft) -> object:
        # Where nothing is left out, nothing is made coarser.
        return value[:length] if isinstance(value, str) and len(value) > length else DROPPED

    return prefix


def _bucket(size: int) -> Transform:
    def bucket(value: object, _: Draft) -> object:
        if value.__class__ is int or (isinstance(value, float) and isfinite(value)):
            return floor(value) // size * size
        return DROPPED

    return bucket


def _month(text: str) -> object:
    found = _MONTH.match(text)
    if found is None:
        return DROPPED
    try:
        day = date(int(found[1]), int(found[2]), 1)
    except ValueError:
        return DROPPED
    return f"{day:%Y-%m}" if day.year > 999 else DROPPED


def _year(text: str) -> object:
    month = _month(text)
    return month[:4] if isinstance(month, str) else DROPPED


def _network(text: str) -> object:
    try:
        address = ip_address(text)
    except ValueError:
        return DROPPED
    if address.version == 6:
        # A network of 6to4 would show the whole IPv4 address it is made of.
        address = address.ipv4_mapped or address.sixtofour or address
    number = int(address)  # an IPv6 address may name an interface too
    if address.version == 4:
        return str(IPv4Network((number, _IPV4_KEPT), strict=False))
    return str(IPv6Network((number, _IPV6_KEPT), strict=False))
