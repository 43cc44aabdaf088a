"""What a worker really sends is taken by verifiers in Node that we did not write, and nothing else.

A flipped byte, an altered header, an old timestamp and a swapped id are refused by each of them.
"""

import time
from pathlib import Path
from typing import Any

import pytest

from dispatcher.model.keys import SigningProfile
from dispatcher.model.registry import Style
from dispatcher.partner.published import PATH
from dispatcher.stages.sealing.standard_webhooks import format_secret
from tests.support.fetching import World, fetching
from tests.support.hostile import Request
from tests.support.node import judge

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

VERIFIERS = {
    SigningProfile.V1: ("standardwebhooks", "svix"),
    SigningProfile.V1A: ("v1a",),
    SigningProfile.V1_V1A: ("standardwebhooks", "svix", "v1a"),
    SigningProfile.RFC9421_ED25519: ("rfc9421",),
    SigningProfile.RFC9421_HMAC: ("rfc9421",),
}


def headers_of(request: Request) -> dict[str, str]:
    lines = request.head.decode("ascii").strip().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def bent(sent: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The same letter as somebody on the way might have changed it, by what was done to it."""
    headers, body, now = sent["headers"], sent["body"], sent["now"]
    stamp = str(int(headers["webhook-timestamp"]) + 1)
    return {
        "flipped byte": {**sent, "body": body[:-1] + chr(ord(body[-1]) ^ 1)},
        "altered header": {**sent, "headers": {**headers, "webhook-timestamp": stamp}},
        "swapped id": {**sent, "headers": {**headers, "webhook-id": "msg_another"}},
        "old": {**sent, "now": now + 3600},
    }


async def sent_by(world: World, profile: SigningProfile) -> dict[str, Any]:
    """Send a letter, and give it with what the partner verifies it with."""
    await world.letter()
    request = world.inbox.requests[-1]
    shared = profile is not SigningProfile.V1A and profile is not SigningProfile.RFC9421_ED25519
    return {
        "url": f"http://127.0.0.1:{world.inbox.port}/in",
        "headers": headers_of(request),
        "body": request.body.decode(),
        "now": int(time.time()),
        "secrets": [format_secret(await world.secret())] if shared else [],
        "public_keys": (await world.get(PATH)).json["keys"],
    }


@pytest.mark.parametrize("profile", list(SigningProfile))
async def test_a_letter_on_the_wire_is_genuine_and_a_changed_one_is_not(
    tmp_path: Path, sqlite_url: str, profile: SigningProfile
):
    async with fetching(tmp_path, sqlite_url, style=Style.FULL, signing=profile) as world:
        sent = await sent_by(world, profile)
    for verifier in VERIFIERS[profile]:
        letters = {"as sent": sent, **bent(sent)}
        answers = judge([each | {"profile": verifier} for each in letters.values()])
        verdicts = {name: answer["verified"] for name, answer in zip(letters, answers, strict=True)}
        assert verdicts == {name: name == "as sent" for name in letters}
