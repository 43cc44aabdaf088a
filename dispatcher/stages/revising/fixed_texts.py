"""What a subscription sends besides the body: no place for anybody's data, or for a template.

Asked by `subscription_faults`. URL and headers are the same for every letter, so what looks like a
person's data there is a mistake, and what looks like a template hopes for values that the body
alone may bear. Faults never repeat what was found.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from dispatcher.stages.revising.fault import Fault
from dispatcher.stages.shaping.guard import detect

_MARKS: Final = ("{{", "{%", "${", "#{", "<%", "$.", "$[")
_FIX: Final = "leave it out: fields of an event are granted in the scope, and go in the body alone"


def check_fixed_text(where: str, name: str, text: str) -> Iterator[Fault]:
    """Find personal data, credentials and the marks of a template in a text that goes by a name."""
    text = unquote(text)
    for detector in detect(text, name):
        yield Fault(where, f"holds what looks like {detector}", _FIX)
    mark = next((each for each in _MARKS if each in text), None)
    if mark is not None:
        yield Fault(where, f"holds {mark!r}, the mark of a template", _FIX)


def check_fixed_headers(of: str, headers: Mapping[str, str]) -> Iterator[Fault]:
    """Find the same in the values of headers."""
    for name, value in headers.items():
        yield from check_fixed_text(f"{of}: headers {name!r}", name, value)
