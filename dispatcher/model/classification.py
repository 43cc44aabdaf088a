"""How sensitive a field is and what kind of thing it says about a person.

The vocabulary follows the OpenAPI extension `x-data-classification`. A field without a class is
withheld; a `secret` or `credential` never leaves, whatever a scope says.
"""

from enum import StrEnum


class Sensitivity(StrEnum):
    """How much harm a leak of the field would do, from least to most."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"

    @property
    def rank(self) -> int:
        """Position in the order, so that a clearance can be compared."""
        return _ORDER.index(self)

    def is_within(self, clearance: "Sensitivity") -> bool:
        """True when a recipient with this clearance may see the field."""
        return self.rank <= clearance.rank


_ORDER = tuple(Sensitivity)


class Category(StrEnum):
    """What the field is about."""

    PII = "pii"
    CONTACT = "contact"
    FINANCIAL = "financial"
    GOVERNMENT_ID = "government-id"
    HEALTH = "health"
    SECRET = "secret"  # noqa: S105 - a category's name
    CREDENTIAL = "credential"
    OTHER = "other"

    @property
    def is_personal(self) -> bool:
        """True for what is about a person, so that an agreement must cover it."""
        return self in _PERSONAL

    @property
    def is_special(self) -> bool:
        """True for what only goes out on an approved assessment, however it is graded."""
        return self in (Category.GOVERNMENT_ID, Category.HEALTH)

    @property
    def is_sendable(self) -> bool:
        """False for what may never be scoped out of the building."""
        return self not in (Category.SECRET, Category.CREDENTIAL)


_PERSONAL = (
    Category.PII,
    Category.CONTACT,
    Category.FINANCIAL,
    Category.GOVERNMENT_ID,
    Category.HEALTH,
)
