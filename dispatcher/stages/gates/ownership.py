"""Whose endpoint is it? Which places are proven today, and which want a proof, or a newer one.

Called when a snapshot is compiled, and by whoever asks about one endpoint. A proof is judged by
days, like a paper: it is good through its last one. It never asks anybody: that is a worker's
chore.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

from dispatcher.model.days import day_of
from dispatcher.model.endpoint import Endpoint
from dispatcher.model.proof import Proof, ProofKey, proof_key
from dispatcher.model.registry import OwnershipProof, Policy

RENEW_DAYS: Final = 14
"""How long before a proof's last day a newer one is sought, but never in its first half."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """The places that are proven today, each with its last day; `is_asked`: by the policy.

    A proof whose last day comes no later than `renewed_from` is worth another.
    """

    is_asked: bool
    renewed_from: date
    last_days: Mapping[ProofKey, date]

    @classmethod
    def of(
        cls,
        policy: Policy,
        loopback: frozenset[tuple[str, int]],
        proofs: Iterable[Proof],
        today: date,
    ) -> Self:
        """Judge every proof by today's policy."""
        days = {each.key: last_proof_day(each, policy) for each in proofs}
        return cls(
            is_proof_asked(policy, loopback),
            today + timedelta(days=min(RENEW_DAYS, policy.proof_days // 2)),
            {key: day for key, day in days.items() if today <= day},
        )

    def is_unproven(self, connector: str, endpoint: Endpoint) -> bool:
        """True where a proof is asked for and there is none that still counts."""
        return self.is_asked and proof_key(connector, endpoint) not in self.last_days

    def wants_proof(self, connector: str, endpoint: Endpoint) -> bool:
        """True where a challenge has something to win: no proof yet, or one that soon ends."""
        last_day = self.last_days.get(proof_key(connector, endpoint))
        return self.is_asked and (last_day is None or last_day <= self.renewed_from)


def is_proof_asked(policy: Policy, loopback: frozenset[tuple[str, int]]) -> bool:
    """True where endpoints must be proven. Loopback inboxes exist in development alone."""
    if policy.ownership_proof is OwnershipProof.OUTSIDE_DEV:
        return not loopback
    return policy.ownership_proof is OwnershipProof.REQUIRED


def last_proof_day(proof: Proof, policy: Policy) -> date:
    """Give the last day on which a proof counts."""
    return day_of(proof.proven_us) + timedelta(days=policy.proof_days)
