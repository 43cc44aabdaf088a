"""What each detector looks for, and what must speak for it before it is believed.

Called by `guard`. A screen is one expression of google-re2 over everything that is looked for: it
takes one look, in linear time, at all texts of a letter, and as a rule that is all. Only what
passed it is looked at text by text. Base64 and other codes are not opened; neither is what a field
holds in encrypted form.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from dispatcher.model.classification import Category
from dispatcher.model.leak import Confidence, Detector
from dispatcher.model.path import Path
from dispatcher.stages.shaping import numbers
from dispatcher.stages.shaping.checksums import IBAN_LENGTHS, ISSUER_SIGNS, card_lengths
from dispatcher.stages.shaping.folding import UNSEEN

try:
    import re2
except ModuleNotFoundError:  # the base package, where a product's own tests run
    re2 = None

IS_INSTALLED: Final = re2 is not None
"""False where nothing can be looked for; whoever asks for it nevertheless meets an error."""

_BEFORE: Final = 48
_AFTER: Final = 24
"""How far from a number a word may stand to speak for it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a text where a detector found something."""

    detector: Detector
    start: int
    end: int
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Hints:
    """What a field's name says of numbers in it."""

    detectors: frozenset[Detector]
    is_reference: bool


def _compile(pattern: bytes, *, is_screen: bool = False) -> Any:
    if not IS_INSTALLED:
        return None
    return re2.compile(pattern, _options(is_screen=is_screen))


def _options(*, is_screen: bool) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = is_screen
    return options


_START: Final = rb"(?:^|[^0-9A-Za-z])"
_KEYS: Final = (
    rb"A(?:KI|SI|BI|CC)A[A-Z2-7]{16}",  # AWS
    rb"[sr]k_(?:live|test)_[0-9A-Za-z]{16,}",  # Stripe
    rb"gh[oprsu]_[0-9A-Za-z]{36,}|github_pat_\w{40,}",
    rb"glpat-[\w\-]{20,}",
    rb"xox[abeoprs]-[0-9A-Za-z\-]{10,}",  # Slack
    rb"AIza[\w\-]{35}|ya29\.[\w\-]{20,}|GOCSPX-[\w\-]{28}",  # Google
    rb"wh(?:sec|sk)_[0-9A-Za-z+/=]{24,}",  # Standard Webhooks
    rb"SG\.[\w\-]{22}\.[\w\-]{43}",  # SendGrid
    rb"sk-[0-9A-Za-z]{32,}|sk-(?:proj|ant|svcacct|admin)[0-9A-Za-z]*-[\w\-]{20,}",
    rb"npm_[0-9A-Za-z]{36}|pypi-AgE[\w\-]{20,}",
    rb"shp(?:at|ca|pa|ss)_[0-9a-f]{32}",  # Shopify
    rb"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
    rb"hf_[0-9A-Za-z]{34}",
    rb"sq0(?:atp|csp)-[\w\-]{22,}",  # Square
    rb"dapi[0-9a-f]{32}",  # Databricks
    rb"hv[bs]\.[\w\-]{24,}",  # Vault
    rb"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    rb"dsp_[0-9a-f]{12}_[0-9a-f]{64}",  # our own
)
_KEY: Final = _START + rb"(" + rb"|".join(_KEYS) + rb")"
_PEM: Final = rb"-----BEGIN (?:[0-9A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
_JWT: Final = rb"(?:^|[^\w\-])(eyJ[\w\-]+\.eyJ[\w\-]+\.[\w\-]*)"
_EMAIL: Final = (
    rb"(?i)([0-9a-z](?:[0-9a-z._%+'\-]*[0-9a-z_+\-])?(?:@|%40)"
    rb"(?:[0-9a-z](?:[0-9a-z\-]*[0-9a-z])?\.)+(xn--[0-9a-z\-]+|[a-z]{2,24}))(?:[^0-9a-z]|$)"
)
_FILE_ENDINGS: Final = frozenset(
    b"css gif htm html ico jpeg jpg js json md mp4 pdf png svg ts tsx txt webp xml yaml yml".split()
)


def _card_in_one() -> bytes:
    """Match digits that are as many as those of a card that begins like them."""
    cards = (
        rf"{head}\d{{{length - len(head)}}}"
        for head, lengths in card_lengths().items()
        for length in sorted(lengths)
    )
    return f"(?:{'|'.join(cards)})(?:\\D|$)".encode()


def _card_in_groups() -> bytes:
    """Match twelve digits or more with something between them, wherever that is."""
    between = r"[\s.\-]{1,2}"
    groups = (rf"\d{{{at}}}{between}(?:\d[\s.\-]{{0,2}}){{{11 - at}}}" for at in range(11))
    return rf"[{ISSUER_SIGNS}](?:{'|'.join(groups)}|\d{{11,17}}{between}\d)".encode()


_SCREENS: Final[dict[Detector, bytes]] = {
    Detector.CARD: _START + b"(?:" + _card_in_one() + b"|" + _card_in_groups() + b")",
    Detector.IBAN: rb"(?i:(?:^|[^0-9a-z])(?:"
    + "|".join(IBAN_LENGTHS).encode()
    + rb")\d{2}(?:[\s.\-]?[0-9a-z]){11})",
    Detector.API_KEY: _START
    + rb"(?:A(?:KI|SI|BI|CC)A[A-Z2-7]{4}|[sr]k_(?:live|test)_|gh[oprsu]_\w{4}|github_pat_|glpat-"
    rb"|xox[abeoprs]-|AIza[\w\-]{4}|ya29\.|GOCSPX-|wh(?:sec|sk)_|SG\.[\w\-]{4}|sk-[\w\-]{20}|npm_"
    rb"|pypi-AgE|shp(?:at|ca|pa|ss)_|do[opr]_v1_|hf_\w{4}|sq0(?:atp|csp)-|dapi[0-9a-f]{4}"
    rb"|hv[bs]\.[\w\-]{4}|AGE-SECRET-KEY-1|dsp_[0-9a-f]{4})",
    Detector.PRIVATE_KEY: rb"PRIVATE KEY",
    Detector.JWT: rb"eyJ[\w\-]+\.eyJ",
    Detector.EMAIL: rb"[0-9A-Za-z_+\-](?:@|%40)[0-9A-Za-z]",
    Detector.PHONE: rb"\+ ?\(?\d(?:[\s.\-/()]{0,2}\d){7}",
    Detector.IT_CODICE_FISCALE: rb"(?i:[a-z]{3} ?[0-9l-np-v]{2}[a-ehlmprst][0-9l-np-v]{2} ?[a-z]"
    rb"[0-9l-np-v]{3}[a-z])",
}
"""What shows by itself that a detector may have something to find."""

_SURE: Final = (Detector.IBAN, Detector.IT_CODICE_FISCALE)
"""Form and sum of these are enough."""

_WORDS: Final[dict[Detector, bytes]] = {
    Detector.CARD: rb"(?:credit|debit|payment|bank|pay)?[ _\-]?cards?[ _\-]?(?:no|num|number|nr)?"
    rb"|pan|cc|ccn|cvv|cvc|visa|master ?card|amex|american express|maestro|kreditkarten?\w*"
    rb"|kartennummer|carte bancaire|tarjeta|carta di credito|karta",
    Detector.PHONE: rb"phones?|telephones?|tel|mobile|cell|cellular|fax|whatsapp|sms|msisdn"
    rb"|telefon\w*|handy\w*|mobil\w*|telefono|movil|cellulare|komorka",
    Detector.US_SSN: rb"ssn|social security|soc sec|tax ?payer id|tin",
    Detector.UK_NINO: rb"nino|national insurance|ni (?:no|number)|nat ins",
    Detector.DE_STEUER_ID: rb"steuer\w*|id ?nr|identifikationsnummer|tax ?id|tin",
    Detector.FR_NIR: rb"nir|securite sociale|secu|insee|carte vitale|numero vitale",
    Detector.NL_BSN: rb"bsn|burger ?service\w*|sofi ?nummer|sofi",
    Detector.ES_DNI: rb"dni|nie|nif|documento nacional|documento de identidad",
    Detector.PL_PESEL: rb"pesel",
}
"""Words that speak for a number. Beside a detector without a screen, only they do."""

_IDS: Final = {
    Detector.US_SSN: numbers.US_SSN,
    Detector.UK_NINO: numbers.UK_NINO,
    Detector.DE_STEUER_ID: numbers.DE_STEUER_ID,
    Detector.FR_NIR: numbers.FR_NIR,
    Detector.NL_BSN: numbers.NL_BSN,
    Detector.ES_DNI: numbers.ES_DNI,
    Detector.IT_CODICE_FISCALE: numbers.IT_CODICE_FISCALE,
    Detector.PL_PESEL: numbers.PL_PESEL,
}


def _worded(words: bytes) -> bytes:
    return rb"(?i:(?:^|[^a-z])(?:" + words + rb")(?:[^a-z]|$))"


_key, _pem, _jwt, _email = map(_compile, (_KEY, _PEM, _JWT, _EMAIL))
_words: Final = {detector: _compile(_worded(words)) for detector, words in _WORDS.items()}
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_REFERENCE: Final = re.compile(
    "barcode|code|ean|gtin|hash|iccid|ids?|imei|isbn|key|nr|no|num|number|order|ref|reference"
    "|sequence|serial|sku|tracking|upc|uuid|version"
)
"""Last words of names that promise a number which is nobody's card."""

_NOT_ITSELF: Final = re.compile(
    "at|brand|count|date|day|expires|expiry|month|on|since|status|time|timestamp|total|type|until"
    "|verified|year"
)
"""Last words of names that tell something else of the thing named before."""


@lru_cache(maxsize=65536)
def hints(path: Path) -> Hints:
    """Read a field's name: its last two steps, in words."""
    steps = [step for step in path if step is not None][-2:]
    words = [word.lower() for step in steps for word in _CAMEL.split(step) if word]
    last = words[-1] if words else ""
    text = " ".join(words).encode("ascii", "replace")
    named = (detector for detector, words in _words.items() if words.search(text))
    is_itself = _NOT_ITSELF.fullmatch(last) is None
    return Hints(frozenset(named if is_itself else ()), _REFERENCE.fullmatch(last) is not None)


@cache
def sought(category: Category | None) -> frozenset[Detector]:
    """Give the detectors whose findings a class does not declare; for no class, all."""
    return frozenset(each for each in Detector if category is None or each.declared_as != category)


@cache
def screen(category: Category | None) -> Any:
    """Give the one expression that is asked of all texts of a class at once."""
    detectors = tuple(each for each in Detector if each in sought(category))
    return _compile(_pattern_of(detectors), is_screen=True)


def _pattern_of(detectors: tuple[Detector, ...]) -> bytes:
    patterns = [_SCREENS[each] for each in detectors if each in _SCREENS]
    words = [_WORDS[each] for each in detectors if each in _WORDS and each is not Detector.CARD]
    if words:
        patterns.append(_worded(rb"|".join(words)))
    return rb"|".join((*patterns, UNSEEN))


def glance(joined: str, category: Category | None) -> bool:
    """True where many texts of a class, in ASCII, are to be looked at one by one."""
    shown = _family_screens(category).Match(joined.encode("ascii", "replace"))
    # Most of what is seen are numbers of something, and the sum of a card tells at once.
    return bool(shown) and (shown != _ONLY_CARDS or numbers.may_hold_card(joined.replace("_", " ")))


@cache
def _family_screens(category: Category | None) -> Any:
    """Give all families' screens as one: it says which of them see something, in one look."""
    screens = re2.Set.SearchSet(_options(is_screen=True))
    for family in _FAMILIES:
        screens.Add(_pattern_of(tuple(each for each in family if each in sought(category))))
    screens.Compile()
    return screens


def find(text: str, wanted: frozenset[Detector], said: Hints) -> Iterator[Spot]:
    """Find everything that is wanted in one folded text, and how much speaks for it."""
    raw = text.encode("ascii", "replace")
    plain = ""
    shown = _family_screens(None).Match(raw) or ()
    for number, family in enumerate(_FAMILIES):
        if number not in shown and said.detectors.isdisjoint(family):
            continue
        for detector in family:
            if detector not in wanted:
                continue
            if detector in _EVIDENT:
                spans = _EVIDENT[detector](raw)
                yield from (Spot(detector, *span, Confidence.HIGH) for span in spans)
            else:
                plain = plain or numbers.without_uuids(text.replace("_", " "))
                spots = tuple(_find_numbers(detector, plain, raw, said))
                yield from spots
                if detector is Detector.IBAN:  # its groups are no card's
                    plain = numbers.blot(plain, ((spot.start, spot.end) for spot in spots))


def _find_numbers(detector: Detector, plain: str, raw: bytes, said: Hints) -> Iterator[Spot]:
    """Find what is a number only if something speaks for it: its form, its name, a word near it."""
    is_hinted = detector in said.detectors
    if detector is Detector.CARD:
        yield from _find_cards(plain, raw, said)
        return
    if detector is Detector.PHONE:
        is_worded = is_hinted or _words[detector].search(raw) is not None
        spans = numbers.find_phones(plain, is_hinted=is_worded)
    elif detector is Detector.IBAN:
        spans = numbers.find_ibans(plain)
    else:
        spans = numbers.find_ids(plain, _IDS[detector])
    for span in spans:
        is_sure = is_hinted or plain[span[0]] == "+" or detector in _SURE
        if is_sure or _is_near(detector, raw, *span):
            yield Spot(detector, *span, Confidence.HIGH)


def _find_keys(raw: bytes) -> Iterator[tuple[int, int]]:
    return (found.span(1) for found in _key.finditer(raw))


def _find_private_keys(raw: bytes) -> Iterator[tuple[int, int]]:
    """Give each key to its last line, or to the end of the text."""
    at = 0
    while (found := _pem.search(raw, at)) is not None:
        ends = raw.find(b"-----END ", found.end())
        last = raw.find(b"-----", ends + 9) if ends >= 0 else -1
        at = last + 5 if last >= 0 else len(raw)
        yield found.start(), at


def _find_tokens(raw: bytes) -> Iterator[tuple[int, int]]:
    return (found.span(1) for found in _jwt.finditer(raw) if _is_token(found.group(1)))


def _find_emails(raw: bytes) -> Iterator[tuple[int, int]]:
    for found in _email.finditer(raw):
        is_file = found.group(2).lower() in _FILE_ENDINGS
        if not is_file and not found.group(1).startswith(b"git@"):
            yield found.span(1)


def _is_token(token: bytes) -> bool:
    """True when the first part is a header that names an algorithm."""
    head = token.split(b".", 1)[0]
    try:
        return b'"alg"' in binascii.a2b_base64(head.translate(_URL_SAFE) + b"==")
    except binascii.Error:
        return False


_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_EVIDENT: Final[dict[Detector, Callable[[bytes], Iterator[tuple[int, int]]]]] = {
    Detector.API_KEY: _find_keys,
    Detector.PRIVATE_KEY: _find_private_keys,
    Detector.JWT: _find_tokens,
    Detector.EMAIL: _find_emails,
}
"""What says by itself what it is."""

_FAMILIES: Final = (
    tuple(_EVIDENT),
    (Detector.IBAN,),
    (Detector.CARD,),
    (Detector.PHONE,),
    (Detector.IT_CODICE_FISCALE,),
    tuple(each for each in _IDS if each in _WORDS),
)
"""Detectors that share one screen."""

_ONLY_CARDS: Final = [_FAMILIES.index((Detector.CARD,))]


def _find_cards(plain: str, raw: bytes, said: Hints) -> Iterator[Spot]:
    for found, alone in numbers.find_cards(plain):
        is_hinted = Detector.CARD in said.detectors or _is_near(Detector.CARD, raw, *found)
        confidence = Confidence.HIGH if is_hinted else alone
        if confidence is None or (confidence is Confidence.LOW and said.is_reference):
            continue
        yield Spot(Detector.CARD, *found, confidence)


def _is_near(detector: Detector, raw: bytes, start: int, end: int) -> bool:
    """True when a word that speaks for a number stands close by."""
    words = _words[detector]
    return (
        words.search(raw[max(0, start - _BEFORE) : start]) is not None
        or words.search(raw[end : end + _AFTER]) is not None
    )
