"""What is told of a refused destination, and to whom (egress spec P6).

Somebody who may propose destinations, and could read from each refusal what the network inside
looks like, would have a scanner. They are told that a destination is refused; which of the reasons
it was is for those who approve, stop and audit. Used by every noun that shows why something did not
leave.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from dispatcher.model.people import Principal, Right
from dispatcher.model.verdict import Reason

DESTINATION_REFUSED: Final = "destination_refused"
"""The one code that stands for all of them."""
EXPLAINED: Final = "destination.explained"
"""The kind of entry that holds what a submitter was not told."""

_OF_THE_INSIDE: Final = frozenset(
    {
        Reason.ADDRESS_FORBIDDEN,
        Reason.ALIAS_OUTSIDE,
        Reason.ADDRESS_NONE,
        Reason.DESTINATION_EXPIRED,
        Reason.DESTINATION_INSIDE,
        Reason.DESTINATION_PLAINTEXT,
        Reason.DESTINATION_REVOKED,
        Reason.DESTINATION_UNLISTED,
        "dns_failed",
        "dns_oversized",
        "dns_timeout",
    }
)


def may_see_reasons(principal: Principal) -> bool:
    """True for those who may know why a destination is refused."""
    return Right.INSPECT in principal.rights


def blurred(code: str) -> str:
    """Give the code as somebody sees it who may not see reasons; several are joined by commas."""
    parts = code.split(",")
    seen = (DESTINATION_REFUSED if each in _OF_THE_INSIDE else each for each in parts)
    return ",".join(dict.fromkeys(seen))


def reasons_for(principal: Principal, reasons: Iterable[Reason]) -> list[str]:
    """Give the codes of reasons as this principal may see them."""
    codes = map(str, reasons) if may_see_reasons(principal) else map(blurred, reasons)
    return list(dict.fromkeys(codes))


def without_reason(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Give an entry of the record as somebody sees it who may not see reasons."""
    return {**entry, "detail": {}} if entry["kind"] == EXPLAINED else dict(entry)


def as_seen_by(principal: Principal, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give rows that have a `code` as this principal may see them."""
    if may_see_reasons(principal):
        return list(rows)
    return [{**row, "code": row["code"] and blurred(row["code"])} for row in rows]
