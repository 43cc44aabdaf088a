"""A grant, as it stands in a registry file: a path, and what is done with what stands there.

    $.order.id
    $.customer.email pseudonym(customer)
    @subject

One blank parts the two; without an action the value passes as it is. `@subject` is the person the
envelope names, by a pseudonym unless the grant says otherwise.
"""

from dataclasses import dataclass
from typing import Final

from dispatcher.model.action import PASS, Action, ActionKind, parse_action
from dispatcher.model.path import SUBJECT, Path, parse_path, path_length

SUBJECT_DOMAIN: Final = "subject"
"""The domain of subjects: `pseudonym(subject)` of the same id is the same token."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One path and one action."""

    path: Path
    action: Action


def parse_grant(text: str) -> Grant:
    """Read a grant; `ValueError` names what is not understood."""
    end = path_length(text)
    if text[end : end + 1] == " ":
        return Grant(parse_path(text[:end]), parse_action(text[end + 1 :]))
    path = parse_path(text)
    if path == SUBJECT:
        return Grant(path, Action(ActionKind.PSEUDONYM, SUBJECT_DOMAIN))
    return Grant(path, PASS)
