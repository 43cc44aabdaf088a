"""The control plane over an open house: for the API, for commands, and for the showcase."""

import secrets
from collections.abc import Callable, Sequence
from functools import partial

from dispatcher.api.front import Front
from dispatcher.api.openapi import description
from dispatcher.api.plane import Plane, WayOut
from dispatcher.api.table import ROUTES
from dispatcher.app.clock import mint_secret, mint_webhook_id
from dispatcher.app.house import House
from dispatcher.app.way_out import address_rules, client_identities, name_source, resolver_settings
from dispatcher.control.changes import ChangeControl
from dispatcher.control.credentials import CredentialControl
from dispatcher.control.detokenising import Detokenising
from dispatcher.control.erasing import Erasing
from dispatcher.control.identities import IdentityControl
from dispatcher.control.keys import KeyControl
from dispatcher.control.lanes import LaneControl
from dispatcher.control.partner_keys import PartnerKeyControl
from dispatcher.control.people import People
from dispatcher.control.previews import PreviewControl
from dispatcher.control.producers import ProducerRule
from dispatcher.control.proofs import ProofControl
from dispatcher.control.replaying import Replaying
from dispatcher.control.revoking import Revoking
from dispatcher.control.switches import SwitchControl
from dispatcher.control.vault_keys import VaultKeys
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.letter import Resolved, Trouble
from dispatcher.network.identities import read_certificates
from dispatcher.network.resolver import Resolver
from dispatcher.store.changes import ChangeStore
from dispatcher.store.credentials import CredentialStore
from dispatcher.store.outbox import OutboxStore
from dispatcher.store.payloads import PayloadStore
from dispatcher.store.people import PeopleStore
from dispatcher.store.replays import ReplayStore
from dispatcher.store.replies import ReplyStore
from dispatcher.store.retention import RetentionStore
from dispatcher.store.shredding import ShredStore
from dispatcher.store.token_keys import TokenReads
from dispatcher.store.triage import TriageStore
from dispatcher.store.vault_tokens import VaultStore


def change_control(house: House) -> ChangeControl:
    """Give what changes the registry of this house."""
    return ChangeControl(
        registry=house.registry,
        changes=ChangeStore(house.registry_database, house.audit),
        catalogue=house.catalogue,
        vault=house.vault,
        approvals=house.config.registry.approvals,
        independent_approvers=house.config.registry.independent_approvers,
        loopback=house.config.network.inboxes,
        mint_secret=mint_secret,
        wall_us=house.clock.wall_us,
    )


def preview_control(house: House) -> PreviewControl:
    """Give what shows what a partner of this house would get."""
    database = house.outbox_database
    return PreviewControl(
        registry=house.registry,
        payloads=PayloadStore(database, house.open_payload),
        scope_of=OutboxStore(database, house.open_payload).scope,
        vault=house.vault,
        tokens=house.tokens,
        vault_tokens=VaultStore(database),
        certificates=_certificates(house),
        loopback=house.config.network.inboxes,
        mint=mint_webhook_id,
        wall_us=house.clock.wall_us,
    )


def credential_control(house: House) -> CredentialControl:
    """Give what stores the secret headers of this house's partners."""
    return CredentialControl(
        registry=house.registry,
        store=CredentialStore(house.registry_database, house.audit),
        vault=house.vault,
        approvals=house.config.registry.approvals,
        independent_approvers=house.config.registry.independent_approvers,
        mint_id=partial(secrets.token_hex, 4),
    )


def key_control(house: House) -> KeyControl:
    """Give what has the signing keys of this house take turns."""
    return KeyControl(
        registry=house.registry,
        trials=house.key_trials,
        vault=house.vault,
        mint_secret=mint_secret,
        wall_us=house.clock.wall_us,
    )


def identity_control(house: House) -> IdentityControl:
    """Give what lists the client certificates of this house, and what its partners fetch by."""
    return IdentityControl(
        registry=house.registry, read=_certificates(house), wall_us=house.clock.wall_us
    )


def revoking(house: House) -> Revoking:
    """Give what revokes the keys of this house, and those shown to it."""
    return Revoking(
        registry=house.registry,
        workers=house.workers,
        outbox=house.outbox_database,
        read=_certificates(house),
        wall_us=house.clock.wall_us,
    )


def lane_control(house: House) -> LaneControl:
    """Give what says why lanes of this house are closed."""
    return LaneControl(
        registry=house.registry,
        certificates=_certificates(house),
        loopback=house.config.network.inboxes,
        wall_us=house.clock.wall_us,
    )


def proof_control(house: House) -> ProofControl:
    """Give what says where the proofs of this house's endpoints stand."""
    return ProofControl(
        registry=house.registry,
        proofs=house.proofs,
        workers=house.workers,
        vault=house.vault,
        loopback=house.config.network.inboxes,
        wall_us=house.clock.wall_us,
    )


def partner_key_control(house: House) -> PartnerKeyControl:
    """Give what shows the keys that partners of this house publish."""
    return PartnerKeyControl(
        registry=house.registry,
        partner_keys=house.partner_keys,
        loopback=house.config.network.inboxes,
        wall_us=house.clock.wall_us,
    )


def people(house: House) -> People:
    """Give the people of this house."""
    return People(store=PeopleStore(house.registry_database, house.audit), mint=secrets.token_bytes)


def front(house: House) -> Front:
    """Give what answers every call about this house."""
    plane = Plane(
        registry=house.registry,
        changes=change_control(house),
        people=people(house),
        switches=SwitchControl(
            registry=house.registry, workers=house.workers, wall_us=house.clock.wall_us
        ),
        keys=key_control(house),
        identities=identity_control(house),
        revoking=revoking(house),
        credentials=credential_control(house),
        lanes=lane_control(house),
        proofs=proof_control(house),
        partner_keys=partner_key_control(house),
        producers=ProducerRule(house.registry),
        previews=preview_control(house),
        detokenising=Detokenising(
            registry=house.registry,
            tokens=VaultStore(house.outbox_database),
            reads=TokenReads(house.registry_database, house.audit),
            vault=house.vault,
            keys=house.tokens,
            per_hour=house.config.vault.detokenisations_per_hour,
        ),
        erasing=Erasing(
            registry=house.registry,
            workers=house.workers,
            tokens=VaultStore(house.outbox_database),
            audit=house.audit,
            vault=house.vault,
            wall_us=house.clock.wall_us,
        ),
        replaying=Replaying(
            replays=ReplayStore(house.outbox_database), audit=house.audit, mint=mint_webhook_id
        ),
        vault_keys=VaultKeys(
            keys=house.epoch_keys,
            providers=house.providers,
            vault=house.vault,
            registry=house.registry,
            outbox=ShredStore(house.outbox_database),
            workers=house.workers,
            audit=house.audit,
            wall_us=house.clock.wall_us,
        ),
        history=house.history,
        triage=TriageStore(house.outbox_database),
        findings=house.findings,
        retention=RetentionStore(house.outbox_database),
        audit=house.audit,
        replies=ReplyStore(house.registry_database),
        outbox=house.outbox_database,
        vault=house.vault,
        way_out=_way_out(house),
        wall_us=house.clock.wall_us,
    )
    return Front(plane, ROUTES, description)


def _certificates(house: House) -> Callable[[], Sequence[ClientCertificate]]:
    """Give what reads the client certificates that this configuration names."""
    return partial(read_certificates, client_identities(house.config))


def _way_out(house: House) -> WayOut:
    """Give what may be asked about the way out of this house; nothing is opened until it is.

    There is one resolver for all who ask, so that a name server that hangs holds few threads.
    """
    resolver = Resolver(resolver_settings(house.config), clock=house.clock.boot)

    async def look_up(host: str, is_private: bool) -> Resolved | Trouble:
        return await resolver.resolve(host, is_private=is_private)

    return WayOut(
        rules=address_rules(house.config),
        look_up=look_up,
        source=name_source(house.config).said,
    )
