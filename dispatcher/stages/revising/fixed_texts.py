"""What a subscription sends besides the body: no place for anybody's data, or for a template.

Asked by `subscription_faults`. URL and headers are the same for every letter, so what looks like a
person's data there is a mistake, and what looks like a template hopes for values that the body
alone may bear. Faults never repeat what was found.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from dispatcher.model.registry import Subscription
from dispatcher.stages.revising.fault import Fault
from dispatcher.stages.shaping.guard import detect

_MARKS: Final = ("{{", "{%", "${", "#{", "<%", "$.", "$[")
_FIX: Final = "leave it out: fields of an event are granted in the scope, and go in the body alone"


def check_fixed_texts(subscription: Subscription) -> Iterator[Fault]:
    """Find personal data, credentials and marks of a template in the URL and the headers."""
    of = f"subscription {subscription.name!r}"
    yield from _check(f"{of}: url", "url", unquote(subscription.url))
    for name, value in subscription.headers.items():
        yield from _check(f"{of}: headers {name!r}", name, value)


def _check(where: str, name: str, text: str) -> Iterator[Fault]:
    for detector in detect(text, name):
        yield Fault(where, f"holds what looks like {detector}", _FIX)
    for mark in _MARKS:
        if mark in text:
            yield Fault(where, f"holds {mark!r}, the mark of a template", _FIX)
            return
