"""What is done with a granted value before it leaves: as it is, or as less than that.

Written behind a path in a grant (see `grant`), kept as text in a scope's fields, compiled to a
function by `stages.shaping.transforms`. An action is declared, never code: two workers, today and
in a year, make the same of the same value.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from dispatcher.model.classification import Sensitivity

COUNT_MAX: Final = 1_000_000_000


class ActionKind(StrEnum):
    """The kinds of action there are."""

    PASS = "pass"  # noqa: S105 - an action's name
    MASK = "mask"
    PSEUDONYM = "pseudonym"
    VAULT = "vault"
    SIV = "siv"
    TRUNCATE = "truncate"
    GENERALISE = "generalise"
    CONST = "const"
    ENCRYPT = "encrypt"
    SUM = "sum"
    LATEST = "latest"

    @property
    def is_raw(self) -> bool:
        """True where the value, or much of it, leaves as it is: the leak guard looks at it."""
        return self in _RAW

    @property
    def sums_up(self) -> bool:
        """True where it makes one value of many events: in a summary, and nowhere else."""
        return self in (ActionKind.SUM, ActionKind.LATEST)


_RAW: Final = (ActionKind.PASS, ActionKind.TRUNCATE, ActionKind.GENERALISE, ActionKind.LATEST)
_NAME: Final = r"[a-z][a-z0-9_-]{0,31}"
_COUNT: Final = r"(?:0|[1-9][0-9]{0,9})"
# The class sinks by these, so they are bounded: a mask or a prefix of any length hides nothing.
_SHOWN: Final = r"[0-8]"
_PREFIX: Final = r"[1-4]"
_BUCKET: Final = r"(?:[2-9]|[1-9][0-9]{1,9})"
_FORMS: Final[dict[ActionKind, tuple[str, str]]] = {
    ActionKind.MASK: (
        rf"first={_SHOWN}|last={_SHOWN}|first={_SHOWN},last={_SHOWN}",
        "mask(last=4), mask(first=1) or mask(first=1,last=2), at most 8 of either side",
    ),
    ActionKind.PSEUDONYM: (_NAME, "pseudonym(DOMAIN), as in pseudonym(customer)"),
    ActionKind.VAULT: (_NAME, "vault(DOMAIN), as in vault(card)"),
    ActionKind.SIV: (_NAME, "siv(DOMAIN), as in siv(invoice)"),
    ActionKind.TRUNCATE: (_COUNT, "truncate(LENGTH), as in truncate(10)"),
    ActionKind.GENERALISE: (
        rf"year|month|ip|postcode={_PREFIX}|bucket={_BUCKET}",
        "generalise(year), (month), (ip), (postcode=2), at most 4, or (bucket=10), at least 2",
    ),
    ActionKind.ENCRYPT: (r"[A-Za-z0-9_.-]{1,64}", "encrypt(KID), a key of the connector"),
}
_COUNTING: Final = (ActionKind.MASK, ActionKind.TRUNCATE, ActionKind.GENERALISE)
_NUMBERS: Final = re.compile(r"[0-9]+")
_ACTION: Final = re.compile(r"(?P<kind>[a-z]+)(?:\((?P<arguments>.*)\))?\Z", re.DOTALL)
_ONE_LOWER: Final = {
    Sensitivity.RESTRICTED: Sensitivity.CONFIDENTIAL,
    Sensitivity.CONFIDENTIAL: Sensitivity.INTERNAL,
}
_TO_INTERNAL: Final = {
    Sensitivity.RESTRICTED: Sensitivity.INTERNAL,
    Sensitivity.CONFIDENTIAL: Sensitivity.INTERNAL,
}


@dataclass(frozen=True, slots=True)
class Action:
    """One action and its argument, in normal form; `str` gives it as a grant has it."""

    kind: ActionKind
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.kind}({self.argument})" if self.argument else str(self.kind)

    def effective(self, sensitivity: Sensitivity) -> Sensitivity:
        """Give the class of what the action makes of a field of this class.

        A token or a coarser value is one class lower, a masked one internal, a constant public.
        What is cut short or encrypted for the recipient is what it was. So is a sum, for who knows
        all others of a group knows the last one by it, and the latest value, which is somebody's.
        """
        match self.kind:
            case ActionKind.CONST:
                return Sensitivity.PUBLIC
            case ActionKind.MASK:
                return _TO_INTERNAL.get(sensitivity, sensitivity)
            case ActionKind.PSEUDONYM | ActionKind.VAULT | ActionKind.SIV | ActionKind.GENERALISE:
                return _ONE_LOWER.get(sensitivity, sensitivity)
            case _:
                return sensitivity

    def tells_no_more_than(self, other: "Action") -> bool:
        """True when whoever has the other's outcome could make this one's of it.

        Not so a token instead of the value: beside the value, it tells who a token is.
        """
        if self == other:
            return True
        if self.kind is ActionKind.CONST:
            # Where the other gives nothing for some values, a constant tells that there is one.
            return other.kind not in (ActionKind.GENERALISE, ActionKind.ENCRYPT)
        if other.kind is ActionKind.PASS:
            return self.kind in (ActionKind.MASK, ActionKind.TRUNCATE, ActionKind.GENERALISE)
        if self.kind is not other.kind:
            return False
        if self.kind is ActionKind.TRUNCATE:
            return int(self.argument) <= int(other.argument)
        return (
            self.kind is ActionKind.GENERALISE
            and self.argument == "year"
            and other.argument == "month"
        )

    def count(self, name: str = "") -> int:
        """Give a number among the arguments: `mask(first=1,last=2)` has `last` 2; else 0."""
        for part in self.argument.split(","):
            key, mark, value = part.rpartition("=")
            if key == name and (mark or not name):
                return int(value)
        return 0


PASS: Final = Action(ActionKind.PASS)


@lru_cache(maxsize=4096)
def parse_action(text: str) -> Action:
    """Read an action; `ValueError` says what is not in the grammar."""
    found = _ACTION.match(text)
    try:
        kind = ActionKind(found["kind"] if found is not None else "")
    except ValueError:
        known = ", ".join(ActionKind)
        raise ValueError(f"no such action: {text[:64]!r}; there are {known}") from None
    argument = found["arguments"] if found is not None else None
    if kind is ActionKind.PASS or kind.sums_up:
        if argument is not None:
            raise ValueError(f"{kind} takes no argument")
        return PASS if kind is ActionKind.PASS else Action(kind)
    if kind is ActionKind.CONST:
        return Action(kind, _constant(argument or ""))
    form, example = _FORMS[kind]
    if argument is None or not re.fullmatch(form, argument):
        raise ValueError(f"write {example}")
    action = Action(kind, argument)
    largest = max(map(int, _NUMBERS.findall(argument)), default=1)
    if kind in _COUNTING and not 0 < largest <= COUNT_MAX:
        raise ValueError(f"write a number from 1 to {COUNT_MAX}: {example}")
    return action


def _constant(text: str) -> str:
    """Give a constant in normal form: one JSON scalar."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = ()
    if not isinstance(value, str | int | float | None):  # true and false are integers here
        raise ValueError("write const(VALUE) with a JSON text, number, true, false or null")
    return msgspec.json.encode(value).decode()
