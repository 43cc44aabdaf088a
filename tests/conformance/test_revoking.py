"""The answer to a leak, by the API on every engine: all that is a partner's ends in one act."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatcher.cli.asking import Where
from dispatcher.cli.keys import revoke as command
from dispatcher.model import caller
from dispatcher.model.caller import CallerKind
from dispatcher.model.errors import StoreUnavailable
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Connector, Destination, Registry
from dispatcher.model.tls import Tls
from dispatcher.store.database import Database
from dispatcher.store.registry import RegistryStore
from tests.conformance.test_api import activate, registry_document
from tests.support import planes
from tests.support.certificates import pem_of, pin_of
from tests.support.planes import Caller, means_of
from tests.support.signing import pem_of_key
from tests.unit.stages import builders

PATH = "/v1/keys/revocations"
KEY = pem_of_key(Ed25519PrivateKey.generate())
AUTHORITY = trustme.CA()
PIN = pin_of(AUTHORITY.issue_cert("client.acme.example"))
SIGNER = caller.Caller(kid="acme-key", kind=CallerKind.SIGNATURE, key=KEY)
CLIENT = caller.Caller(kid="acme-mtls", kind=CallerKind.CERTIFICATE, pin=PIN, ca=pem_of(AUTHORITY))
ANOTHER = caller.Caller(
    kid="brook-key", kind=CallerKind.SIGNATURE, key=pem_of_key(Ed25519PrivateKey.generate())
)


def certificate(identity: str, digit: str) -> ClientCertificate:
    return ClientCertificate(
        identity=identity,
        fingerprint=digit * 16,
        not_before_us=1,
        not_after_us=4_000_000_000_000_000,
    )


@pytest.fixture
def api(database: Database) -> Iterator[Caller]:
    yield Caller(means_of(database))
    planes.certificates.clear()


def partner(name: str, *identities: str, **more: Any) -> Connector:
    """A partner whose destinations ask for these."""
    base: Connector = builders.connector(name, **more)
    asking = [
        Destination(host=f"{each}.{name}.example", reason="a test", tls=Tls(identity=each))
        for each in identities
    ]
    return replace(base, destinations=(*base.destinations, *asking))


def held(*connectors: Connector, **more: Any) -> Registry:
    return builders.registry(connectors=connectors, **more)


async def revoke(api: Caller, connector: str = "acme") -> Any:
    return await api.ask("POST", PATH, {"reason": "INC-7", "connector": connector})


def typed(monkeypatch: pytest.MonkeyPatch, answer: Any) -> str:
    """Give what the command prints of this answer."""
    monkeypatch.setattr(Where, "ask", lambda *_: answer)
    done = CliRunner().invoke(command, ["--connector", "acme", "--reason", "INC-7"])
    assert done.exit_code == 0, done.exception
    return done.output


async def listed(api: Caller, kind: str) -> dict[str, str]:
    """Give the state of each of a kind, by name."""
    found = (await api.ask("GET", "/v1/keys", query={"ended": "true"}))["items"]
    return {each["name"]: each["state"] for each in found if each["kind"] == kind}


async def propose(api: Caller, wanted: Registry) -> tuple[int, dict[str, Any]]:
    body = {"registry": registry_document(wanted), "reason": "a test"}
    reply = await api.call("POST", "/v1/change-sets", body)
    return reply.status, json.loads(reply.body)


async def test_what_a_partner_alone_is_shown_and_what_it_fetches_by_ends_with_its_keys_and_a_hold(
    api: Caller, database: Database
):
    own, next_one, others = (
        certificate("acme-tls", "a"),
        certificate("acme-tls", "b"),
        certificate("brook-tls", "c"),
    )
    planes.certificates[:] = [own, next_one, others]
    await activate(
        api,
        held(
            partner("acme", "acme-tls", callers=(SIGNER, CLIENT)),
            partner("brook", "brook-tls", callers=(ANOTHER,)),
        ),
    )
    before = await listed(api, "caller")
    assert set(before.values()) == {"active"}
    done = await revoke(api)
    assert done["certificates"] == [own.name, next_one.name]
    assert done["callers"] == [n for n in before if n.startswith("acme/")]
    assert (len(done["keys"]), done["held"], done["left"]) == (1, "connector:acme", [])
    assert await listed(api, "certificate") == {
        own.name: "revoked",
        next_one.name: "revoked",
        others.name: "active",
    }
    assert set((await listed(api, "caller")).values()) == {"revoked", "active"}
    now = await means_of(database).registry.policy_now()
    assert len(now.revoked_identities) == 4
    # One act: both entries tell of the same epoch, and that is the one in force.
    tripped, revoked = (await api.ask("GET", "/v1/audit"))["items"][:2]
    assert (tripped["kind"], revoked["kind"]) == ("switch.tripped", "key.revoked")
    assert tripped["detail"]["epoch"] == revoked["detail"]["epoch"] == now.active.epoch
    assert revoked["about"] == "connector acme"
    for what in ("keys", "certificates", "callers"):
        assert revoked["detail"][what] == done[what]


async def test_nothing_of_it_is_done_where_the_hold_cannot_be(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_: object, **__: object) -> int:
        raise OSError("the disk is full")

    planes.certificates[:] = [certificate("acme-tls", "a")]
    await activate(api, held(partner("acme", "acme-tls", callers=(SIGNER,))))
    monkeypatch.setattr("dispatcher.store.registry.trip_switch", fail)
    assert (await api.call("POST", PATH, {"reason": "r", "connector": "acme"})).status == 503
    now = await means_of(database).registry.policy_now()
    assert (now.revoked_identities, now.switches) == ({}, ())
    assert now.keys[0].sealed is not None


async def test_what_became_active_while_it_looked_at_what_there_is_ends_too(
    api: Caller, monkeypatch: pytest.MonkeyPatch
):
    await activate(api, held(partner("acme", callers=(SIGNER,))))
    wanted = held(partner("acme", callers=(SIGNER, CLIENT)))
    look, looks = api.means.registry.revoked_identities, []

    async def slow(_store: RegistryStore) -> Any:
        looks.append(1)
        if len(looks) == 1:
            await activate(api, wanted)
        return await look()

    monkeypatch.setattr(RegistryStore, "revoked_identities", slow)
    done = await revoke(api)
    assert [each.rpartition("/")[0] for each in done["callers"]] == [
        "acme/acme-key",
        "acme/acme-mtls",
    ]
    entries = (await api.ask("GET", "/v1/audit"))["items"]
    assert [each["kind"] for each in entries].count("key.revoked") == 1


async def test_where_the_outbox_is_away_it_is_said_that_all_else_is_done(
    api: Caller, database: Database, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_: object) -> int:
        raise StoreUnavailable("the outbox database cannot be used", where="outbox")

    await activate(api, held(partner("acme", callers=(SIGNER,))))
    monkeypatch.setattr("dispatcher.control.revoking.revoke_tickets", fail)
    reply = await api.call("POST", PATH, {"reason": "r", "connector": "acme"})
    problem = json.loads(reply.body)
    assert (reply.status, problem["code"]) == (504, "tickets_not_ended")
    assert problem["why"].startswith("it is revoked and held, but")
    now = await means_of(database).registry.policy_now()
    assert (len(now.revoked_identities), len(now.switches)) == (1, 1)


async def test_what_others_are_shown_too_is_left_and_named_with_what_revokes_it(api: Caller):
    shared = certificate("shared", "a")
    planes.certificates[:] = [shared]
    await activate(
        api,
        held(
            partner("acme", "shared", "far", "off"),
            partner("brook", "shared", "off"),
            partner("cedar"),
        ),
    )
    done = await revoke(api)
    assert done["certificates"] == []
    far, off, left = done["left"]
    command = f"dispatcher keys revoke --identity {shared.fingerprint} --reason ..."
    assert left == {
        "identity": "shared",
        "fingerprint": shared.fingerprint,
        "connectors": ["brook"],
        "why": "asked for by brook, too",
        "fix": command,
    }
    assert (far["identity"], far["fingerprint"], far["connectors"]) == ("far", None, [])
    assert far["why"] == "no certificate of it can be read here"
    assert (off["connectors"], off["why"]) == (["brook"], f"{far['why']}; {left['why']}")
    assert "keys revoke --identity SHA256 --reason" in far["fix"]
    (_, entry) = (await api.ask("GET", "/v1/audit"))["items"][:2]
    assert entry["detail"]["left"] == ["far", "off", shared.name]
    # It is still named while it is not revoked, and no more once it is.
    assert len((await revoke(api))["left"]) == 3
    await api.ask("POST", PATH, {"reason": "r", "identity": shared.fingerprint})
    assert [each["identity"] for each in (await revoke(api))["left"]] == ["far", "off"]


async def test_one_certificate_under_two_names_is_shared_by_who_asks_for_either(api: Caller):
    planes.certificates[:] = [certificate("acme-tls", "a"), certificate("brook-tls", "a")]
    await activate(api, held(partner("acme", "acme-tls"), partner("brook", "brook-tls")))
    (left,) = (await revoke(api))["left"]
    assert (left["identity"], left["connectors"]) == ("acme-tls", ["brook"])


async def test_a_retired_partner_keeps_nothing_from_being_revoked(api: Caller):
    planes.certificates[:] = [certificate("shared", "a")]
    both = held(partner("acme", "shared"), partner("brook", "shared"))
    await activate(api, both)
    gone = partner("brook", "shared", state=ConnectorState.RETIRED)
    assert (await propose(api, held(both.connectors[0], gone)))[1]["active"]
    assert (await revoke(api))["certificates"] == [planes.certificates[0].name]


async def test_what_is_revoked_already_is_not_told_again_and_the_hold_is_put_on_again(api: Caller):
    planes.certificates[:] = [certificate("acme-tls", "a")]
    await activate(api, held(partner("acme", "acme-tls", callers=(SIGNER,))))
    assert (await revoke(api))["callers"]
    body = {"target": "connector:acme", "reason": "it is over"}
    await api.ask("POST", "/v1/switches/release", body)
    again = await revoke(api)
    assert (again["keys"], again["certificates"], again["callers"]) == ([], [], [])
    # Whoever was not told the first time, as after a 504, is told now what waits for a key.
    assert again["unsigned"] == ["acme-orders"]
    (switch,) = await api.ask("GET", "/v1/switches")
    assert switch["target"] == "connector:acme"


async def test_a_public_key_ends_for_every_connector_that_lists_it_and_all_are_named(
    api: Caller, monkeypatch: pytest.MonkeyPatch
):
    also = replace(CLIENT, kid="acme-eu-mtls")
    await activate(
        api, held(partner("acme", callers=(CLIENT,)), partner("acme-eu", callers=(also, ANOTHER)))
    )
    done = await revoke(api)
    assert [each.rpartition("/")[0] for each in done["callers"]] == [
        "acme/acme-mtls",
        "acme-eu/acme-eu-mtls",
    ]
    states = await listed(api, "caller")
    assert [s for name, s in states.items() if "brook-key" in name] == ["active"]
    assert "set-header" not in typed(monkeypatch, done)
    stored = typed(monkeypatch, {**done, "headers": ["acme-orders/x-key"]})
    assert "\n  stored header acme-orders/x-key\n" in stored
    assert "dispatcher keys set-header" in stored
    ended = "listed with the same public key, so ended, but not held: acme-eu\n"
    assert ended in typed(monkeypatch, done)
    alone = {**done, "callers": done["callers"][:1]}
    assert "not held" not in typed(monkeypatch, alone)


async def test_a_revoked_public_key_cannot_be_listed_again_under_any_name(api: Caller):
    pair = Ed25519PrivateKey.generate()
    signer = replace(SIGNER, key=pem_of_key(pair))
    acme, brook = partner("acme", callers=(signer, CLIENT)), partner("brook")
    await activate(api, held(acme, brook))
    await revoke(api)
    # As it stands it counts for nothing, so it keeps nobody from changing something else.
    smaller = builders.event_type(payload_bytes_max=9)
    status, done = await propose(api, held(acme, brook, event_types=(smaller,)))
    assert (status, done["active"]) == (200, True)
    without = replace(acme, callers=())
    assert (await propose(api, held(without, brook, event_types=(smaller,))))[1]["active"]
    as_signature = replace(signer, kid="other")
    as_certificate = replace(CLIENT, kid="other", ca=pem_of(trustme.CA()))
    for wanted in (
        held(acme, brook),
        held(replace(acme, callers=(as_signature,)), brook),
        held(without, replace(brook, callers=(as_signature,))),
        held(without, replace(brook, callers=(as_certificate,))),
    ):
        status, problem = await propose(api, wanted)
        assert (status, problem["code"]) == (422, "caller_revoked")
        assert "was revoked" in problem["why"]
    status, done = await propose(api, held(replace(without, callers=(ANOTHER,)), brook))
    assert (status, done["active"]) == (200, False)


async def test_a_change_that_waits_is_refused_once_a_key_it_brings_in_is_revoked(api: Caller):
    await activate(api, held(partner("acme", callers=(SIGNER,)), partner("brook")))
    also = replace(SIGNER, kid="brook-key")
    wanted = held(partner("acme"), partner("brook", callers=(also,)))
    waiting = (await propose(api, wanted))[1]["change_set"]
    await revoke(api)
    found = await api.ask("GET", f"/v1/change-sets/{waiting}")
    yes = {"hash": found["hash"], "reason": "read it"}
    by = planes.person("bea", planes.Role.APPROVER)
    path = f"/v1/change-sets/{waiting}/approval"
    assert await api.refused("POST", path, yes, by=by) == (422, "caller_revoked")


async def test_a_rollback_does_not_bring_a_revoked_public_key_back(api: Caller):
    acme = partner("acme", callers=(SIGNER, CLIENT))
    await activate(api, held(acme))
    (number,) = [each["number"] for each in (await api.ask("GET", "/v1/revisions"))["items"]]
    await revoke(api)
    smaller = builders.event_type(payload_bytes_max=9)
    assert (await propose(api, held(replace(acme, callers=()), event_types=(smaller,))))[1][
        "active"
    ]
    back = await api.ask("POST", f"/v1/revisions/{number}/rollback", {"reason": "undo"})
    by = planes.person("bea", planes.Role.APPROVER)
    found = await api.ask("GET", f"/v1/change-sets/{back['change_set']}")
    yes = {"hash": found["hash"], "reason": "read it"}
    await api.ask("POST", f"/v1/change-sets/{back['change_set']}/approval", yes, by=by)
    now = (await api.means.registry.active()).registry
    assert [each.callers for each in now.connectors] == [()]
    assert now.event_types == builders.registry().event_types


async def test_one_credential_of_a_partner_is_revoked_by_its_fingerprint(api: Caller):
    await activate(api, held(partner("acme", callers=(SIGNER, CLIENT))))
    name = next(n for n in await listed(api, "caller") if "/acme-key/" in n)
    body = {"identity": name.rpartition("/")[2], "reason": "theirs leaked"}
    done = await api.ask("POST", PATH, body)
    assert (done["callers"], done["certificates"], done["held"]) == ([name], [], None)
    states = await listed(api, "caller")
    assert (states.pop(name), set(states.values())) == ("revoked", {"active"})
    assert await api.refused("POST", PATH, body) == (409, "identity_revoked")
    (entry, *_) = (await api.ask("GET", "/v1/audit"))["items"]
    assert entry["about"] == f"caller {body['identity']}"


async def test_what_is_listed_is_revoked_by_its_whole_name_too_and_by_no_other(api: Caller):
    own = certificate("acme-tls", "a")
    planes.certificates[:] = [own]
    await activate(api, held(partner("acme", "acme-tls", callers=(SIGNER,))))
    (name,) = await listed(api, "caller")
    for other in (f"brook/{own.fingerprint}", f"acme-tls/{name}", f"key {name}"):
        body = {"identity": other, "reason": "r"}
        assert await api.refused("POST", PATH, body) == (404, "identity_unknown")
    done = await api.ask("POST", PATH, {"identity": name, "reason": "r"})
    assert (done["callers"], done["certificates"]) == ([name], [])
    done = await api.ask("POST", PATH, {"identity": own.name, "reason": "r"})
    assert (done["callers"], done["certificates"]) == ([], [own.name])
    reply = await api.call("POST", PATH, {"key": own.name, "reason": "r"})
    assert "by --identity" in json.loads(reply.body)["fix"]


async def in_use(api: Caller) -> list[tuple[str, str]]:
    """Whose the keys are that letters are signed with, and which."""
    return [(each.connector, each.name) for each in (await api.means.registry.policy_now()).keys]


async def test_a_subscription_that_another_partner_gets_is_signed_with_a_key_they_alone_know(
    api: Caller,
):
    theirs = held(partner("acme"), partner("brook"))
    given = replace(
        theirs, subscriptions=tuple(replace(e, connector="brook") for e in theirs.subscriptions)
    )
    first = (await activate(api, theirs))["secrets"]["acme-orders"]
    ((whose, old),) = await in_use(api)
    assert whose == "acme"
    second = (await activate(api, given))["secrets"]["acme-orders"]
    assert second != first
    ((whose, new),) = await in_use(api)
    assert (whose, new != old) == ("brook", True)
    listed = {e["name"]: e["connector"] for e in (await api.ask("GET", "/v1/keys"))["items"]}
    assert listed == {old: "acme", new: "brook"}
    # Back with the first partner, it is signed with what that partner has.
    assert (await activate(api, theirs))["secrets"] == {}
    assert await in_use(api) == [("acme", old)]


async def test_the_key_of_a_subscription_that_is_gone_is_revoked_with_its_partner(api: Caller):
    theirs = held(partner("acme"), partner("brook"))
    await activate(api, theirs)
    ((_, old),) = await in_use(api)
    assert (await propose(api, replace(theirs, subscriptions=())))[1]["active"]
    assert await in_use(api) == []
    assert (await revoke(api, "brook"))["keys"] == []
    assert (await revoke(api))["keys"] == [old]
    await activate(api, theirs)
    (back,) = (await api.means.registry.policy_now()).keys
    assert (back.name, back.sealed) == (old, None)
