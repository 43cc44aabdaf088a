"""Who is asking: whoever a token belongs to, or whoever sits at this machine.

Without a token, that is everybody at once where one person may apply alone: a laptop. Elsewhere
they may look, enqueue, stop and start things and let less flow, for an incident does not wait for a
token, but neither let more flow nor approve; and they make the first principal.
"""

import os

from dispatcher.app.config import Config, actor_name
from dispatcher.app.remote import TOKEN_VARIABLE
from dispatcher.control.people import People
from dispatcher.model.people import HERE, Principal, PrincipalKind, Role


async def who_asks(config: Config, known: People, *, with_token: bool = True) -> Principal:
    """Say who of these is asking: whose token it is, or whoever sits at this machine."""
    token = os.environ.get(TOKEN_VARIABLE, "") if with_token else ""
    if token:
        return await known.authenticate(token)
    name = f"{HERE}{actor_name()}"
    if config.registry.approvals == 1:
        return Principal(name=name, kind=PrincipalKind.HUMAN, roles=frozenset(Role))
    roles = {Role.SRE, Role.READER, Role.PRODUCER, Role.PLATFORM}
    if not await known.store.principals(limit=1):
        roles.add(Role.ADMIN)  # somebody must make the first
    return Principal(name=name, kind=PrincipalKind.LOCAL, roles=frozenset(roles))
