"""Everything that can break, in one tree; each error has a stable code, a reason and a fix.

Raised by every room, caught at the edges (`cli`, `api`), which print `code`, `why`, `where` and
`fix` and never a stack trace. A refusal by policy is not an error: it is a value, see `verdict`.
No message may hold a payload value or a secret.
"""

from typing import ClassVar


class DispatcherError(Exception):
    """Something broke; the subclass says on whose side."""

    code: ClassVar[str] = "internal"

    def __init__(self, why: str, *, fix: str = "", where: str = "", code: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix
        self.where = where
        self.reason = code or type(self).code

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        remedy = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.reason}{place}: {self.why}{remedy}"


class InvalidInput(DispatcherError):
    """What was given cannot be used as it is."""

    code = "invalid_input"


class Malformed(InvalidInput):
    """A request does not have the form that is asked for."""

    code = "malformed"


class UnsupportedMediaType(InvalidInput):
    """A request's body is of a kind that is not read."""

    code = "media_type_unsupported"


class ConfigInvalid(InvalidInput):
    """The configuration cannot be read or does not hold together."""

    code = "config_invalid"


class RegistryInvalid(InvalidInput):
    """A registry file cannot be read or does not hold together."""

    code = "registry_invalid"


class EnqueueRefused(InvalidInput):
    """The event was not written: the outbox is as it was before the call."""

    code = "enqueue_refused"


class NotFound(DispatcherError):
    """There is no such thing under that name."""

    code = "not_found"


class Conflict(DispatcherError):
    """Someone else was first, or the ground has moved."""

    code = "conflict"


class ApprovalRequired(DispatcherError):
    """The change lets more flow, so it takes two people who can be told apart."""

    code = "approval_required"


class Unauthenticated(DispatcherError):
    """Nobody knows who is asking."""

    code = "token_invalid"


class Forbidden(DispatcherError):
    """Whoever is asking may not do that."""

    code = "forbidden"


class TooOften(DispatcherError):
    """Whoever is asking has asked that too often of late."""

    code = "too_often"


class StoreUnavailable(DispatcherError):
    """The database cannot be reached or refused the connection."""

    code = "database_unreachable"


class SchemaMismatch(DispatcherError):
    """The database does not have the tables this release works with."""

    code = "schema_mismatch"


class KeyMissing(DispatcherError):
    """A key is not at hand, so nothing can be opened or sent."""

    code = "key_missing"


class KeyUnknown(KeyMissing):
    """The registry never had a key of this name, or has it no more."""

    code = "key_unknown"


class KeyDestroyed(KeyMissing):
    """The key was destroyed on purpose: what it sealed is gone for good."""

    code = "key_destroyed"


class KeyUnavailable(DispatcherError):
    """A key cannot be had at the moment, so what it seals stays closed until it can."""

    code = "key_unavailable"


class SealBroken(DispatcherError):
    """A sealed record does not open: it was altered or moved, or the key is another."""

    code = "seal_broken"


class NotConfirmed(DispatcherError):
    """The stop is recorded, but not every worker has confirmed it within the time given."""

    code = "hold_unconfirmed"
