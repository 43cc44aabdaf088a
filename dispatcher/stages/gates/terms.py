"""Under which TLS terms is an endpoint reached, and can they be met today?

Several entries of the allowlist may list one endpoint; the narrowest gives the terms. Asked by
`listing`, with the entries that have not expired. It never looks at a certificate: the dialer does,
on the connection in hand.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import date

from dispatcher.model.registry import Destination
from dispatcher.model.verdict import Reason
from dispatcher.stages.gates.paper import Finding


def find_terms(current: Iterable[Destination], today: date) -> Destination | None:
    """Find the entry that gives the terms, as they are today.

    It is the one with the longest path; of several, one host goes before many.
    """
    found = max(current, key=_narrowness, default=None)
    if found is None or not found.tls.pins:  # only pins are other ones on another day
        return found
    return replace(found, tls=found.tls.on(today))


def judge_terms(
    entry: Destination, today: date, identities: Collection[str] | None
) -> Iterator[Finding]:
    """Give every reason why the terms cannot be met.

    `identities` are the client certificates that this worker has; `None` where no worker is asked.
    """
    until, identity = entry.tls.pins_until, entry.tls.identity
    if entry.tls.pins and until is not None and until < today:
        yield Reason.PINS_EXPIRED, f"the pins of {entry.host} ended on {until}"
    if identity and identities is not None and identity not in identities:
        yield Reason.CLIENT_IDENTITY_MISSING, f"{entry.host} asks for the identity {identity}"


def _narrowness(entry: Destination) -> tuple[int, bool]:
    is_one = not entry.host.startswith("*.") and "/" not in entry.host
    return len(entry.path_prefix.removesuffix("/")), is_one
