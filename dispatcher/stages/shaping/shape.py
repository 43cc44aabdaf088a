"""Make the exact plaintext of one delivery: the envelope, and what the scope grants of the payload.

Called by the courier and the prover once a letter is admitted. The same letter gives the same
bytes, on every machine and at every retry. It never sends an event it cannot read.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from dispatcher.model.letter import Admitted, Shaped
from dispatcher.model.verdict import Reason, Refusal, refuse
from dispatcher.stages.shaping.projection import project

_START: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is written by hand below
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder()


def shape(admitted: Admitted) -> Shaped | Refusal:
    """Project, wrap and encode; an event that cannot be read or dated is refused."""
    cleared = admitted.cleared
    event = cleared.leased.event
    if event.payload is None:
        return refuse(Reason.PAYLOAD_GONE)
    try:
        document = _DECODER.decode(event.payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return refuse(Reason.PAYLOAD_UNREADABLE, detail="not JSON")
    if not isinstance(document, dict):
        return refuse(Reason.PAYLOAD_UNREADABLE, detail="not a JSON object")
    occurred = format_moment(event.occurred_us)
    if occurred is None:
        return refuse(Reason.EVENT_UNREADABLE, detail="its moment is not from year 1 to 9999")
    data, disclosed = project(document, cleared.scope)
    body = {
        "id": cleared.leased.webhook_id,
        "type": event.type,
        "timestamp": occurred,
        "data": data,
    }
    return Shaped(admitted=admitted, plaintext=_ENCODER.encode(body), disclosed=disclosed)


def format_moment(moment_us: int) -> str | None:
    """Write microseconds since the epoch as RFC 3339 in UTC, always with six decimals.

    Gives `None` for a moment that RFC 3339 cannot write; a row may have been written by hand.
    """
    try:
        moment = _START + timedelta(microseconds=moment_us)
    except OverflowError:
        return None
    return moment.isoformat(timespec="microseconds") + "Z"
