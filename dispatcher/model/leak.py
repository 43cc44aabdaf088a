"""The leak guard's nouns: what is looked for, what was found, and what is done then.

Written in the registry's policy, judged by `stages.shaping.guard`, shown to people. A finding says
where and how long, and never holds the value, nor anything it could be guessed from.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

from dispatcher.model.classification import Category
from dispatcher.model.paper import STRICT
from dispatcher.model.path import Path


class Detector(StrEnum):
    """What the guard can tell apart. The names are a public contract: add, never rename."""

    CARD = "card"
    IBAN = "iban"
    API_KEY = "api_key"
    PRIVATE_KEY = "private_key"
    JWT = "jwt"
    EMAIL = "email"
    PHONE = "phone"
    US_SSN = "us_ssn"
    UK_NINO = "uk_nino"
    DE_STEUER_ID = "de_steuer_id"
    FR_NIR = "fr_nir"
    NL_BSN = "nl_bsn"
    ES_DNI = "es_dni"
    IT_CODICE_FISCALE = "it_codice_fiscale"
    PL_PESEL = "pl_pesel"

    @property
    def declared_as(self) -> Category | None:
        """The class under which it is no finding, because the field says that it holds one."""
        return _DECLARED_AS.get(self, Category.GOVERNMENT_ID)


_DECLARED_AS: Final[dict[Detector, Category | None]] = {
    Detector.CARD: Category.FINANCIAL,
    Detector.IBAN: Category.FINANCIAL,
    Detector.API_KEY: None,
    Detector.PRIVATE_KEY: None,
    Detector.JWT: None,
    Detector.EMAIL: Category.CONTACT,
    Detector.PHONE: Category.CONTACT,
}


class Confidence(StrEnum):
    """How much speaks for a finding.

    `high`: it says by itself what it is, or a word beside it, or the field's name, does. `low`: the
    digits could be one and add up, as those of many a harmless number do.
    """

    LOW = "low"
    HIGH = "high"


class LeakAction(StrEnum):
    """What is done about a finding, from least to most."""

    ALERT = "alert"
    MASK = "mask"
    PARK = "park"
    BLOCK = "block"

    @property
    def rank(self) -> int:
        """Position in the order."""
        return _ACTIONS.index(self)


_ACTIONS: Final = tuple(LeakAction)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakRule:
    """What is done when a detector finds something of this confidence, at least `count` times.

    `exceptions` are fields in which the rule finds nothing, each an event type, or `*` for all,
    and a path, with one blank between.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    detector: Detector
    action: LeakAction
    confidence: Confidence = Confidence.HIGH
    count: int = 1
    exceptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that looks like a leak: in which field, how long, what is done about it."""

    detector: Detector
    path: Path
    length: int
    action: LeakAction


_ONLY_TOLD: Final = (Detector.EMAIL, Detector.PHONE, Detector.IBAN)

DEFAULT_RULES: Final = (
    *(
        LeakRule(
            detector=each,
            action=LeakAction.ALERT if each in _ONLY_TOLD else LeakAction.PARK,
        )
        for each in Detector
    ),
    LeakRule(detector=Detector.CARD, action=LeakAction.ALERT, confidence=Confidence.LOW),
)
"""What holds for each detector of which a policy says nothing."""


def rules_in_force(rules: tuple[LeakRule, ...]) -> tuple[LeakRule, ...]:
    """Give the policy's rules, and the defaults of the detectors it does not name."""
    named = {rule.detector for rule in rules}
    return rules + tuple(rule for rule in DEFAULT_RULES if rule.detector not in named)
