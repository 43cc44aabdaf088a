"""Names that look like other names: for the eyes of whoever reviews an entry (egress spec N4).

An exact match makes a look-alike harmless when a letter is sent; the danger is the reviewer. Used
by `explain` and in the disclosure diff. A hint, no rule: nothing is refused for it, and it does not
know every letter.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from dispatcher.model.host import as_typed

_LATIN_TWINS: Final = str.maketrans(
    {
        **dict(zip("асԁеһіјӏоԛрѕѵԝхукмтгзь", "acdehijloqpsvwxykmtr3b", strict=True)),
        **dict(zip("αοριντκυχγεηωѡ", "aopivtkuxyenww", strict=True)),
        **dict(zip("\u0131\u0261\u02510159", "igaolsg", strict=True)),
    }
)
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))


Shapes = Mapping[str, Collection[str]]
"""Canonical hosts by what they look like."""


def shapes_of(hosts: Iterable[str]) -> Shapes:
    """Group canonical hosts by what they look like."""
    found: dict[str, set[str]] = defaultdict(set)
    for host in hosts:
        found[_shape(host)].add(host)
    return found


def describe(host: str, listed: Shapes) -> tuple[str, ...]:
    """Say in words what a reader may not see in a canonical host; nothing when all is plain."""
    notes = []
    if "xn--" in host:
        notes.append(f"{host} is written {as_typed(host)}")
        for label in as_typed(host).split("."):
            found = scripts(label)
            if found - {"LATIN"}:
                mixed = ", mixed" if len(found) > 1 else ""
                names = " and ".join(sorted(each.title() for each in found))
                notes.append(f"the label {label} is in {names} letters{mixed}")
    notes += [
        f"{host} looks like {as_typed(other)}, which is listed, and is another host"
        for other in sorted(listed.get(_shape(host), ()))
        if other != host
    ]
    return tuple(notes)


def scripts(label: str) -> set[str]:
    """Give the scripts of a label's letters, by the first word of their names in Unicode."""
    return {
        unicodedata.name(each, "UNKNOWN").split(" ")[0].split("-")[0]
        for each in label
        if unicodedata.category(each).startswith("L")
    }


def _shape(host: str) -> str:
    """Reduce a name to what a hurried reader sees: no accents, other scripts or narrow pairs."""
    plain = unicodedata.normalize("NFKD", as_typed(host))
    seen = "".join(each for each in plain if not unicodedata.combining(each))
    seen = seen.translate(_LATIN_TWINS)
    for pair, one in _PAIRS:
        seen = seen.replace(pair, one)
    return seen.replace("-", "")
