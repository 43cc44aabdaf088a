"""The shapes that nouns share: strict documents, pages, and how a query asks for the next one."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dispatcher.control.texts import CHARACTERS_MAX
from dispatcher.model.people import DAYS_MAX
from dispatcher.model.switch import WAIT_SECONDS_MAX

T = TypeVar("T")
LIMIT_MAX: Final = 1000
NUMBER_MAX: Final = 10**18 - 1


def _plain_number(given: object) -> object:
    """Take digits alone for a number: no sign, no blank, no underscore."""
    if isinstance(given, str) and (not given.isascii() or not given.isdigit()):
        raise ValueError("digits alone")
    return given


def whole_number(given: object) -> object:
    """Take 1.0 for 1, as JSON Schema does."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


Count = Annotated[int, Field(ge=0, le=NUMBER_MAX), BeforeValidator(_plain_number)]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX), BeforeValidator(_plain_number)]
Days = Annotated[int, Field(ge=1, le=DAYS_MAX), BeforeValidator(whole_number)]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
Why = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]
"""A reason, for the record."""
Remark = Annotated[str, Field(max_length=CHARACTERS_MAX)]
"""A reason that may be left out."""
WaitSeconds = Annotated[float, Field(ge=0, le=WAIT_SECONDS_MAX, allow_inf_nan=False)]
"""How long to wait for the workers."""
Written = Annotated[str, BeforeValidator(str)]
"""A value that is answered as it is written."""
NumberCursor = Annotated[str, Field(pattern="^[0-9]{1,18}$")]


class View(BaseModel):
    """A document of the API. Unknown keys are refused; what is answered may be given as it is."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, from_attributes=True, hide_input_in_errors=True
    )


class Page(View, Generic[T]):
    """Some of a list; `next` is the cursor that goes on, `null` at the end."""

    items: list[T]
    next: str | None = None


class PageQuery(View):
    """How much of a list, and from where on."""

    limit: Limit = 100


class NamePageQuery(PageQuery):
    """A list in the order of names; the cursor is the name it goes on after."""

    cursor: Text | None = None


class NumberPageQuery(PageQuery):
    """A list in the order of numbers; the cursor is the number it goes on from."""

    cursor: NumberCursor | None = None

    @property
    def after(self) -> int:
        """The number to go on after; 0 at the beginning."""
        return int(self.cursor or 0)

    @property
    def before(self) -> int:
        """The number to go on below, for lists that begin with the newest."""
        return int(self.cursor) if self.cursor is not None else NUMBER_MAX


def page(rows: Sequence[Any], limit: int, *keys: str) -> dict[str, Any]:
    """Give a page of rows that were asked for with one more than its limit.

    The cursor is what the last row has under these keys, dots between them.
    """
    items = list(rows[:limit])
    more = len(rows) > limit
    cursor = ".".join(str(_value(items[-1], key)) for key in keys) if more else None
    return {"items": items, "next": cursor}


def page_of_names(things: Iterable[Any], query: NamePageQuery) -> dict[str, Any]:
    """Give a page of named things that are all at hand."""
    rows = sorted(
        (each for each in things if each.name > (query.cursor or "")), key=lambda each: each.name
    )
    return page(rows[: query.limit + 1], query.limit, "name")


def _value(row: Any, key: str) -> Any:
    return row[key] if isinstance(row, dict) else getattr(row, key)
