"""The second pair of eyes: whoever approves must be another than whoever proposed.

Asked by everything that takes two people.
"""

from dispatcher.model.errors import ApprovalRequired, Forbidden
from dispatcher.model.people import Principal


def require_another(by: Principal, author: str, what: str, *, independent: bool) -> None:
    """Raise `Forbidden` where an approval by this person would be no second opinion.

    `self_approval`, or `approver_not_independent` where that is asked and the author could have
    used their token.
    """
    if by.name == author:
        raise Forbidden(
            f"{by.name} proposed {what}, so somebody else must approve it",
            where=what,
            fix="ask a colleague with the role approver",
            code="self_approval",
        )
    if independent and author in by.vouched_by:
        raise Forbidden(
            f"{author}, who proposed {what}, added {by.name} or issued their token, so nobody can "
            "tell the two apart",
            where=what,
            fix="ask somebody whom another admin added, or have another person propose it",
            code="approver_not_independent",
        )


def nobody_knows_who() -> ApprovalRequired:
    """Give the refusal of what two people must do, to somebody who cannot be told from others."""
    return ApprovalRequired(
        "this lets more flow, so one person must propose it and another approve it",
        where="DISPATCHER_TOKEN",
        fix="set it to the token of a person with the role platform ('dispatcher principal add' "
        "makes one), and apply again; on a laptop, 'dispatcher init --dev' lets one person do both",
    )
