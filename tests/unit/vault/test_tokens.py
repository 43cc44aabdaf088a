"""Tokens: the same for the same value of one tenant and partner, unlike everywhere else."""

import base64
import hashlib
import json
import os
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from dispatcher.model.errors import SealBroken
from dispatcher.model.token import TokenKey, TokenKind, canonical, parse_token, write_value
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.tokens import Recipient, TokenKeys

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "tokens.json").read_text())["cases"]
ROOT = bytes(range(32))
KEYS = TokenKeys(Keyring("k1", MappingProxyType({"k1": ROOT})))


def recipient(tenant: str = "north", connector: str = "acme", version: int = 1) -> Recipient:
    secret = hashlib.sha256(f"{connector}/{version}".encode()).digest()
    return KEYS.recipient(tenant, TokenKey(connector, version, secret))


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["pseudonym"])
def test_tokens_are_the_same_on_every_worker_and_in_every_release(case: dict[str, Any]):
    made = recipient(case["tenant"], case["connector"], case["version"])
    domain, text = case["domain"], write_value(case["value"])
    assert canonical(domain, text) == case["canonical"]
    assert made.pseudonym(domain, text) == case["pseudonym"]
    assert made.siv(domain, text) == case["siv"]
    assert made.blind(domain, text).hex() == case["blind"]
    assert made.open_siv(domain, case["siv"]) == case["canonical"]


def test_the_vectors_differ_wherever_anything_does():
    for kind in ("pseudonym", "siv", "blind"):
        assert len({case[kind] for case in VECTORS}) == len(VECTORS)


def test_codes_are_spelled_in_base32():
    for _ in range(200):
        token = recipient().draw()
        code = token.removeprefix("vlt_1_")
        assert len(base64.b32decode(code.upper() + "======")) == 16


def test_vault_tokens_are_chance_alone_and_open_as_what_they_stand_for():
    made = recipient()
    one, two = made.draw(), made.draw()
    assert one != two
    assert parse_token(one).kind is TokenKind.VAULT
    sealed = made.seal("email", one, "s Ann@x.example")
    assert made.open("email", one, sealed) == "sann@x.example"
    assert sealed != made.seal("email", one, "s Ann@x.example")
    assert b"ann" not in sealed.lower()


@pytest.mark.parametrize(
    "other",
    [
        (recipient("south"), "customer"),
        (recipient(connector="bolt"), "customer"),
        (recipient(version=2), "customer"),
        (recipient(), "order"),
        (
            TokenKeys(Keyring("k1", MappingProxyType({"k1": b"x" * 32}))).recipient(
                "north", TokenKey("acme", 1, hashlib.sha256(b"acme/1").digest())
            ),
            "customer",
        ),
        (KEYS.recipient("north", TokenKey("acme", 1, os.urandom(32))), "customer"),
    ],
    ids=["tenant", "connector", "version", "domain", "keyring", "secret"],
)
def test_nobody_else_opens_a_token(other: tuple[Recipient, str]):
    made, (stranger, domain) = recipient(), other
    token = made.siv("customer", "sann")
    assert made.open_siv("customer", token) == "sann"
    assert stranger.open_siv(domain, token) is None
    if token.startswith("siv_1_"):
        assert stranger.open_siv(domain, token.replace("siv_1_", "siv_2_")) is None
    drawn = made.draw()
    sealed = made.seal("customer", drawn, "sann")
    with pytest.raises(SealBroken) as raised:
        stranger.open(domain, drawn, sealed)
    assert "ann" not in str(raised.value)
    with pytest.raises(SealBroken):
        made.open("customer", made.draw(), sealed)


def test_a_token_that_was_touched_does_not_open():
    made = recipient()
    token = made.siv("customer", "sann")
    for at in range(6, len(token)):
        for sign in "a2":
            touched = token[:at] + sign + token[at + 1 :]
            assert touched == token or made.open_siv("customer", touched) is None
    for spoiled in (token.upper(), token[:-1], f"{token}a", "siv_1_", "tok_1_a", "siv_1_8", ""):
        assert made.open_siv("customer", spoiled) is None
    drawn = made.draw()
    sealed = made.seal("customer", drawn, "sann")
    for at in range(len(sealed)):
        with pytest.raises(SealBroken):
            made.open("customer", drawn, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])
        with pytest.raises(SealBroken):
            made.open("customer", drawn, sealed[:at])


def test_no_key_is_shown_or_pickled():
    secret = b"s" * 32
    key = TokenKey("acme", 1, secret)
    for held in (key, KEYS, recipient()):
        assert "ssss" not in repr(held)
        assert str(secret) not in repr(held)
        with pytest.raises(TypeError):
            pickle.dumps(held)
