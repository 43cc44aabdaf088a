"""Codes of texts under a key that is taken in once: those of Python's own HMAC."""

import hmac
import pickle

import pytest

from dispatcher.model.mac import BLOCK_BYTES, Mac


@pytest.mark.parametrize("key", [b"", b"k" * 32, bytes(range(BLOCK_BYTES))])
@pytest.mark.parametrize("text", [b"", b"a", b"x" * 55, b"x" * 64, b"x" * 1000])
def test_a_code_is_that_of_the_standard_also_the_second_time(key, text):
    mac = Mac(key)
    assert mac.code(text) == mac.code(text) == hmac.digest(key, text, "sha256")


def test_a_code_of_rfc_4231():
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert Mac(b"Jefe").code(b"what do ya want for nothing?").hex() == expected


def test_a_key_longer_than_a_block_is_refused():
    with pytest.raises(ValueError, match="no longer than a block"):
        Mac(b"k" * (BLOCK_BYTES + 1))


def test_a_key_shows_itself_nowhere():
    mac = Mac(b"canary" * 5)
    assert repr(mac) == "Mac()"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(mac)
