"""Who is calling? By a signature on the request, or by the client certificate of its connection.

Called by `listener` for every fetch, under the snapshot of this instant. A signature that is there
and is not good is not made up for by a certificate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dispatcher.model.caller import Callers, Known
from dispatcher.partner.signed import Message, find_signer


@dataclass(frozen=True, slots=True)
class Shown:
    """The credentials shown, one for each connector they count for, and by which signature."""

    known: tuple[Known, ...]
    signature_id: str = ""


def find_callers(
    url: str, headers: Mapping[str, str], pin: str, callers: Callers, now_seconds: int
) -> Shown | None:
    """Say who asks for this URL; `pin` is the public key of the certificate, if there is one."""
    if "signature" in headers or "signature-input" in headers:
        signed = find_signer(Message("GET", url, headers), callers, now_seconds)
        return Shown((signed.known,), signed.signature_id) if signed is not None else None
    known = callers.by_pin.get(pin, ()) if pin else ()
    return Shown(known) if known else None
