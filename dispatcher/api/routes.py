"""What a route is: a method and a path, who may, what is asked, what is answered, and by whom.

Each noun lists its own; `front` answers by them, `openapi` describes them, and a test asks every
role for every one. A route's function is plain: it is given the means and an `Ask`.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote

from pydantic import TypeAdapter

from dispatcher.api.calls import Ask
from dispatcher.control.means import Means
from dispatcher.model.people import Right
from dispatcher.model.text import is_readable

Answer = Callable[[Means, Ask], Awaitable[Any]]
PATTERNS: Final = {"number": "[1-9][0-9]{0,17}", "token": "[0-9a-f]{12}"}
"""What a parameter of a path may be, by its name; others are any readable text."""
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route. `about` is its first sentence; `refusals` are the statuses a noun may answer with.

    `is_tenant_bound`: it keeps to the tenant of a token that has one; others refuse such a token.
    `privileged`: what the audit log calls a read that must be on the record.
    `is_shown_once`: nothing on the way may keep its answer.
    `keeps_replies`: the same idempotency key is given the same answer again.
    `links`: operations that its answer leads to, and where in the answer their parameters are.
    """

    method: str
    path: str
    right: Right
    answer: Answer
    reply: Any
    query: Any = None
    body: Any = None
    status: int = 200
    refusals: tuple[int, ...] = ()
    is_tenant_bound: bool = False
    privileged: str = ""
    is_shown_once: bool = False
    keeps_replies: bool = False
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the operation."""
        return self.answer.__name__

    @property
    def about(self) -> str:
        """What it does, in the words of its function."""
        return (self.answer.__doc__ or "").strip()

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return _PARAMETER.findall(self.path)

    @cached_property
    def replies(self) -> TypeAdapter[Any]:
        """What checks and writes its answer."""
        return TypeAdapter(self.reply)

    @cached_property
    def queries(self) -> TypeAdapter[Any]:
        """What reads its query."""
        return TypeAdapter(self.query)

    @cached_property
    def bodies(self) -> TypeAdapter[Any]:
        """What reads its body."""
        return TypeAdapter(self.body)

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The parts of its path."""
        return split_path(self.path)

    def match(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """Give the parameters when this is the path, else `None`."""
        if len(self.segments) != len(segments):
            return None
        found: dict[str, str] = {}
        for mine, given in zip(self.segments, segments, strict=True):
            name = _PARAMETER.fullmatch(mine)
            if name is None:
                if mine != given:
                    return None
            elif not is_readable(given) or not re.fullmatch(PATTERNS.get(name[1], ".*"), given):
                return None
            else:
                found[name[1]] = given
        return found


def split_path(path: str) -> tuple[str, ...]:
    """Give the parts of a path, decoded."""
    return tuple(unquote(part) for part in path.removeprefix("/").split("/"))
