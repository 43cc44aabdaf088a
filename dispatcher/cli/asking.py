"""How a command asks: where, and by which of the two ways; every command that is not `init`,
`migrate` or a serving one speaks to the API and to nothing else.

`DISPATCHER_URL` names an API; without it, or with `--local` or `--config`, the same API answers
within this process from the configuration's databases.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

import click
import msgspec

from dispatcher.api.calls import make_call
from dispatcher.app.remote import call_there, remote_url
from dispatcher.cli.output import config_option, json_option

F = TypeVar("F", bound=Callable[..., Any])
PAGE_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Where:
    """Where to ask: the API at `DISPATCHER_URL`, or this machine's databases."""

    config_path: Path | None = None
    is_local: bool = False

    @property
    def url(self) -> str:
        """The address of the API; empty when it answers within this process."""
        return "" if self.is_local or self.config_path is not None else remote_url()

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Ask once, and give the document of the answer. Raises `DispatcherError`."""
        content = msgspec.json.encode(body) if body is not None else None
        call = make_call(method, path, query=query, body=content, headers=headers)
        url = self.url
        if url:
            return call_there(url, call)
        # Half of the time of a command over HTTP would go into loading these.
        from dispatcher.app.calling import call_here
        from dispatcher.app.config import load_config
        from dispatcher.app.running import run_async

        return run_async(call_here(load_config(self.config_path), call))

    def list(self, path: str, limit: int, query: Mapping[str, Any]) -> list[Any]:
        """Give a list of at most so many, page by page."""
        found: list[Any] = []
        terms = dict(query)
        while len(found) < limit:
            rows = min(limit - len(found), PAGE_ROWS)
            page = self.ask("GET", path, query=terms | {"limit": rows})
            found += page["items"]
            if page["next"] is None:
                break
            terms["cursor"] = page["next"]
        return found


_local_option = click.option(
    "--local",
    "is_local",
    is_flag=True,
    help="Work on this machine's databases, though DISPATCHER_URL names an API.",
)


def where_options(command: F) -> F:
    """Give a command `--config`, `--local` and `--json`; it gets `where` and `as_json`."""

    @wraps(command)
    def asking(*, config_path: Path | None, is_local: bool, **given: Any) -> Any:
        return command(where=Where(config_path, is_local), **given)

    return cast("F", config_option(_local_option(json_option(asking))))


def part(text: str) -> str:
    """Give a name as one part of a path."""
    return quote(text, safe="")
