"""Which client certificate is shown, and where each is in its life."""

from dispatcher.model.identity import ClientCertificate, choose_shown, next_turn_us, state_of


def certificate(name: str, begins: int, ends: int, identity: str = "acme") -> ClientCertificate:
    return ClientCertificate(
        identity=identity, fingerprint=name, not_before_us=begins, not_after_us=ends
    )


OLD, NEW = certificate("old", 10, 100), certificate("new", 50, 200)
BOTH = (NEW, OLD)


def shown(now: int, *revoked: str) -> str | None:
    found = choose_shown(BOTH, revoked, now).get("acme")
    return found.fingerprint if found else None


def test_the_newest_valid_certificate_is_shown():
    moments = (9, 10, 49, 50, 100, 199, 200)
    assert [shown(now) for now in moments] == [None, "old", "old", "new", "new", "new", None]


def test_a_revoked_certificate_is_never_shown():
    assert shown(60, "new") == "old"
    assert shown(60, "new", "old") is None
    assert shown(20, "old") is None


def test_each_identity_is_chosen_for_by_itself():
    other = certificate("zzz", 60, 300, identity="other")
    found = choose_shown((*BOTH, other), (), 70)
    assert {name: each.fingerprint for name, each in found.items()} == {
        "acme": "new",
        "other": "zzz",
    }


def test_a_state_follows_from_the_times_and_from_what_was_revoked():
    def states(now: int, *revoked: str) -> list[str]:
        chosen = choose_shown(BOTH, revoked, now).values()
        return [state_of(each, chosen, revoked, now).value for each in (OLD, NEW)]

    assert states(5) == ["pending", "pending"]
    assert states(20) == ["active", "pending"]
    assert states(60) == ["retiring", "active"]
    assert states(150) == ["retired", "active"]
    assert states(60, "new") == ["active", "revoked"]


def test_the_next_turn_is_the_nearest_beginning_or_end_to_come():
    assert [next_turn_us(BOTH, now) for now in (0, 10, 60, 200)] == [10, 50, 100, None]
