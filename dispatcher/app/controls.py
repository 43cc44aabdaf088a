"""The control plane over an open house, for commands and for the showcase."""

from dispatcher.app.clock import mint_secret
from dispatcher.app.house import House
from dispatcher.control.changes import ChangeControl
from dispatcher.store.changes import ChangeStore


def change_control(house: House) -> ChangeControl:
    """Give what changes the registry of this house."""
    return ChangeControl(
        registry=house.registry,
        changes=ChangeStore(house.registry_database, house.audit),
        catalogue=house.catalogue,
        vault=house.vault,
        approvals=house.config.registry.approvals,
        loopback=house.config.network.inboxes,
        mint_secret=mint_secret,
        wall_us=house.clock.wall_us,
    )
