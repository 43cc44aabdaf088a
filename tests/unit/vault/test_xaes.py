"""XAES-256-GCM against the published vectors of C2SP."""

import hashlib
import pickle

import pytest
from cryptography.exceptions import InvalidTag

from dispatcher.vault.xaes import Xaes

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
PLAINTEXT = b"XAES-256-GCM"
ACCUMULATED = "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"


@pytest.mark.parametrize(
    ("key", "aad", "expected"),
    [
        (b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (
            b"\x03" * 32,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        ),
    ],
)
def test_the_published_vectors_come_out(key: bytes, aad: bytes, expected: str) -> None:
    sealed = Xaes(key).seal(NONCE, PLAINTEXT, aad)
    assert sealed.hex() == expected
    assert Xaes(key).open(NONCE, sealed, aad) == PLAINTEXT


def test_ten_thousand_random_messages_hash_to_the_published_sum() -> None:
    stream = hashlib.shake_128().digest(10_000 * (32 + 24 + 2 + 2 * 255))
    assert stream.hex().startswith("7f9c2ba4e88f827d616045507605853e")
    found, at = hashlib.shake_128(), 0

    def take(length: int) -> bytes:
        nonlocal at
        at += length
        return stream[at - length : at]

    for _ in range(10_000):
        key, nonce = take(32), take(24)
        plaintext = take(take(1)[0])
        aad = take(take(1)[0])
        found.update(Xaes(key).seal(nonce, plaintext, aad))
    assert found.hexdigest(32) == ACCUMULATED


def test_anything_altered_does_not_open() -> None:
    cipher = Xaes(b"\x01" * 32)
    sealed = cipher.seal(NONCE, PLAINTEXT, b"place")
    altered = bytes([sealed[0] ^ 1]) + sealed[1:]
    other = NONCE[:-1] + b"Y"
    for nonce, text, aad in (
        (NONCE, altered, b"place"),
        (NONCE, sealed[:-1], b"place"),
        (NONCE, sealed, b"other"),
        (other, sealed, b"place"),
        (b"Z" + NONCE[1:], sealed, b"place"),
    ):
        with pytest.raises(InvalidTag):
            cipher.open(nonce, text, aad)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Xaes(bytes(length))


@pytest.mark.parametrize("length", [0, 12, 23, 25])
def test_a_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        Xaes(bytes(32)).seal(bytes(length), b"", b"")


def test_a_key_shows_itself_to_nobody() -> None:
    assert repr(Xaes(b"\x41" * 32)) == "Xaes(<key>)"
    with pytest.raises(TypeError):
        pickle.dumps(Xaes(bytes(32)))
