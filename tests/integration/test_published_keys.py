"""Partners verify what they get with the page of public keys, and with nothing else of ours."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ED25519

from dispatcher.model.keys import SIGNATURE_TAG, SigningProfile
from dispatcher.partner.published import PATH
from tests.support.fetching import Got, fetching
from tests.support.hostile import Request
from tests.support.waiting import until


@dataclass
class Message:
    """A request as the verifier of RFC 9421 takes it."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass
class Answered:
    """An answer as that verifier takes it."""

    status_code: int
    url: str
    headers: dict[str, str]


class Published(HTTPSignatureKeyResolver):
    """Knows the keys of the page, by their kid."""

    def __init__(self, page: Got) -> None:
        self._keys = {each["kid"]: public_of(each) for each in page.json["keys"]}

    def resolve_public_key(self, key_id: str) -> Any:
        return self._keys[key_id]


def headers_of(request: Request) -> dict[str, str]:
    lines = request.head.decode("ascii").strip().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def public_of(jwk: dict[str, str]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(jwk["x"] + "="))


def verify(page: Got, message: Message | Answered) -> Any:
    verifier = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=Published(page))
    (found,) = verifier.verify(message, expect_tag=SIGNATURE_TAG)
    return found


async def test_a_letter_and_what_is_fetched_for_it_verify_with_the_page(
    tmp_path: Path, sqlite_url: str
):
    profile = SigningProfile.RFC9421_ED25519
    async with fetching(tmp_path, sqlite_url, signing=profile) as world:
        letter = await world.letter()
        page = await world.get(PATH)
        request = world.inbox.requests[-1]
        url = f"http://127.0.0.1:{world.inbox.port}/in"
        verify(page, Message("POST", url, headers_of(request)))
        got = await world.fetch(letter)
        assert got.status == 200
        found = verify(page, Answered(got.status, "", got.headers))
        assert '"@status"' in found.covered_components


async def test_a_v1a_letter_verifies_with_the_page(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url, signing=SigningProfile.V1A) as world:
        await world.letter()
        (jwk,) = (await world.get(PATH)).json["keys"]
        request = world.inbox.requests[-1]
        headers = headers_of(request)
        version, _, signature = headers["webhook-signature"].partition(",")
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}."
        assert "v1a" == version
        public_of(jwk).verify(base64.b64decode(signature), signed.encode() + request.body)


async def test_the_page_is_for_everybody_and_tells_nobodys_name(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url, signing=SigningProfile.V1_V1A) as world:
        page = await world.get(PATH)
        assert (page.status, page.headers["content-type"]) == (200, "application/jwk-set+json")
        assert "public, max-age=300" == page.headers["cache-control"]
        assert not any(name in page.body for name in (b"acme", b"orders", b"north"))
        assert 1 == len(page.json["keys"])
        for odd in (PATH + "?x=1", PATH + "/", "/.well-known/"):
            assert 404 == (await world.get(odd)).status
        assert 404 == (await world.get(PATH, method="POST")).status


async def test_once_policy_cannot_be_trusted_the_page_is_not_shown(tmp_path: Path, sqlite_url: str):
    async with fetching(tmp_path, sqlite_url, signing=SigningProfile.V1A, lease=2.0) as world:
        policy = world.worker.policy

        async def unreachable(*_: object, **__: object) -> None:
            raise OSError

        policy._read = unreachable  # type: ignore[method-assign]
        await until(lambda: policy.lease_ends < world.kit.clock.boot())
        assert 503 == (await world.get(PATH)).status
