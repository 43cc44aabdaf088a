"""The registry plane's tables of people and their doings, and of what endpoints have shown.

Also of the keys that sign, and those that tokens of values hang on. Called by
`tables.registry_metadata`, which says by `make` where a table lives and what its name is.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Text, text

Make = Callable[..., Any]


def make_people(make: Make) -> None:
    """Make principals, their tokens, and the answers they are given again."""
    make(
        "principals",
        Column("name", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("roles", Text, nullable=False),
        Column("created_us", BigInteger, nullable=False),
        Column("created_by", Text, nullable=False),
    )
    make(
        "tokens",
        Column("id", Text, primary_key=True),
        Column("principal", Text, nullable=False),
        Column("secret_sha256", Text, nullable=False),
        Column("created_us", BigInteger, nullable=False),
        Column("created_by", Text, nullable=False),
        Column("expires_us", BigInteger, nullable=False),
        Column("revoked_us", BigInteger),
        Column("revoked_by", Text),
        Column("tenant", Text),
    )
    make(
        "replies",
        Column("principal", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("begun_us", BigInteger, nullable=False),
        Column("sealed", LargeBinary),
    )


def make_audit(make: Make) -> None:
    """Make the audit log, and the row that says where it ends."""
    make(
        "audit_log",
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("entry", Text, nullable=False),
        Column("seal", LargeBinary, nullable=False),
    )
    make(
        "audit_head",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("log", Text, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("frontier", LargeBinary, nullable=False),
        Column("note", Text, nullable=False),
    )


def make_proofs(make: Make) -> None:
    """Make what endpoints have shown, and how the asking goes: when next, and who is at it."""
    make(
        "proofs",
        Column("connector", Text, primary_key=True),
        Column("endpoint", Text, primary_key=True),
        Column("method", Text, nullable=False),
        Column("proven_us", BigInteger, nullable=False),
        Column("proven_by", Text, nullable=False),
        Column("revision", BigInteger, nullable=False),
    )
    make(
        "challenges",
        Column("connector", Text, primary_key=True),
        Column("endpoint", Text, primary_key=True),
        Column("asked_us", BigInteger, nullable=False),
        Column("ended_us", BigInteger, nullable=False),
        Column("due_us", BigInteger, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("holder", Text, nullable=False),
        Column("echo", Text, nullable=False),
        Column("dns", Text, nullable=False),
    )


def make_key_trials(make: Make) -> None:
    """Make how trials of new keys go: how often one was proven, when next, and who is at it."""
    make(
        "key_trials",
        Column("subscription", Text, primary_key=True),
        Column("fingerprint", Text, primary_key=True),
        Column("endpoint", Text, nullable=False),
        Column("due_us", BigInteger, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("proofs", Integer, nullable=False),
        Column("fault", Text, nullable=False),
        Column("holder", Text, nullable=False),
    )


def make_signing_keys(make: Make) -> None:
    """Make the keys that letters are signed with, and when each one signs."""
    make(
        "signing_keys",
        Column("subscription", Text, primary_key=True),
        Column("fingerprint", Text, primary_key=True),
        Column("sealed", LargeBinary),
        Column("created_us", BigInteger, nullable=False),
        Column("kind", Text, nullable=False, server_default=text("'hmac'")),
        Column("public", Text, nullable=False, server_default=text("''")),
        Column("active_us", BigInteger, nullable=False, server_default=text("0")),
        Column("until_us", BigInteger),
        Column("revoked_us", BigInteger),
        Column("connector", Text, nullable=False, server_default=text("''")),
    )


def make_partner_keys(make: Make) -> None:
    """Make the sets of keys that partners publish, as they were last found, and every key seen."""
    make(
        "partner_key_sets",
        Column("connector", Text, primary_key=True),
        Column("url", Text, nullable=False),
        Column("good_us", BigInteger, nullable=False),
        Column("tried_us", BigInteger, nullable=False),
        Column("due_us", BigInteger, nullable=False),
        Column("leased_until_us", BigInteger, nullable=False),
        Column("holder", Text, nullable=False),
        Column("failures", Integer, nullable=False),
        Column("fault", Text, nullable=False),
    )
    make(
        "partner_keys",
        Column("connector", Text, primary_key=True),
        Column("thumbprint", Text, primary_key=True),
        Column("kid", Text, nullable=False),
        Column("jwk", Text, nullable=False),
        Column("is_for_encryption", Boolean, nullable=False),
        Column("place", Integer),
        Column("first_seen_us", BigInteger, nullable=False),
        Column("fetched_us", BigInteger, nullable=False),
        Column("exposed_us", BigInteger),
    )


def make_credentials(make: Make) -> None:
    """Make the secret headers that partners want, and where each is bound to."""
    make(
        "credentials",
        Column("id", Text, primary_key=True),
        Column("subscription", Text, nullable=False),
        Column("header", Text, nullable=False),
        Column("destination", Text, nullable=False),
        Column("sealed", LargeBinary),
        Column("entered_by", Text, nullable=False),
        Column("entered_us", BigInteger, nullable=False),
        Column("approved_by", Text),
        Column("approved_us", BigInteger),
        Column("destroyed_us", BigInteger),
    )


def make_token_keys(make: Make) -> None:
    """Make the keys that partners' tokens hang on, and the count of who turned tokens back."""
    make(
        "token_keys",
        Column("connector", Text, primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("sealed", LargeBinary),
        Column("created_us", BigInteger, nullable=False),
        Column("destroyed_us", BigInteger),
    )
    make(
        "token_reads",
        Column("principal", Text, primary_key=True),
        Column("window_us", BigInteger, nullable=False),
        Column("count", Integer, nullable=False),
    )


def make_epoch_keys(make: Make, index: Make) -> None:
    """Make the keys of tenants and epochs, each wrapped by the key that `kek` names."""
    keys = make(
        "epoch_keys",
        Column("id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("begins_us", BigInteger, nullable=False),
        Column("ends_us", BigInteger, nullable=False),
        Column("wrapped", LargeBinary),
        Column("kek", Text, nullable=False),
        Column("created_us", BigInteger, nullable=False),
        Column("destroyed_us", BigInteger),
    )
    index(keys, "begins", "tenant", "begins_us", unique=True)


def make_revoked_identities(make: Make) -> None:
    """Make the list of client certificates and partners' public keys that were revoked."""
    make(
        "revoked_identities",
        Column("fingerprint", Text, primary_key=True),
        Column("revoked_us", BigInteger, nullable=False),
    )
