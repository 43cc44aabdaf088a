"""Why something that came is not taken: one exception, with a stable code.

Raised by the rooms beside it, caught by a partner's own code. It never holds a secret, nor anything
of what came: that was written by whoever sent it.
"""

from enum import StrEnum
from typing import Final


class Why(StrEnum):
    """What is wrong with it. The values are stable: a partner may count them."""

    HEADER_MISSING = "header_missing"
    HEADER_REPEATED = "header_repeated"
    ID_WRONG = "id_wrong"
    TIMESTAMP_WRONG = "timestamp_wrong"
    TIMESTAMP_OLD = "timestamp_old"
    TIMESTAMP_FUTURE = "timestamp_future"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_UNKNOWN = "signature_unknown"
    SIGNATURE_INCOMPLETE = "signature_incomplete"
    SIGNATURE_WRONG = "signature_wrong"
    DIGEST_WRONG = "digest_wrong"
    KEY_UNKNOWN = "key_unknown"
    ENCRYPTION_WRONG = "encryption_wrong"
    BODY_WRONG = "body_wrong"
    ID_MISMATCH = "id_mismatch"
    SUBSCRIBER_MISMATCH = "subscriber_mismatch"


_SENTENCES: Final = {
    Why.HEADER_MISSING: "webhook-id or webhook-timestamp is missing",
    Why.HEADER_REPEATED: "a header that counts is there more than once",
    Why.ID_WRONG: "the webhook-id is none that we could have been sent",
    Why.TIMESTAMP_WRONG: "the webhook-timestamp is not a number of seconds",
    Why.TIMESTAMP_OLD: "it was signed too long ago; a replay, or one of the clocks is wrong",
    Why.TIMESTAMP_FUTURE: "it was signed too far ahead; one of the clocks is wrong",
    Why.SIGNATURE_MISSING: "there is no signature",
    Why.SIGNATURE_UNKNOWN: "no signature is of a kind that a key was given for",
    Why.SIGNATURE_INCOMPLETE: "the signature does not cover all that it must",
    Why.SIGNATURE_WRONG: "no signature is by a key that was given, over what came",
    Why.DIGEST_WRONG: "the body is not the one whose digest was signed",
    Why.KEY_UNKNOWN: "no key of the name that it bears was given",
    Why.ENCRYPTION_WRONG: "it cannot be decrypted, or is not encrypted as was agreed",
    Why.BODY_WRONG: "what is inside is no envelope",
    Why.ID_MISMATCH: "the id inside is not the webhook-id",
    Why.SUBSCRIBER_MISMATCH: "it is meant for another subscription",
}


class NotGenuine(Exception):
    """Do not act on what came, and answer 400. `code` says why, in a word that stays the same."""

    def __init__(self, code: Why) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"{self.code}: {_SENTENCES[self.code]}"
