"""One thing that is wrong with a registry, and the kinds that several objects share.

Made by the fault finders of this room; read by `control` and shown to whoever wrote the files.
"""

import re
from dataclasses import dataclass
from typing import Final

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
"""What names are made of, but those of event types: `event_type_faults` has theirs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, why, and what to do about it.

    `code` is of the few that programs must be able to tell from other faults.
    """

    where: str
    why: str
    fix: str
    code: str = ""


def bad_name(where: str) -> Fault:
    """Say what a name is made of."""
    return Fault(
        where,
        "not a name",
        "use lower-case letters, digits, '_', '.', '-'; begin with a letter or digit; at most 64",
    )


def out_of_range(where: str, least: float, most: float) -> Fault:
    """Say between which numbers a value must lie."""
    floor = f"from {least}" if least else "above 0 and"
    return Fault(where, "out of range", f"write a number {floor} to {most}")
