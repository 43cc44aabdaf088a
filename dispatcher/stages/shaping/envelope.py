"""The envelope around what was granted: Standard Webhooks' members, or a structured CloudEvent.

Called by `shape`; `summary` writes moments with it. The same event gives the same bytes, on every
machine and at every retry. It adds nothing of the payload: whatever is in `members` was granted.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from dispatcher.model.letter import Cleared
from dispatcher.model.registry import Encryption, WireFormat

CONTENT_TYPES: Final = {
    WireFormat.STANDARD: "application/json",
    WireFormat.CLOUDEVENTS: "application/cloudevents+json",
}
_SPECVERSION: Final = "1.0"
_START: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is written by hand below
_ENCODER: Final = msgspec.json.Encoder()


def wrap(cleared: Cleared, occurred: str, members: Mapping[str, Any]) -> bytes:
    """Encode one letter. `occurred` is the event's moment; `members` stand behind the envelope.

    A CloudEvent (CNCF, 1.0.2, JSON format) names the subscription as its source: the partner knows
    it, and with the id it is unique. What is encrypted says whom it is for: the outside of it could
    be another's.
    """
    webhook_id, event_type = cleared.leased.webhook_id, cleared.leased.event.type
    envelope: dict[str, Any]
    if cleared.route.format is WireFormat.CLOUDEVENTS:
        envelope = {
            "specversion": _SPECVERSION,
            "id": webhook_id,
            "source": f"urn:dispatcher:{cleared.route.subscription}",
            "type": event_type,
            "time": occurred,
        }
    else:
        envelope = {"id": webhook_id, "type": event_type, "timestamp": occurred}
    if cleared.route.encryption is Encryption.JWE:
        envelope["subscriber"] = cleared.route.subscription
    envelope.update(members)
    return _ENCODER.encode(envelope)


def format_moment(moment_us: int) -> str | None:
    """Write microseconds since the epoch as RFC 3339 in UTC, always with six decimals.

    Gives `None` for a moment that RFC 3339 cannot write; a row may have been written by hand.
    """
    seconds, rest_us = divmod(moment_us, 1_000_000)
    second = _format_second(seconds)
    return second and f"{second}.{rest_us:06d}Z"


@lru_cache(maxsize=1024)
def _format_second(seconds: int) -> str | None:
    try:
        return (_START + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return None
