"""What the nouns of the registry share: they are lists of named things, read and never written.

Whatever may flow changes by a change set. Called by `event_types`, `connectors`, `subscriptions`
and `producers`.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from dispatcher.api.routes import Answer, Route
from dispatcher.api.views import NamePageQuery, Page
from dispatcher.model.errors import NotFound
from dispatcher.model.people import Right

T = TypeVar("T")


def named(things: Sequence[T], name: str, noun: str) -> T:
    """Find the thing of this name. Raises `NotFound`."""
    for each in things:
        if getattr(each, "name", None) == name:
            return each
    raise NotFound(
        f"the active revision has no {noun} {name[:100]!r}",
        where="name",
        fix="ask for the list",
        code=f"{noun.replace(' ', '_')}_unknown",
    )


def list_and_read(
    path: str,
    list_: Answer,
    read: Answer,
    view: Any,
    query: Any = NamePageQuery,
    name: str = "name",
) -> tuple[Route, Route]:
    """Give the two routes of a noun: its list, and one by its name.

    `name` says where in an item its name is.
    """
    return (
        Route(
            method="GET",
            path=path,
            right=Right.READ,
            answer=list_,
            query=query,
            reply=Page[view],
            links={read.__name__: {"name": f"$response.body#/items/0/{name}"}},
        ),
        Route(
            method="GET",
            path=f"{path}/{{name}}",
            right=Right.READ,
            answer=read,
            reply=view,
            refusals=(404,),
        ),
    )
