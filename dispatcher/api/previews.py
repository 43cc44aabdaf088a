"""`/v1/previews`: what one partner would get of one event, or two partners beside each other.

Everybody who may read is shown how the letter is built. What a kept event holds is shown to those
alone who may see what events hold; to others it is the same answer with every value taken out.
Every preview is on the record.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from pydantic import Field

from dispatcher.api.blurring import blurred, may_see_reasons
from dispatcher.api.calls import Ask
from dispatcher.api.events import Loose, payload_of
from dispatcher.api.routes import Route
from dispatcher.api.tenants import of_one_tenant
from dispatcher.api.views import NUMBER_MAX, Text, View
from dispatcher.control.means import Means
from dispatcher.control.previews import (
    Case,
    Letter,
    Policy,
    Preview,
    PreviewControl,
    Source,
    unhurried,
)
from dispatcher.model.audit import Entry
from dispatcher.model.errors import InvalidInput
from dispatcher.model.event import Event
from dispatcher.model.ids import EventId
from dispatcher.model.people import Principal, Right
from dispatcher.model.producers import UNNAMED_PRODUCER, Writer, judge_producer
from dispatcher.model.snapshot import Snapshot
from dispatcher.model.verdict import Refusal
from dispatcher.stages.shaping.account import Fate, Part
from dispatcher.stages.shaping.redaction import redact, size_class
from dispatcher.stages.shaping.synthetic import synthesise

PREVIEWED: Final = "event.previewed"
_ENVELOPE: Final = frozenset(
    {
        "id", "type", "timestamp", "specversion", "source", "time", "datacontenttype", "ref",
        "ticket", "subscriber",
    }
)  # fmt: skip
"""What of a body says nothing of what the event holds."""


class PreviewQuestion(View):
    """Whose view of which event: `payload` of your own, a kept `delivery`, or else the newest.

    `synthetic` has one made of nothing but its schema: the same for the same text.

    `type` and `tenant` say what a payload is, or which event is the newest; they may be left out
    where the subscription leaves but one.
    """

    subscription: Text
    against: Text | None = None
    type: Text | None = None
    tenant: Text | None = None
    subjects: Annotated[list[Loose], Field(max_length=1000)] = Field(default_factory=list)
    payload: dict[str, Any] | None = None
    synthetic: Text | None = None
    delivery: Annotated[int, Field(ge=1, le=NUMBER_MAX)] | None = None


class ShownEvent(View):
    """The event that is shown; `payload` is its JSON text, without values where they are hidden."""

    source: Source
    id: str | None
    type: str
    tenant: str
    delivery: int | None
    state: str | None
    payload: str | None


class ShownRefusal(View):
    """One thing that keeps the letter here. `is_hold`: it would wait, and not be parked."""

    code: str
    detail: str
    is_hold: bool


class ShownHeader(View):
    """One header as it stands on the wire."""

    name: str
    value: str


class ShownLetter(View):
    """The request: its first line, its headers in their order, and exactly the bytes of its body.

    What would vouch for it, a signature or a ticket, is left out and said so. Where the body is
    encrypted, `plaintext` is what the partner reads; another preview is encrypted anew.
    """

    line: str
    headers: list[ShownHeader]
    body: str
    plaintext: str | None


class ShownField(View):
    """One place of the event, what becomes of it, and why; `effective` is the class of what leaves.

    Of what was granted and is not there the fate is `absent`.
    """

    path: str
    fate: Fate
    why: list[str]
    action: str
    category: str | None
    sensitivity: str | None
    effective: str | None


class Recipient(View):
    """What one subscription would get. It is sent today where there are no refusals."""

    subscription: str
    connector: str
    is_sent: bool
    refusals: list[ShownRefusal]
    letter: ShownLetter | None
    fields: list[ShownField]


class PreviewView(View):
    """The event, and what each subscription that was asked about would get of it."""

    revision: int
    event: ShownEvent
    is_redacted: bool
    recipients: list[Recipient]


async def preview_event(means: Means, ask: Ask) -> dict[str, Any]:
    """Show what a partner would get of an event, and what stays here and why; nothing is sent."""
    question: PreviewQuestion = ask.body
    names = list(dict.fromkeys(filter(None, (question.subscription, question.against))))
    tenant = of_one_tenant(ask.principal, question.tenant)
    control = PreviewControl.over(means)
    policy = await control.policy(names, ask.principal.tenant)
    case = await _case(control, ask, question, policy, tenant)
    may_see = Right.SEE_PAYLOADS in ask.principal.rights
    is_redacted = case.is_kept and not may_see
    await means.audit.record(_entry(ask.principal, case, names, is_redacted=is_redacted))
    schema = _schema(policy.snapshot, case.event.type)
    seen = _Seen(schema, is_redacted=is_redacted, is_told=may_see_reasons(ask.principal))

    previews = [await control.preview(name, case, policy, is_blind=not may_see) for name in names]

    def show() -> dict[str, Any]:
        return {
            "revision": policy.snapshot.revision,
            "event": seen.event(case),
            "is_redacted": is_redacted,
            "recipients": [seen.recipient(each) for each in previews],
        }

    return await unhurried(case.event, show)


async def _case(
    control: PreviewControl,
    ask: Ask,
    question: PreviewQuestion,
    policy: Policy,
    tenant: str | None,
) -> Case:
    """Find the event that is asked about."""
    subscription, connector = policy.parts(question.subscription)
    types = [question.type] if question.type is not None else list(subscription.scope)
    tenants = [tenant] if tenant is not None else list(connector.tenants)
    named = (question.delivery, question.payload, question.synthetic)
    if sum(each is not None for each in named) > 1:
        raise _refused("the request", "it names more than one event", "name one")
    if question.delivery is not None:
        return await control.filed(question.delivery, subscription.name, ask.principal.tenant)
    if question.payload is None and question.synthetic is None:
        return await control.recent(types, tenants)
    kind = _only(types, "type", "dispatcher does not know what kind of event it is")
    whose = _only(tenants, "tenant", "dispatcher does not know whose event it is")
    seed = question.synthetic
    payload = payload_of(ask.raw) if seed is None else _made(policy.snapshot, kind, seed)
    event = Event(
        seq=0,
        id=EventId(""),
        tenant=whose,
        type=kind,
        producer=_producer(policy.snapshot, kind, whose),
        subjects=tuple(question.subjects),
        occurred_us=control.wall_us(),
        payload=payload,
    )
    return Case(event=event, source=Source.GIVEN if seed is None else Source.SYNTHETIC)


def _made(snapshot: Snapshot, kind: str, seed: str) -> bytes:
    """Make a payload of nothing but its schema."""
    try:
        return msgspec.json.encode(synthesise(_schema(snapshot, kind), seed))
    except ValueError as error:
        raise InvalidInput(
            str(error),
            where="synthetic",
            fix="name a type that the registry has, or give a payload of your own",
            code="synthetic_impossible",
        ) from None


def _producer(snapshot: Snapshot, kind: str, tenant: str) -> str:
    """Name a producer that may enqueue such an event, where there is one."""
    named = (
        name
        for name in sorted(snapshot.producers.by_name)
        if isinstance(judge_producer(snapshot.producers, Writer(name, None), kind, tenant), str)
    )
    return next(named, UNNAMED_PRODUCER)


def _only(names: list[str], what: str, why: str) -> str:
    if len(names) != 1:
        raise _refused(what, why, f"say which {what}: {', '.join(sorted(names)[:10]) or 'any'}")
    return names[0]


def _refused(where: str, why: str, fix: str) -> InvalidInput:
    return InvalidInput(why, where=where, fix=fix, code="preview_ambiguous")


def _schema(snapshot: Snapshot, kind: str) -> str:
    found = snapshot.event_types.get(kind)
    return found.schema if found is not None else ""


def _entry(principal: Principal, case: Case, names: list[str], *, is_redacted: bool) -> Entry:
    detail = {
        "event": case.event.id or None,
        "delivery": case.filed.id if case.filed is not None else None,
        "source": case.source,
        "values": "hidden" if is_redacted else "shown",
    }
    about = f"subscription {', '.join(names)}"
    return Entry(kind=PREVIEWED, actor=principal.name, about=about, detail=detail)


class _Seen:
    """What one caller may see of an event and its letters."""

    def __init__(self, schema: str, *, is_redacted: bool, is_told: bool) -> None:
        self._schema = schema
        self._is_redacted = is_redacted
        self._is_told = is_told

    def event(self, case: Case) -> dict[str, Any]:
        event, filed = case.event, case.filed
        return {
            "source": case.source,
            "id": event.id or None,
            "type": event.type,
            "tenant": event.tenant,
            "delivery": filed.id if filed is not None else None,
            "state": filed.state if filed is not None else None,
            "payload": self._payload(event.payload),
        }

    def recipient(self, preview: Preview) -> dict[str, Any]:
        return {
            "subscription": preview.subscription,
            "connector": preview.connector,
            "is_sent": not preview.refusals,
            "refusals": [self._refusal(each) for each in preview.refusals],
            "letter": self._letter(preview.letter) if preview.letter is not None else None,
            "fields": [self._field(each) for each in preview.parts],
        }

    def _refusal(self, refusal: Refusal) -> dict[str, Any]:
        # A refusal of this event alone may count its bytes or name its members.
        is_told = self._is_told and (refusal.is_hold or not self._is_redacted)
        code = refusal.code if self._is_told else blurred(refusal.code)
        return {
            "code": code,
            "detail": refusal.detail if is_told else "",
            "is_hold": refusal.is_hold,
        }

    def _field(self, part: Part) -> dict[str, Any]:
        return {
            "path": part.text(is_redacted=self._is_redacted),
            "fate": part.fate,
            "why": part.why,
            "action": part.action,
            "category": part.category,
            "sensitivity": part.sensitivity,
            "effective": part.effective,
        }

    def _letter(self, letter: Letter) -> dict[str, Any]:
        headers = [
            {"name": name, "value": self._header(name, value)} for name, value in letter.headers
        ]
        plaintext = self._body(letter.plaintext) if letter.plaintext is not None else None
        body = self._body(letter.body)
        return {"line": letter.line, "headers": headers, "body": body, "plaintext": plaintext}

    def _header(self, name: str, value: str) -> str:
        if self._is_redacted and name.lower() == "content-length":
            return f"({size_class(int(value), 'bytes')})"
        return value

    def _payload(self, payload: bytes | None) -> str | None:
        if payload is None:
            return None
        if not self._is_redacted:
            return payload.decode(errors="replace")
        try:
            return _written(redact(msgspec.json.decode(payload), self._schema))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def _body(self, body: bytes) -> str:
        if not self._is_redacted:
            return body.decode()
        try:
            document = msgspec.json.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            document = None
        if not isinstance(document, Mapping):
            return f"({size_class(len(body), 'bytes')}, which only the partner can read)"
        shown = {
            name: value if name in _ENVELOPE else self._member(name, value)
            for name, value in document.items()
        }
        return _written(shown)

    def _member(self, name: str, value: object) -> object:
        return redact(value, self._schema if name == "data" else "")


def _written(document: object) -> str:
    return msgspec.json.encode(document).decode()


ROUTES: Final = (
    Route(
        method="POST",
        path="/v1/previews",
        right=Right.READ,
        answer=preview_event,
        body=PreviewQuestion,
        reply=PreviewView,
        refusals=(404, 422),
        is_tenant_bound=True,
    ),
)
