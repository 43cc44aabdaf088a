"""Make the exact plaintext of one delivery: the envelope, and what the scope grants of the payload.

Called by `worker.tokens` once a letter is admitted, and by whoever shows what a partner would get;
`summary` ends its letters by the same rules. The same letter and tokens give the same bytes, on
every machine and at every retry. It never sends an event it cannot read, nothing beyond the
subscription's ceilings, and nothing that the leak guard stops.
"""

from typing import Any, Final

import msgspec

from dispatcher.model.event import Event
from dispatcher.model.letter import Admitted, Cleared, Shaped
from dispatcher.model.path import SUBJECT
from dispatcher.model.registry import WireFormat
from dispatcher.model.scope import Scope
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.shaping.consequences import act
from dispatcher.stages.shaping.draft import Draft
from dispatcher.stages.shaping.envelope import CONTENT_TYPES, format_moment, wrap
from dispatcher.stages.shaping.guard import inspect
from dispatcher.stages.shaping.picking import pick
from dispatcher.stages.shaping.projection import ABSENT, apply_action, project
from dispatcher.stages.shaping.tokens import Tokens, TokensWanted

REF_PREFIX: Final = "/v1/refs/"
_DECODER: Final = msgspec.json.Decoder()


def shape(admitted: Admitted, tokens: Tokens) -> Shaped | Refusal | TokensWanted:
    """Project, wrap and encode; an event that cannot be read or dated is refused.

    Where tokens must be minted first it gives these, and nothing is shaped yet.
    """
    cleared = admitted.cleared
    event, limits = cleared.leased.event, cleared.route.limits
    if cleared.scope.group_min:
        # By itself it would tell more than the summaries that are granted.
        return refuse(Reason.SUMMARY_ONLY)
    drawn = _draw(cleared, tokens)
    if isinstance(drawn, Refusal):
        return drawn
    data, draft = drawn
    occurred = format_moment(event.occurred_us)
    if occurred is None:
        return refuse(Reason.EVENT_UNREADABLE, detail="its moment is not from year 1 to 9999")
    if len(event.subjects) > limits.subjects_max:
        detail = f"{len(event.subjects)} subjects, at most {limits.subjects_max}"
        return refuse(Reason.TOO_MANY_SUBJECTS, detail=detail)
    members = _members(cleared, data, draft)
    if draft.wanted and len(draft.wanted) <= limits.records_max:
        return TokensWanted(frozenset(draft.wanted))
    records = max(draft.longest, len(draft.wanted))
    if records > limits.records_max:
        detail = f"{records} records, at most {limits.records_max}"
        return refuse(Reason.TOO_MANY_RECORDS, detail=detail)
    return finish(admitted, occurred, members, draft, event.subjects)


def finish(
    admitted: Admitted,
    occurred: str,
    members: dict[str, Any],
    draft: Draft,
    subjects: tuple[str, ...],
    within: dict[str, Any] | None = None,
) -> Shaped | Refusal:
    """Look for leaks in what was drafted, and encode it, if it may leave.

    `within` is where the granted fields lie as in the event, where that is not the members.
    """
    cleared, scope = admitted.cleared, draft.scope
    route, event_type = cleared.route, cleared.leased.event.type
    findings = inspect(scope, draft.raw, draft.places, event_type, route.leak_rules)
    if findings:
        if within is None:  # what was picked cannot be masked where it lies
            within = members = msgspec.to_builtins(members)
        refused = act(findings, within, scope)
        if refused is not None:
            return refused
    plaintext, bytes_max = wrap(cleared, occurred, members), route.limits.body_bytes_max
    if len(plaintext) > bytes_max:
        detail = f"{len(plaintext)} bytes, at most {bytes_max}"
        return refuse(Reason.BODY_TOO_LARGE, detail=detail)
    return Shaped(
        admitted=admitted,
        plaintext=plaintext,
        disclosed=draft.disclosed,
        content_type=CONTENT_TYPES[cleared.route.format],
        dropped=draft.mistaken,
        findings=findings,
        ticket=members.get("ticket", ""),
        subjects=subjects,
    )


def read_payload(event: Event) -> dict[str, Any] | Refusal:
    """Decode an event's payload, or say why that cannot be done."""
    if event.payload is None:
        return refuse(Reason.PAYLOAD_GONE)
    try:
        document = _DECODER.decode(event.payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return refuse(Reason.PAYLOAD_UNREADABLE, detail="not JSON")
    if not isinstance(document, dict):
        return refuse(Reason.PAYLOAD_UNREADABLE, detail="not a JSON object")
    return document


def _draw(cleared: Cleared, tokens: Tokens) -> tuple[Any, Draft] | Refusal:
    """Give what is granted of the document, in one step where that can be, and the notes on it."""
    event, scope = cleared.leased.event, cleared.scope
    draft = Draft(scope, tokens)
    if event.payload is not None and not scope.is_thin:
        picked = pick(event.payload, draft)
        if picked is not None:
            return picked, draft
        draft = Draft(scope, tokens)
    document = read_payload(event)
    if isinstance(document, Refusal):
        return document
    return None if scope.is_thin else project(document, draft), draft


def _members(cleared: Cleared, data: Any, draft: Draft) -> dict[str, Any]:
    """Give what stands behind the envelope: the subject, and the data or where to fetch it."""
    members = _subject(cleared, draft)
    if cleared.scope.is_thin:
        webhook_id = cleared.leased.webhook_id
        members["ref"] = f"{REF_PREFIX}{webhook_id}"
        if cleared.route.ticket_seconds:
            members["ticket"] = draft.tokens.ticket(webhook_id)
        return members
    if cleared.route.format is WireFormat.CLOUDEVENTS:
        members["datacontenttype"] = "application/json"
    members["data"] = data
    return members


def _subject(cleared: Cleared, draft: Draft) -> dict[str, Any]:
    """Name the person, where that is granted: `subjects` where an event is about several.

    An attribute of a CloudEvent is no list, so there several are not named.
    """
    subjects, at = cleared.leased.event.subjects, _find_subject(cleared.scope)
    is_single = len(subjects) == 1
    if at is None or not subjects:
        return {}
    if not is_single and cleared.route.format is WireFormat.CLOUDEVENTS:
        return {}
    granted = cleared.scope.fields[at]
    named = [apply_action(granted, at, subject, draft) for subject in subjects]
    told = [name for name in named if name is not ABSENT]
    if not told:
        return {}
    return {"subject": told[0]} if is_single else {"subjects": told}


def _find_subject(scope: Scope) -> int | None:
    at = len(scope.fields) - 1  # fields are in the order of their lines, and "@" is behind "$"
    return at if at >= 0 and scope.fields[at].path == SUBJECT else None
