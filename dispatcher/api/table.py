"""Every route of the API, by noun: the part of a path after the version says whose it is.

A noun is loaded when it is first asked for. A command asks for one and ends, and much of its time
would go into loading the others; a process that serves loads them all before it answers anybody.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from itertools import chain
from typing import Final

from dispatcher.api.routes import Route

_VERSION: Final = "v1"
_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "events": ("events",),
    "deliveries": ("deliveries",),
    "replays": ("replays",),
    "disclosures": ("disclosures",),
    "findings": ("findings",),
    "event-types": ("event_types",),
    "triage": ("triage",),
    "purges": ("purges",),
    "connectors": ("connectors", "partner_keys"),
    "subscriptions": ("subscriptions", "proofs"),
    "producers": ("producers",),
    "plans": ("change_sets",),
    "change-sets": ("change_sets",),
    "registry": ("revisions",),
    "revisions": ("revisions",),
    "explanations": ("explanations",),
    "previews": ("previews",),
    "switches": ("switches",),
    "keys": ("keys",),
    "credentials": ("credentials",),
    "detokenisations": ("detokenisations",),
    "erasures": ("erasures",),
    "principals": ("principals",),
    "tokens": ("tokens",),
    "vault": ("vault",),
    "audit": ("audit",),
}
"""What a noun's routes are listed in."""


def routes_at(segments: Sequence[str]) -> Sequence[Route]:
    """Give every route that a path of these parts may be, and load no other."""
    version, noun, *_ = (*segments, "", "")
    return _load(_MODULES.get(noun, ())) if version == _VERSION else ()


def all_routes() -> tuple[Route, ...]:
    """Give every route there is, in the order of the description."""
    return _load(tuple(dict.fromkeys(chain.from_iterable(_MODULES.values()))))


@cache
def _load(names: tuple[str, ...]) -> tuple[Route, ...]:
    modules = [import_module(f"dispatcher.api.{name}") for name in names]
    return tuple(route for module in modules for route in module.ROUTES)
