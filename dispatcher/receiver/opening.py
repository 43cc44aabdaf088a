"""Verify what came and open it. A partner calls `Receiver.open` for every request it is sent.

    receiver = Receiver(secrets=["whsec_…"], public_keys=["whpk_…"])
    message = receiver.open(request.headers, request.body)

Signature and time are judged before anything of the body is read; what comes out is genuine, or
`NotGenuine` was raised. It stores nothing: whether a letter was seen before, its caller knows.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from dispatcher.receiver.encryption import ENCRYPTED_TYPE, Opener, PrivateKey
from dispatcher.receiver.http_signature import Judge, Signable
from dispatcher.receiver.keys import Jwk, read_public_keys, read_secrets
from dispatcher.receiver.refusals import NotGenuine, Why
from dispatcher.receiver.standard import judge_standard

__all__ = ["Message", "NotGenuine", "Receiver", "Why"]

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

TOLERANCE_SECONDS: Final = 300
_COUNTED: Final = frozenset(
    {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "signature-input",
        "signature",
        "content-digest",
        "content-type",
    }
)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Message:
    """What the sender said. `envelope` is all of it; nothing of the content is in a repr.

    `is_repeat` is what the hook `seen` answered: answer 2xx to a repeat, and do nothing else.
    """

    id: str
    type: str
    timestamp: str
    data: Any = field(default=None, repr=False)
    subjects: tuple[str, ...] = field(default=(), repr=False)
    envelope: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_repeat: bool = False


class Receiver:
    """Holds what a partner was told about one subscription, and opens what comes for it."""

    __slots__ = (
        "_clock",
        "_opener",
        "_public_keys",
        "_secrets",
        "_seen",
        "_subscriber",
        "_tolerance_seconds",
        "_url",
    )

    def __init__(
        self,
        *,
        secrets: Iterable[str] = (),
        public_keys: Iterable[str | Jwk] = (),
        private_keys: Mapping[str, PrivateKey] | None = None,
        url: str | None = None,
        subscriber: str | None = None,
        tolerance_seconds: int = TOLERANCE_SECONDS,
        seen: Callable[[str], bool] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what is known. During a rotation, give the old key and the new.

        `secrets` are `whsec_…`; `public_keys` are `whpk_…` or JWKs of the sender's published set;
        `private_keys`, by their `kid`, open what is encrypted to them (PEM or JWK); without `url`,
        exactly as it is registered, signatures of RFC 9421 are none; `subscriber` is the name of
        the subscription that encrypted letters must be meant for; `seen` is asked whether a
        webhook-id was dealt with before.
        """
        self._secrets = read_secrets(secrets)
        self._public_keys = read_public_keys(public_keys)
        if not self._secrets and not self._public_keys:
            raise ValueError("without a secret or a public key, nothing can be genuine")
        self._opener = Opener(private_keys) if private_keys else None
        self._url = url
        self._subscriber = subscriber
        self._tolerance_seconds = tolerance_seconds
        self._seen = seen
        self._clock = clock

    def open(
        self, headers: Headers, body: bytes, *, method: str = "POST", status: int | None = None
    ) -> Message:
        """Verify a request and give what it says. `body` is every byte as it came, never parsed.

        With `status`, it is the answer to a fetch that is verified.
        """
        found = _read_headers(headers)
        webhook_id = self._verify(found, body, method, status)
        is_encrypted = found.get("content-type", "").partition(";")[0].strip() == ENCRYPTED_TYPE
        envelope = _read_envelope(self._decrypt(body) if is_encrypted else body)
        if envelope["id"] != webhook_id:
            raise NotGenuine(Why.ID_MISMATCH)
        if is_encrypted and self._subscriber not in {None, envelope.get("subscriber")}:
            raise NotGenuine(Why.SUBSCRIBER_MISMATCH)
        is_repeat = self._seen(webhook_id) if self._seen is not None else False
        return _message(envelope, is_repeat=is_repeat)

    def _verify(
        self, headers: Mapping[str, str], body: bytes, method: str, status: int | None
    ) -> str:
        webhook_id, timestamp = headers.get("webhook-id"), headers.get("webhook-timestamp")
        if webhook_id is None or timestamp is None:
            raise NotGenuine(Why.HEADER_MISSING)
        if not _ID.fullmatch(webhook_id):
            raise NotGenuine(Why.ID_WRONG)
        now = self._clock()
        refused = self._judge_time(timestamp, now)
        if refused is None and "webhook-signature" in headers:
            content = f"{webhook_id}.{timestamp}.".encode() + body
            signatures = headers["webhook-signature"]
            refused = judge_standard(signatures, content, self._secrets, self._public_keys)
        elif refused is None:
            refused = self._judge_http(headers, body, method, status, now)
        if refused is not None:
            raise NotGenuine(refused)
        return webhook_id

    def _judge_time(self, timestamp: str, now: float) -> Why | None:
        if not _TIMESTAMP.fullmatch(timestamp):
            return Why.TIMESTAMP_WRONG
        age = now - int(timestamp)
        if age > self._tolerance_seconds:
            return Why.TIMESTAMP_OLD
        return Why.TIMESTAMP_FUTURE if -age > self._tolerance_seconds else None

    def _judge_http(
        self, headers: Mapping[str, str], body: bytes, method: str, status: int | None, now: float
    ) -> Why | None:
        if "signature" not in headers or "signature-input" not in headers:
            return Why.SIGNATURE_MISSING
        if status is not None:
            place = {"@status": str(status)}
        elif self._url is not None:
            place = {"@method": method, "@target-uri": self._url}
        else:
            return Why.SIGNATURE_UNKNOWN
        judge = Judge(self._secrets, self._public_keys, now, self._tolerance_seconds)
        return judge.judge(Signable(place, headers, body))

    def _decrypt(self, body: bytes) -> bytes:
        if self._opener is None:
            raise NotGenuine(Why.KEY_UNKNOWN)
        return self._opener.open(body)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a receiver holds secrets and cannot be pickled")


def _read_headers(headers: Headers) -> dict[str, str]:
    pairs = headers.items() if hasattr(headers, "items") else headers
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        if key in _COUNTED:
            if key in found:
                raise NotGenuine(Why.HEADER_REPEATED)
            found[key] = value.strip(" \t")
    return found


def _read_envelope(plaintext: bytes) -> dict[str, Any]:
    try:
        found = json.loads(plaintext)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NotGenuine(Why.BODY_WRONG)
    names = ("id", "type", "time" if "specversion" in found else "timestamp")
    if not all(isinstance(found.get(name), str) for name in names):
        raise NotGenuine(Why.BODY_WRONG)
    return found


def _message(envelope: Mapping[str, Any], *, is_repeat: bool) -> Message:
    subject, subjects = envelope.get("subject"), envelope.get("subjects")
    if isinstance(subject, str):
        subjects = [subject]
    return Message(
        id=envelope["id"],
        type=envelope["type"],
        timestamp=envelope["time" if "specversion" in envelope else "timestamp"],
        data=envelope.get("data"),
        subjects=tuple(subjects) if isinstance(subjects, list) else (),
        envelope=envelope,
        is_repeat=is_repeat,
    )
