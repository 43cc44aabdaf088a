"""The control plane over an open house: for the API, for commands, and for the showcase."""

import secrets
from collections.abc import Sequence

from dispatcher.api.front import Front
from dispatcher.api.openapi import description
from dispatcher.api.plane import Means, Plane, WayOut
from dispatcher.api.table import all_routes, routes_at
from dispatcher.app.clock import mint_webhook_id
from dispatcher.app.house import House
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.letter import Resolved, Trouble


def plane_of(house: House) -> Plane:
    """Give everything that can be asked of this house."""

    def certificates() -> Sequence[ClientCertificate]:
        from dispatcher.app.way_out import client_identities
        from dispatcher.network.identities import read_certificates

        return read_certificates(client_identities(house.config))

    return Plane(
        Means(
            registry_database=house.registry_database,
            outbox_database=house.outbox_database,
            audit=house.audit,
            vault=house.vault,
            tokens=house.tokens,
            epoch_keys=house.epoch_keys,
            providers=house.providers,
            open_payload=house.open_payload,
            certificates=certificates,
            way_out=lambda: _way_out(house),
            approvals=house.config.registry.approvals,
            independent_approvers=house.config.registry.independent_approvers,
            loopback=house.config.network.inboxes,
            detokenisations_per_hour=house.config.vault.detokenisations_per_hour,
            random_bytes=secrets.token_bytes,
            mint_webhook_id=mint_webhook_id,
            wall_us=house.clock.wall_us,
        )
    )


def front_of(plane: Plane) -> Front:
    """Give what answers a call about a plane, loading no more than that call needs."""
    return Front(plane, routes_at, description)


def loaded_front_of(plane: Plane) -> Front:
    """Give what answers every call, with everything loaded now and not while somebody waits."""
    plane.load()
    all_routes()
    return front_of(plane)


def _way_out(house: House) -> WayOut:
    """Give what may be asked about the way out of this house; nothing is opened until it is.

    There is one resolver for all who ask, so that a name server that hangs holds few threads.
    """
    from dispatcher.app.way_out import address_rules, name_source, resolver_settings
    from dispatcher.network.resolver import Resolver

    resolver = Resolver(resolver_settings(house.config), clock=house.clock.boot)

    async def look_up(host: str, is_private: bool) -> Resolved | Trouble:
        return await resolver.resolve(host, is_private=is_private)

    return WayOut(
        rules=address_rules(house.config),
        look_up=look_up,
        source=name_source(house.config).said,
    )
