"""Which personal fields does a change of schemas or of the registry bring, and who would see them?

Asked by tests of product services, with the files of the change and those of a baseline. It judges
by the same scopes as workers and by the same order of actions as the disclosure diff. Beside what
is new it tells of a field whose class was lowered, for that is how a personal field slips through a
clearance, and of places that have no class at all.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike
from pathlib import Path as File
from typing import Final

from dispatcher.model.action import parse_action
from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.path import SUBJECT, Path, format_path
from dispatcher.model.registry import Registry
from dispatcher.model.scope import Field
from dispatcher.stages.shaping.schema import Leaf, Unfit, flatten
from dispatcher.testing.files import read_registry, read_schemas
from dispatcher.testing.partners import Partners

Place = str | PathLike[str]
_Key = tuple[str, Path]
_Seen = Mapping[_Key, Mapping[str, Field]]
_NO_CLASS: Final = (Unfit.UNCLASSIFIED, Unfit.UNFOLLOWED)


class News(StrEnum):
    """What is new of a field."""

    FIELD = "new field"
    CLASS = "newly personal or sensitive"
    LOWERED = "class lowered"
    UNCLASSIFIED = "no class"
    SEEN = "newly seen"


@dataclass(frozen=True, slots=True)
class Exposure:
    """One field of one event type, what is new of it, and who would see it by which action."""

    event_type: str
    path: str
    news: News
    what: str
    seen_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """The field as `accept` names it."""
        return f"{self.event_type} {self.path}"

    def __str__(self) -> str:
        seen = f"seen by {', '.join(self.seen_by)}" if self.seen_by else "seen by nobody yet"
        return f"{self.name}: {self.news} ({self.what}); {seen}"


def find_new_personal_fields(*, before: Place, after: Place) -> tuple[Exposure, ...]:
    """Compare two states of schemas or registry files, each a folder or a single file.

    A folder with `.toml` files is a registry; one with `.json` files alone has a schema for each
    event type, named after it.
    """
    return tuple(_compare(_read(before), _read(after)))


def assert_no_new_personal_fields(
    *, before: Place, after: Place, accept: Collection[str] = ()
) -> None:
    """Fail if a change brings personal, sensitive or unclassified fields that it does not accept.

    `accept` names fields that were looked at, as in `"order.paid $.customer.phone"`. One that is
    not new is a fault, too: the list would grow old.
    """
    __tracebackhide__ = True
    found = find_new_personal_fields(before=before, after=after)
    lines = [str(each) for each in found if each.name not in accept]
    known = {each.name for each in found}
    stale = [f"{name}: accepted, and there is nothing new of it" for name in accept]
    lines += [line for name, line in zip(accept, stale, strict=True) if name not in known]
    if lines:
        count = "1 field" if len(lines) == 1 else f"{len(lines)} fields"
        fix = "have the change agreed to, then renew the baseline or name the field in accept=[...]"
        raise AssertionError("\n  ".join((f"{count} to look at:", *lines)) + f"\nfix: {fix}")


def _read(place: Place) -> Registry:
    file = File(place)
    has_tables = any(file.rglob("*.toml")) if file.is_dir() else file.suffix == ".toml"
    return read_registry(file) if has_tables else read_schemas(file)


def _compare(old: Registry, new: Registry) -> Iterator[Exposure]:
    was, now = _seen(old), _seen(new)
    schemas = {each.name: each.schema for each in old.event_types}
    for event_type in new.event_types:
        name = event_type.name
        before = flatten(schemas[name]) if name in schemas else {}
        for path, leaf in (*flatten(event_type.schema).items(), (SUBJECT, None)):
            seen = now.get((name, path), {})
            told = None if leaf is None else _judge(before.get(path), leaf)
            told = told or _judge_seen(was.get((name, path), {}), seen)
            if told is not None:
                seen_by = tuple(f"{who} ({field.action})" for who, field in seen.items())
                yield Exposure(name, format_path(path), *told, seen_by)


def _judge(old: Leaf | Unfit | None, new: Leaf | Unfit) -> tuple[News, str] | None:
    """Say what is new of one place of a schema, whoever sees it."""
    if isinstance(new, Unfit):
        return (News.UNCLASSIFIED, new) if new in _NO_CLASS and new is not old else None
    what = f"{new.sensitivity} {new.category}"
    if not isinstance(old, Leaf):
        return (News.FIELD, what) if _is_delicate(new) else None
    if (old.category, old.sensitivity) == (new.category, new.sensitivity):
        return None
    was = f"{what}, was {old.sensitivity} {old.category}"
    if _is_delicate(old) and _is_lowered(old, new):
        return News.LOWERED, was
    return (News.CLASS, was) if _is_delicate(new) and not _is_delicate(old) else None


def _judge_seen(was: Mapping[str, Field], now: Mapping[str, Field]) -> tuple[News, str] | None:
    """Say whether a partner sees a delicate field now, and saw it not, or less of it."""
    for who, field in now.items():
        if _is_delicate(field) and not (who in was and _tells_no_more(field, was[who])):
            return News.SEEN, f"{field.sensitivity} {field.category}"
    return None


def _tells_no_more(new: Field, old: Field) -> bool:
    """Compare what is done with the value: what it is has been judged already."""
    mine, theirs = parse_action(new.action), parse_action(old.action)
    return new.type == old.type and mine.tells_no_more_than(theirs)


def _is_delicate(leaf: Leaf | Field) -> bool:
    return (
        leaf.category.is_personal
        or not leaf.category.is_sendable
        or not leaf.sensitivity.is_within(Sensitivity.INTERNAL)
    )


def _is_lowered(old: Leaf, new: Leaf) -> bool:
    is_less = new.sensitivity.rank < old.sensitivity.rank
    return is_less or (old.category is not Category.OTHER and new.category is Category.OTHER)


def _seen(registry: Registry) -> _Seen:
    """Say of every field which partners see it, and how."""
    found: dict[_Key, dict[str, Field]] = {}
    for route in Partners(registry).snapshot.routes.values():
        for event_type, scope in route.scopes.items():
            for field in scope.fields:
                found.setdefault((event_type, field.path), {})[route.subscription] = field
    return found
