"""In whose name a principal may enqueue: the active revision's rule, read again when it changes.

Called by the API for every event that comes over HTTP. The judgement is `model.producers`'.
"""

from dataclasses import dataclass, field

from dispatcher.model.errors import Forbidden
from dispatcher.model.ids import Revision
from dispatcher.model.people import Principal
from dispatcher.model.producers import (
    UNNAMED_PRODUCER,
    Producers,
    list_producers,
    producer_of_principal,
)
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.store.registry import RegistryStore


@dataclass(slots=True)
class ProducerRule:
    """The producers of the active revision; reading that nothing changed costs one small row."""

    registry: RegistryStore
    _known: tuple[Revision, Producers] | None = field(default=None, init=False)

    async def name_for(self, principal: Principal, named: str, event_type: str, tenant: str) -> str:
        """Give the producer in whose name a principal enqueues this event.

        Raises `Forbidden` when it may not, or names a producer that it is not.
        """
        found = producer_of_principal(await self._producers(), principal.name, event_type, tenant)
        if isinstance(found, Refusal):
            raise Forbidden(
                found.detail,
                where="producer",
                fix="have this principal listed in a [[producer]] with this event type and tenant",
                code=Reason.PRODUCER_NOT_ALLOWED,
            )
        if named not in (UNNAMED_PRODUCER, found):
            raise Forbidden(
                f"{principal.name} is the producer {found!r}, not {named[:200]!r}",
                where="producer",
                fix="leave the producer out, or name that one",
                code=Reason.PRODUCER_NOT_ALLOWED,
            )
        return found

    async def _producers(self) -> Producers:
        revision = await self.registry.revision_now()
        if self._known is None or self._known[0] != revision:
            active = await self.registry.active()
            self._known = (active.revision, list_producers(active.registry.producers))
        return self._known[1]
