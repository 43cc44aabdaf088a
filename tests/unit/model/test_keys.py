"""When a signing key signs."""

import pickle

import pytest

from dispatcher.model.keys import KeyKind, KeyState, KeyTimes, SigningKey, SigningProfile, live_keys


@pytest.mark.parametrize(
    ("times", "now_us", "state"),
    [
        (KeyTimes(created_us=100), 0, KeyState.ACTIVE),  # by a clock that is behind
        (KeyTimes(created_us=100, active_us=200), 199, KeyState.PENDING),
        (KeyTimes(created_us=100, active_us=200), 200, KeyState.ACTIVE),
        (KeyTimes(created_us=100, until_us=300), 299, KeyState.RETIRING),
        (KeyTimes(created_us=100, until_us=300), 300, KeyState.RETIRED),
        (KeyTimes(created_us=100, revoked_us=150), 120, KeyState.REVOKED),
        (KeyTimes(created_us=100, until_us=300, revoked_us=150), 120, KeyState.REVOKED),
    ],
)
def test_the_state_of_a_key_follows_from_its_times(times, now_us, state):
    assert times.state(now_us) is state
    assert times.is_signing(now_us) is (state in (KeyState.ACTIVE, KeyState.RETIRING))


def test_only_active_and_retiring_keys_sign_and_their_order_stays():
    keys = [
        SigningKey(str(number), b"s" * 32, times=times)
        for number, times in enumerate(
            (
                KeyTimes(active_us=200),
                KeyTimes(active_us=50),
                KeyTimes(until_us=101),
                KeyTimes(until_us=100),
                KeyTimes(revoked_us=1),
            )
        )
    ]
    assert ["1", "2"] == [key.fingerprint for key in live_keys(keys, SigningProfile.V1, 100)]


def test_where_one_of_two_kinds_has_no_live_key_nothing_signs():
    symmetric = SigningKey("a", b"s" * 32)
    pair = SigningKey("b", b"s" * 32, KeyKind.ED25519, KeyTimes(revoked_us=1))
    assert () == live_keys([symmetric, pair], SigningProfile.V1_V1A, 100)
    assert (symmetric,) == live_keys([symmetric, pair], SigningProfile.V1, 100)


def test_a_profile_says_which_kinds_of_key_it_takes():
    assert (KeyKind.HMAC, KeyKind.ED25519) == SigningProfile.V1_V1A.kinds
    assert all(profile.kinds for profile in SigningProfile)


def test_a_secret_is_in_no_repr_and_no_pickle():
    key = SigningKey("abcd", b"very secret very secret very sec")
    assert "secret" not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)
