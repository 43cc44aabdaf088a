"""The verifiers in Node that judge our deliveries agree with the vectors of receiving."""

from typing import Any

import pytest

from tests.support.node import judge
from tests.support.receiving import vectors_for

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

# What only a look inside the body shows; to whom it was meant, no library can know.
GENUINE_OUTSIDE = {
    "genuine",
    "body_wrong",
    "encryption_wrong",
    "id_mismatch",
    "key_unknown",
    "subscriber_mismatch",
}
GENUINE_INSIDE = {"genuine", "id_mismatch", "subscriber_mismatch"}
# Both packages for v1 read a timestamp with JavaScript's `parseInt`, which forgives what follows.
FORGIVEN = {"timestamp_wrong"}


def verdicts(profile: str, vectors: list[dict[str, Any]]) -> dict[str, bool]:
    """Say of each vector, by its name, whether it was verified."""
    answers = judge([vector | {"profile": profile} for vector in vectors])
    names = [vector["name"] for vector in vectors]
    return {name: answer["verified"] for name, answer in zip(names, answers, strict=True)}


@pytest.mark.parametrize(
    ("profile", "abilities"),
    [
        ("standardwebhooks", ("v1", "jwe", "P-256", "X25519", "RSA")),
        ("svix", ("v1", "jwe", "P-256", "X25519", "RSA")),
        ("v1a", ("v1a", "jwe", "P-256")),
        ("rfc9421", ("rfc9421", "jwe", "P-256")),
    ],
)
def test_a_verifier_lets_through_what_is_genuine_and_nothing_else(
    profile: str, abilities: tuple[str, ...]
):
    vectors = [each for each in vectors_for(*abilities) if each["verdict"] not in FORGIVEN]
    expected = {each["name"]: each["verdict"] in GENUINE_OUTSIDE for each in vectors}
    assert len(set(expected.values())) == 2
    assert expected == verdicts(profile, vectors)


def test_jose_opens_what_was_meant_for_the_key_and_nothing_else():
    vectors = [
        each
        for each in vectors_for("v1", "jwe", "P-256", "X25519", "RSA")
        if "jwe" in each["needs"] and each["verdict"] != "signature_wrong"
    ]
    answers = judge([each | {"profile": "jwe"} for each in vectors])
    for vector, answer in zip(vectors, answers, strict=True):
        assert answer["verified"] is (vector["verdict"] in GENUINE_INSIDE), vector["name"]
        if vector["verdict"] == "genuine":
            assert answer["plaintext"] == vector["plaintext"]
    assert sum(vector["verdict"] == "genuine" for vector in vectors) == 4
