"""What each subscription may have, read from the registry files by eyes of its own.

The checks judge the house by this reading, so it shares no code with the house: TOML in, plain sets
out. What is expected to leave follows from the files, the shops' own notes, and nothing else.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from dispatcher.showcase.demo_world import Told

SUBJECT: Final = "@subject"
PSEUDONYM: Final = "pseudonym"
"""How the actions begin that give a person another name at each partner."""


class Fate(StrEnum):
    """What must become of everything for one subscription."""

    ARRIVES = "arrives"
    WAITS = "waits"
    PARKS = "parks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one subscription may have, and where.

    `scope` has the granted paths of each event type; `actions` those that do not pass as they are.
    """

    subscription: str
    connector: str
    tenants: frozenset[str]
    url: SplitResult
    scope: Mapping[str, frozenset[str]]
    actions: Mapping[str, Mapping[str, str]]
    fate: Fate

    @property
    def target(self) -> str:
        """The path its requests must ask for."""
        return self.url.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One event for one subscription."""

    event: str
    subscription: str


def read_terms(folder: Path, names: Mapping[str, tuple[str, ...]]) -> dict[str, Terms]:
    """Read the files below a folder; `names` says what each host name resolves to."""
    connectors: dict[str, dict[str, Any]] = {}
    subscriptions: list[dict[str, Any]] = []
    for file in sorted(folder.rglob("*.toml")):
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        connectors |= {each["name"]: each for each in content.get("connector", [])}
        subscriptions += content.get("subscription", [])
    return {
        each["name"]: _terms(each, connectors[each["connector"]], names) for each in subscriptions
    }


def owed_to(terms: Terms, told: Iterable[Told]) -> Iterator[Owed]:
    """Give what of all that was told belongs to a subscription."""
    for each in told:
        if each.type in terms.scope and each.tenant in terms.tenants:
            yield Owed(event=each.id, subscription=terms.subscription)


def leaves(document: object, path: str = "$") -> Iterator[tuple[str, object]]:
    """Give every scalar of a document with its path, written as scopes are."""
    if isinstance(document, dict):
        for name, inner in document.items():
            yield from leaves(inner, f"{path}.{name}")
    elif isinstance(document, list):
        for inner in document:
            yield from leaves(inner, f"{path}[*]")
    else:
        yield path, document


def count_leaves(document: object, within: frozenset[str]) -> Counter[tuple[str, str]]:
    """Count path and value of every scalar that lies within these paths."""
    return Counter((path, repr(value)) for path, value in leaves(document) if path in within)


def _terms(
    subscription: Mapping[str, Any],
    connector: Mapping[str, Any],
    names: Mapping[str, tuple[str, ...]],
) -> Terms:
    url = urlsplit(subscription["url"])
    is_listed = any(_lists(entry, url) for entry in connector["destinations"])
    addresses = names.get(url.hostname or "", ())
    is_inside = any(ip_address(address).is_private for address in addresses)
    fate = Fate.WAITS if not is_listed else Fate.PARKS if is_inside else Fate.ARRIVES
    return Terms(
        subscription=subscription["name"],
        connector=connector["name"],
        tenants=frozenset(connector["tenants"]),
        url=url,
        scope={
            name: frozenset(grant.partition(" ")[0] for grant in grants)
            for name, grants in subscription["scope"].items()
        },
        actions={
            name: {path: action for path, _, action in map(_split, grants) if action}
            for name, grants in subscription["scope"].items()
        },
        fate=fate,
    )


def _split(grant: str) -> tuple[str, str, str]:
    return (SUBJECT, " ", PSEUDONYM) if grant == SUBJECT else grant.partition(" ")


def _lists(entry: Mapping[str, Any], url: SplitResult) -> bool:
    port = url.port or (443 if url.scheme == "https" else 80)
    prefix = entry.get("path_prefix", "/").rstrip("/")
    return (
        entry.get("scheme", "https") == url.scheme
        and entry["host"] == url.hostname
        and entry.get("port", 443) == port
        and f"{url.path}/".startswith(f"{prefix}/")
    )
