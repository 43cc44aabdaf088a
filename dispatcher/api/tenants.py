"""What a token of one tenant may ask for: that tenant, and no other by name.

Used by every noun that keeps to the tenant of a token.
"""

from dispatcher.model.errors import Forbidden
from dispatcher.model.people import Principal


def of_one_tenant(principal: Principal, asked: str | None) -> str | None:
    """Give the tenant to look at: the token's own, else the one asked for, if any.

    Raises `Forbidden` when the token is of one tenant and another is asked for.
    """
    if principal.tenant is not None and asked not in (None, principal.tenant):
        raise other_tenant(principal, "tenant")
    return principal.tenant or asked


def other_tenant(principal: Principal, where: str) -> Forbidden:
    """Give the refusal of what is not the tenant's of this token."""
    return Forbidden(
        f"the token of {principal.name} is for the tenant {principal.tenant} alone",
        where=where,
        fix="ask for that tenant, or use another token",
        code="tenant_scoped",
    )
