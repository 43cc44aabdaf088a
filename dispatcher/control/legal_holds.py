"""Refuses what a legal hold forbids: to destroy what is kept about a tenant.

Asked by whoever destroys by name what purging keeps: `vault_keys` and `erasing`. Neither keys nor
tokens say of which event type they are, so a hold on an event type may be about any of them.
"""

from dispatcher.model.days import day_of
from dispatcher.model.errors import Conflict
from dispatcher.store.registry import RegistryStore


async def require_unheld(registry: RegistryStore, tenant: str, now_us: int) -> None:
    """Raise `Conflict` (`legal_hold`) where a hold that is in force may cover this tenant."""
    retention = (await registry.active()).registry.policy.retention
    today = day_of(now_us)
    for hold in retention.holds:
        if hold.is_in_force(today) and hold.tenant in ("", tenant):
            raise Conflict(
                f"the legal hold {hold.name} keeps what there is of {tenant} through {hold.until}",
                where="tenant",
                fix=f"ask {hold.owner}, who answers for it; two people may end it in "
                "[[policy.retention.holds]]",
                code="legal_hold",
            )
