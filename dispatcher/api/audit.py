"""`/v1/audit`: who did what and who looked at what, and the proof to hold it against."""

from typing import Any, Final

from dispatcher.api.blurring import may_see_reasons, without_reason
from dispatcher.api.calls import Ask
from dispatcher.api.routes import Route
from dispatcher.api.views import NumberPageQuery, Page, Text, View, page
from dispatcher.control.means import Means
from dispatcher.model.checkpoint import verifier_key
from dispatcher.model.people import Right


class AuditQuery(NumberPageQuery):
    """Which entries: by whom exactly, and how their kind and their object begin."""

    actor: Text | None = None
    kind: Text | None = None
    about: Text | None = None


class EntryView(View):
    """One entry, and its place in the log."""

    seq: int
    at_us: int
    kind: str
    actor: str
    about: str
    reason: str
    detail: dict[str, Any]


class CheckpointView(View):
    """Where the log ends: the newest checkpoint (a C2SP note), and the key that signed it."""

    log: str
    size: int
    note: str
    key: str


async def list_entries(means: Means, ask: Ask) -> dict[str, Any]:
    """List the audit log, the newest first."""
    query: AuditQuery = ask.query
    rows = await means.audit.newest(
        before=query.before,
        limit=query.limit + 1,
        actor=query.actor,
        kind=query.kind,
        about=query.about,
    )
    entries = [{"seq": each.seq, **each.document} for each in rows]
    if not may_see_reasons(ask.principal):
        entries = [without_reason(each) for each in entries]
    return page(entries, query.limit, "seq")


async def read_checkpoint(means: Means, _ask: Ask) -> dict[str, Any]:
    """Give the newest signed checkpoint, to keep where nobody can rewrite it."""
    head = await means.audit.head()
    key = verifier_key(head.log, means.audit.public_key)
    return {"log": head.log, "size": head.size, "note": head.note, "key": key}


ROUTES: Final = (
    Route(
        method="GET",
        path="/v1/audit",
        right=Right.READ,
        answer=list_entries,
        query=AuditQuery,
        reply=Page[EntryView],
        privileged="audit.read",
    ),
    Route(
        method="GET",
        path="/v1/audit/checkpoint",
        right=Right.READ,
        answer=read_checkpoint,
        reply=CheckpointView,
    ),
)
