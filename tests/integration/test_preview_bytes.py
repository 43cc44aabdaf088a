"""What is shown of a letter is what a partner receives of it, byte for byte, headers included.

A real worker, a real database, a real inbox; the preview is asked for afterwards, with the same id
and instant.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from dispatcher.app.means import means_of
from dispatcher.control.previews import PreviewControl
from dispatcher.control.rehearsing import Written, write_letter
from dispatcher.model.classification import Category, Sensitivity
from dispatcher.model.keys import KeyKind, SigningKey
from dispatcher.model.paper import Agreement, LegalBasis, Purpose
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.registry import Encryption, OwnershipProof, Registry, Style, WireFormat
from dispatcher.model.token import TokenKey, write_value
from dispatcher.producer import enqueue
from dispatcher.stages.gates.rehearsal import rehearse
from dispatcher.stages.sealing.standard_webhooks import fingerprint
from dispatcher.store.vault_tokens import VaultStore
from dispatcher.vault.tokens import Recipient
from tests.support.hostile import Receiver, Request, answers, receiver
from tests.support.letters import rows
from tests.support.opening import header_of, open_jwe
from tests.support.proving import SECRET, TOKEN_SECRET, Lab, a_lab, registry_at
from tests.support.waiting import until
from tests.unit.stages import builders

NAME = "acme-orders"
PAYLOAD = {
    "id": "o-1",
    "total": 2**70,
    "customer": {"name": "Åsa", "email": "asa@people.example", "note": "n"},
    "lines": [{"sku": "a", "qty": 1}, {"sku": "b"}],
}
GRANTS = ("$.id", "$.total", "$.customer.name", "$.lines[*].sku")
TOKENS = (
    "$.id siv(order)",
    "$.customer.name mask(first=1)",
    "$.customer.email pseudonym(customer)",
    "$.lines[*].sku vault(sku)",
    "@subject",
)
PAIR = ECKey.generate_key("P-256")
JWK = json.dumps(PAIR.as_dict(private=False))
TERMS: dict[str, dict[str, Any]] = {
    "full": {"scope": {"order.paid": GRANTS}, "headers": {"X-Account": "n-42", "X-Zone": "b c"}},
    "thin": {"scope": {"order.paid": (*GRANTS, "@subject")}, "style": Style.THIN},
    "cloudevents": {"scope": {"order.paid": GRANTS}, "format": WireFormat.CLOUDEVENTS},
    "tokens": {"scope": {"order.paid": TOKENS}},
    "nothing": {"scope": {"order.paid": ()}},
}


class Exact:
    """The tokens of a worker: those of its recipient, and those that the vault has minted."""

    def __init__(self, recipient: Recipient, minted: dict[tuple[str, str], str]) -> None:
        self.pseudonym, self.siv = recipient.pseudonym, recipient.siv
        self.encrypt, self.ticket = recipient.encrypt, recipient.ticket
        self._blind, self._minted = recipient.blind, minted

    def vault(self, domain: str, text: str) -> str | None:
        return self._minted.get((domain, self._blind(domain, text).hex()))


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of each engine in turn."""
    found: str = request.getfixturevalue(request.param)
    return found


def registry_of(partner: Receiver, terms: dict[str, Any]) -> Registry:
    held = registry_at(partner.url(target="/in?x=1"), ownership_proof=OwnershipProof.WAIVED)
    (connector,), (subscription,) = held.connectors, held.subscriptions
    basis = LegalBasis.CONTRACT
    purpose = Purpose(name="fulfilment", categories=tuple(Category), legal_basis=basis)
    connector = replace(
        connector,
        agreement=Agreement(reference="A-1", until=builders.FAR),
        clearance=Sensitivity.CONFIDENTIAL,
        purposes=(purpose,),
        keys=(PartnerKey(kid="k1", jwk=JWK),),
    )
    return replace(
        held,
        connectors=(connector,),
        subscriptions=(replace(subscription, **terms),),
    )


async def delivered(lab: Lab, partner: Receiver, terms: dict[str, Any]) -> Request:
    """Have one event delivered, and give the request as it was received."""
    await lab.activate(registry_of(partner, terms))
    async with lab.house.outbox_database.begin() as connection:
        await enqueue(connection, "order.paid", PAYLOAD, tenant="north", subjects=["user-7"])
    async with lab.worker():
        await until(lambda: partner.requests)
    (request,) = partner.requests
    return request


def instant_of(request: Request) -> int:
    (line,) = [e for e in request.head.split(b"\r\n") if e.startswith(b"webhook-timestamp: ")]
    return int(line.partition(b": ")[2])


async def rewritten(lab: Lab, control: PreviewControl, instant: int) -> bytes:
    """Write the letter of the one delivery anew, as its preview does before it hides a thing."""
    policy = await control.policy([NAME], None)
    (row,) = await rows(lab.house.outbox_database, "SELECT id FROM {deliveries}")
    case = await control.filed(row["id"], NAME, None)
    assert case.filed is not None
    assert case.scope is not None
    made = rehearse(case.event, NAME, case.filed.webhook_id, case.scope, policy.snapshot)
    assert made.admitted is not None
    keys = (SigningKey(fingerprint(KeyKind.HMAC, SECRET), SECRET),)
    recipient = lab.house.tokens.recipient("north", TokenKey("acme", 1, TOKEN_SECRET))
    skus = [("sku", recipient.blind("sku", write_value(each)).hex()) for each in ("a", "b")]
    minted = await VaultStore(lab.house.outbox_database).known("acme", "north", skus)
    written = write_letter(made.admitted, Exact(recipient, minted), keys, instant)
    assert isinstance(written, Written)
    return written.request()


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
async def test_a_preview_is_byte_for_byte_what_the_partner_received(
    tmp_path: Path, database_url: str, terms: dict[str, Any]
) -> None:
    async with receiver(answers(200)) as partner, a_lab(tmp_path, database_url, partner) as lab:
        request = await delivered(lab, partner, terms)
        instant = instant_of(request)
        means = replace(means_of(lab.house), wall_us=lambda: instant * 1_000_000)
        control = PreviewControl.over(means)
        assert await rewritten(lab, control, instant) == request.head + request.body

        # What is shown is that, but for the signature and the ticket.
        policy = await control.policy([NAME], None)
        (row,) = await rows(lab.house.outbox_database, "SELECT id FROM {deliveries}")
        case = await control.filed(row["id"], NAME, None)
        shown = await control.preview(NAME, case, policy, is_blind=False)
        letter = shown.letter
        assert letter is not None
        assert shown.refusals == ()
        lines = request.head.decode().split("\r\n")[:-2]
        told = [letter.line, *(f"{name}: {value}" for name, value in letter.headers)]
        assert len(told) == len(lines)
        differing = [each for each in zip(told, lines, strict=True) if each[0] != each[1]]
        (signature,) = differing
        name = fingerprint(KeyKind.HMAC, SECRET)
        made = f"webhook-signature: (made with key {name} when it is sent)"
        assert signature[0] == made
        ticket = json.loads(request.body).get("ticket", "")
        hidden = ticket[:4] + "x" * (len(ticket) - 4)
        assert letter.body == request.body.replace(ticket.encode(), hidden.encode())
        assert len(partner.requests) == 1


async def test_what_is_encrypted_is_encrypted_anew_and_all_else_is_the_same(
    tmp_path: Path, database_url: str
) -> None:
    terms = {"scope": {"order.paid": ("$.id encrypt(k1)", "$.total")}}
    async with receiver(answers(200)) as partner, a_lab(tmp_path, database_url, partner) as lab:
        request = await delivered(lab, partner, terms)
        control = PreviewControl.over(means_of(lab.house))
        policy = await control.policy([NAME], None)
        (row,) = await rows(lab.house.outbox_database, "SELECT id FROM {deliveries}")
        case = await control.filed(row["id"], NAME, None)
        letter = (await control.preview(NAME, case, policy, is_blind=True)).letter
        assert letter is not None
        assert letter.body != request.body
        assert len(letter.body) == len(request.body)
        jwe = re.compile(rb"eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){4}")
        assert jwe.sub(b"", letter.body) == jwe.sub(b"", request.body) != request.body


async def test_a_letter_encrypted_whole_is_shown_as_it_leaves_with_what_the_partner_reads(
    tmp_path: Path, database_url: str
) -> None:
    terms = {"scope": {"order.paid": GRANTS}, "encryption": Encryption.JWE}
    async with receiver(answers(200)) as partner, a_lab(tmp_path, database_url, partner) as lab:
        request = await delivered(lab, partner, terms)
        instant = instant_of(request)
        means = replace(means_of(lab.house), wall_us=lambda: instant * 1_000_000)
        control = PreviewControl.over(means)
        policy = await control.policy([NAME], None)
        (row,) = await rows(lab.house.outbox_database, "SELECT id FROM {deliveries}")
        case = await control.filed(row["id"], NAME, None)
        letter = (await control.preview(NAME, case, policy, is_blind=False)).letter
        assert letter is not None
        private = PAIR.as_dict(private=True)
        plaintexts = {letter.plaintext, open_jwe(letter.body, private)}
        assert {open_jwe(request.body, private)} == plaintexts
        shown, sent = header_of(letter.body), header_of(request.body)
        assert shown.pop("epk") != sent.pop("epk")
        assert shown == sent
        lines = request.head.decode().split("\r\n")[:-2]
        told = [letter.line, *(f"{name}: {value}" for name, value in letter.headers)]
        differing = [each for each in zip(told, lines, strict=True) if each[0] != each[1]]
        assert ["webhook-signature"] == [line.partition(":")[0] for line, _ in differing]
