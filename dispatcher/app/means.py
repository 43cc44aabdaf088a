"""The means of the control plane, of an open house: for the API, for commands, for the showcase."""

import secrets
from collections.abc import Sequence
from functools import cache

from dispatcher.app.clock import mint_secret, mint_webhook_id
from dispatcher.app.house import House
from dispatcher.app.way_out import address_rules, client_identities, name_source, resolver_settings
from dispatcher.control.means import Means, WayOut
from dispatcher.control.producers import ProducerRule
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network.identities import read_certificates
from dispatcher.network.resolver import Resolver


def means_of(house: House) -> Means:
    """Give what the controls of this house work with; nothing is opened until it is asked for."""

    def certificates() -> Sequence[ClientCertificate]:
        return read_certificates(client_identities(house.config))

    @cache  # one resolver for all who ask, so that a name server that hangs holds few threads
    def way_out() -> WayOut:
        resolver = Resolver(resolver_settings(house.config), clock=house.clock.boot)

        async def look_up(host: str, is_private: bool) -> Resolved | Trouble:
            return await resolver.resolve(host, is_private=is_private)

        return WayOut(
            rules=address_rules(house.config),
            look_up=look_up,
            source=name_source(house.config).said,
        )

    return Means(
        registry_database=house.registry_database,
        outbox_database=house.outbox_database,
        audit=house.audit,
        vault=house.vault,
        tokens=house.tokens,
        epoch_keys=house.epoch_keys,
        providers=house.providers,
        open_payload=house.open_payload,
        producers=ProducerRule(house.registry),
        certificates=certificates,
        way_out=way_out,
        approvals=house.config.registry.approvals,
        independent_approvers=house.config.registry.independent_approvers,
        loopback=house.config.network.inboxes,
        detokenisations_per_hour=house.config.vault.detokenisations_per_hour,
        random_bytes=secrets.token_bytes,
        mint_secret=mint_secret,
        mint_webhook_id=mint_webhook_id,
        wall_us=house.clock.wall_us,
    )
