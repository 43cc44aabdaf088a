"""How keys take turns, by their times alone."""

from dispatcher.model.keys import KeyKind, KeyTimes, SigningProfile
from dispatcher.stages.sealing.rotation import (
    ahead_seconds,
    end_early,
    hand_over,
    live,
    next_turn_us,
    provable,
    take_back,
    unsigned,
)
from tests.unit.stages import builders

OLD, ACTIVE = KeyTimes(created_us=1, until_us=500), KeyTimes(created_us=10)
PENDING, REVOKED = KeyTimes(created_us=90, active_us=900), KeyTimes(created_us=2, revoked_us=3)
KEYS = {"old": OLD, "active": ACTIVE, "pending": PENDING, "revoked": REVOKED}


def test_what_signs_or_will_is_live():
    assert live(KEYS, 100) == ["old", "active", "pending"]
    assert live(KEYS, 500) == ["active", "pending"]


def test_whatever_signs_ends_with_the_overlap_and_none_is_given_longer_than_it_had():
    ends = hand_over(KEYS, 100, 700)
    assert {name: times.until_us for name, times in ends.items()} == {"old": 500, "active": 700}
    assert {each.until_us for each in hand_over(KEYS, 100, 100).values()} == {100}


def test_where_the_next_key_will_not_come_the_newest_that_signs_goes_on():
    ending = {"old": OLD, "newer": KeyTimes(created_us=10, until_us=950)}
    assert take_back(ending, 100) == {"newer": KeyTimes(created_us=10)}
    assert take_back({"old": OLD, "active": ACTIVE}, 100) == {}
    assert take_back(ending, 999) == {}


def test_what_others_still_sign_beside_may_be_proven():
    assert provable(KEYS, 100) == "active"
    assert provable(KEYS, 500) is None  # it signs alone by now
    assert provable({"old": OLD, "pending": PENDING}, 100) is None  # it does not sign yet
    assert provable({"active": ACTIVE, "revoked": REVOKED}, 100) is None


def test_what_signs_beside_a_proven_key_ends_with_the_second_and_nothing_else_does():
    second = 1_000_000
    keys = {
        "older": KeyTimes(created_us=1, until_us=8 * second),
        "old": KeyTimes(created_us=2, until_us=9 * second),
        "active": ACTIVE,
        "pending": KeyTimes(created_us=3, active_us=9 * second),
    }
    ended = end_early(keys, "active", 5 * second + 7)
    assert {name: times.until_us for name, times in ended.items()} == {
        "older": 5 * second,
        "old": 5 * second,
    }
    assert end_early(keys, "old", 5 * second) == {}
    revoked = keys | {"active": KeyTimes(created_us=10, revoked_us=4)}
    assert end_early(revoked, "active", 5 * second) == {}


def test_a_public_key_is_published_a_day_ahead_unless_nobody_signs_until_then():
    assert ahead_seconds(KeyKind.ED25519, is_first=False) == 86_400
    assert ahead_seconds(KeyKind.ED25519, is_first=True) == 0
    assert ahead_seconds(KeyKind.HMAC, is_first=False) == 0


def test_a_subscription_needs_a_key_of_every_kind_it_is_signed_with():
    held = builders.registry(
        subscriptions=(
            builders.subscription("one"),
            builders.subscription("both", signing=SigningProfile.V1_V1A),
            builders.subscription("late"),
        )
    )
    keys = [
        ("one", KeyKind.HMAC, ACTIVE),
        ("both", KeyKind.HMAC, ACTIVE),
        ("late", KeyKind.HMAC, PENDING),
    ]
    assert unsigned(held, keys, 100) == {"both", "late"}
    assert unsigned(held, keys, 900) == {"both"}
    assert unsigned(held, [*keys, ("both", KeyKind.ED25519, OLD)], 100) == {"late"}


def test_the_next_turn_is_the_first_begin_or_end_still_to_come():
    assert next_turn_us(KEYS.values(), 100) == 500
    assert next_turn_us(KEYS.values(), 500) == 900
    assert next_turn_us(KEYS.values(), 900) is None
