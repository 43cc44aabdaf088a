"""Who may do what: the whole table, written out."""

import pytest

from dispatcher.control.people import require
from dispatcher.model.errors import Forbidden
from dispatcher.model.people import Principal, PrincipalKind, Right, Role

HUMAN, SERVICE, LOCAL = PrincipalKind
MAY: dict[Role, set[Right]] = {
    Role.PRODUCER: {Right.ENQUEUE},
    Role.PLATFORM: {
        Right.READ,
        Right.PROPOSE,
        Right.REJECT,
        Right.HOLD,
        Right.REPLAY,
        Right.PROVE,
        Right.KEYS,
    },
    Role.APPROVER: {Right.READ, Right.APPROVE, Right.REJECT, Right.HOLD, Right.INSPECT},
    Role.SRE: {
        Right.READ,
        Right.HOLD,
        Right.RELEASE,
        Right.REPLAY,
        Right.PROVE,
        Right.KEYS,
        Right.INSPECT,
    },
    Role.PRIVACY: {
        Right.READ,
        Right.APPROVE,
        Right.REJECT,
        Right.HOLD,
        Right.INSPECT,
        Right.SEE_PAYLOADS,
        Right.DETOKENISE,
        Right.ERASE,
    },
    Role.READER: {Right.READ, Right.INSPECT},
    Role.ADMIN: {Right.READ, Right.PEOPLE, Right.INSPECT},
}


def may(principal: Principal, right: Right) -> bool:
    try:
        require(principal, right)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("right", list(Right))
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", list(PrincipalKind))
def test_each_role_may_do_exactly_what_the_table_says(
    kind: PrincipalKind, role: Role, right: Right
) -> None:
    principal = Principal(name="ada", kind=kind, roles=frozenset({role}))
    is_allowed = right in MAY[role] and (right is not Right.APPROVE or kind is HUMAN)
    assert may(principal, right) == is_allowed


def test_nobody_without_a_role_may_do_anything() -> None:
    nobody = Principal(name="eve", kind=HUMAN, roles=frozenset())
    assert not any(may(nobody, right) for right in Right)


def test_a_service_that_would_approve_is_told_so_by_a_code_of_its_own() -> None:
    bot = Principal(name="bot", kind=SERVICE, roles=frozenset({Role.APPROVER}))
    with pytest.raises(Forbidden) as caught:
        require(bot, Right.APPROVE)
    assert caught.value.reason == "service_cannot_approve"
