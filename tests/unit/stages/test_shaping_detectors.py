"""What the guard takes for a leak, on texts labelled by hand and on families made with a seed."""

import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.model.classification import Category
from dispatcher.model.leak import DEFAULT_RULES, Confidence, Detector, LeakAction
from dispatcher.model.path import parse_path
from dispatcher.showcase.bench_leakguard import judge, look
from dispatcher.showcase.leak_goods import Case, field_of, harmless, labelled, sensitive
from dispatcher.stages.shaping.detectors import Hints, find, hints, screen, sought
from dispatcher.stages.shaping.folding import fold, unfold
from dispatcher.stages.shaping.guard import mask_text

CASES = labelled()
SAID_NOTHING = Hints(frozenset(), is_reference=False)

# Measured, not wished for: what is missed by design is labelled all the same.
RECALL = {"card": 0.97, "email": 0.95, "phone": 0.91, "us_ssn": 0.87}


def found(text, path="$.note", category=Category.OTHER):
    case = Case(text=text, finds=frozenset(), path=path, category=category)
    return {str(each.detector) for each in look(case.scope, text)}


@pytest.mark.parametrize("case", [case for case in CASES if not case.finds], ids=repr)
def test_what_is_harmless_or_declared_is_no_finding(case):
    assert look(case.scope, case.text) == ()


def test_precision_and_recall_on_labelled_texts_hold_their_floors():
    shares = judge(CASES)
    assert shares.keys() == set(Detector)
    for name, share in shares.items():
        assert share["precision"] == 1, name
        assert share["recall"] >= RECALL.get(name, 1), name


def test_precision_and_recall_on_families_hold_their_floors():
    for name, share in judge(sensitive(random.Random(7), 100)).items():
        assert share["precision"] >= 0.98, name
        assert share["recall"] >= 0.98, name


def test_harmless_ids_are_stopped_only_where_they_are_written_as_cards_are():
    stopped, told = Counter(), Counter()
    scope = Case(text="", finds=frozenset()).scope
    for name, texts in harmless(random.Random(7), 1000):
        for text in texts:
            for each in look(scope, text):
                told[name] += 1
                stopped[name] += each.action is not LeakAction.ALERT
    assert {name for name, count in stopped.items() if count} == {"4-4-4-4 digits"}
    assert told.keys() <= {"16 digits", "18 digits", "4-4-4-4 digits", "like an IBAN"}
    assert all(count < 1000 * 0.05 for count in told.values())


def test_the_screen_lets_nothing_past_that_a_detector_would_find():
    texts = [case.text for case in CASES]
    texts += [case.text for case in sensitive(random.Random(8), 50)]
    for category in (None, Category.CONTACT, Category.FINANCIAL, Category.GOVERNMENT_ID):
        for text in map(fold, texts):
            spots = list(find(text, sought(category), SAID_NOTHING))
            if spots:
                assert screen(category).search(text.encode("ascii", "replace")), text


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("$.customer.cardNumber", {"card"}),
        ("$.payment.pan", {"card"}),
        ("$.employee.ssn", {"us_ssn"}),
        ("$.employees[*].nationalInsuranceNumber", {"uk_nino"}),
        ("$.customer.mobile_phone", {"phone"}),
        ("$['Steuer-ID']", {"de_steuer_id"}),
        ("$.order.id", set()),
        ("$.cardboard.boxes", set()),
        ("$.hotel.name", set()),
        ("$.phone.verified_at", set()),
        ("$.card.expiry", set()),
    ],
)
def test_a_fields_name_speaks_for_the_numbers_in_it(path, named):
    assert {str(each) for each in hints(parse_path(path)).detectors} == named


def test_a_bare_card_number_is_told_of_and_one_that_is_spoken_for_is_stopped():
    def action(text, path="$.note"):
        case = Case(text=text, finds=frozenset(), path=path)
        return [each.action.value for each in look(case.scope, text)]

    assert action("4111111111111111") == ["alert"]
    assert action("card 4111111111111111") == ["park"]
    assert action("4111 1111 1111 1111") == ["park"]
    assert action("4111111111111111", "$.customer.card") == ["park"]
    assert action("4111111111111111", "$.order.id") == []


@pytest.mark.parametrize("text", ["4111 1111 1111 1111", "ada@example.com", "SSN 219-09-9999"])
def test_no_dress_of_a_sign_slips_past(text):
    wide = "".join(chr(ord(sign) + 0xFEE0) if sign.isalnum() else sign for sign in text)
    hidden = "\N{ZERO WIDTH SPACE}".join(text)
    quiet = text.replace(" ", "\N{NARROW NO-BREAK SPACE}").replace("-", "\N{EN DASH}")
    controls = text[:2] + "\x07" + text[2:]
    for dressed in (wide, hidden, quiet, controls):
        assert found(dressed) == found(text) != set()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ada@example.com", "***"),
        ("to ada@example.com, eve@example.org!", "to ***, ***!"),
        ("a\N{ZERO WIDTH SPACE}da@example.com, Grüße", "***, Grüße"),
        ("Grüße an ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ!", "Grüße an ***!"),
        ("\N{LATIN SMALL LIGATURE FFI}ce ada@example.com", "\N{LATIN SMALL LIGATURE FFI}ce ***"),
        ("nothing", "nothing"),
    ],
)
def test_a_mask_stands_for_exactly_what_was_found(text, masked):
    assert mask_text(field_of("$.note"), text, {Detector.EMAIL}) == masked


def test_a_private_key_is_masked_to_its_last_line():
    key = "-----BEGIN PRIVATE KEY-----\nZXhhbXBsZQ==\n-----END PRIVATE KEY-----"
    note = field_of("$.note")
    assert mask_text(note, f"a {key} b", {Detector.PRIVATE_KEY}) == "a *** b"
    assert mask_text(note, f"a {key[:40]}", {Detector.PRIVATE_KEY}) == "a ***"


def test_a_text_with_thousands_of_finds_in_it_is_masked_in_one_walk():
    text = "\N{LATIN SMALL LETTER E WITH ACUTE} a@b.de " * 5_000
    begun = time.process_time()
    masked = mask_text(field_of("$.note"), text, {Detector.EMAIL})
    assert masked == text.replace("a@b.de", "***")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "text", ["-----BEGIN PRIVATE KEY----- ", "GB82 WEST 1234 5698 7654 32 "], ids=["keys", "ibans"]
)
def test_a_long_text_full_of_one_thing_is_looked_through_once(text):
    begun = time.process_time()
    assert look(Case(text=text, finds=frozenset()).scope, text * 40_000)
    assert time.process_time() - begun < 7


@given(st.text(max_size=60))
def test_folding_keeps_the_place_of_every_sign(text):
    plain = fold(text)
    assert plain.isascii()
    spots = unfold(text, [(at, at + 1) for at in range(len(plain))])
    for at, (start, end) in enumerate(spots):
        assert 0 <= start < end <= len(text)
        assert plain[at] in fold(text[start:end])


@given(st.text(max_size=200), st.sampled_from(sorted(Category)))
def test_no_text_raises_and_the_same_text_gives_the_same_findings(text, category):
    case = Case(text=text, finds=frozenset(), category=category)
    assert look(case.scope, text) == look(case.scope, text)


@pytest.mark.parametrize("piece", ["1 ", "4-", "a@", "+1 ", "eyJ.", "DE12 ", "ssn 1", "4 1 1 1 "])
def test_hostile_text_takes_linear_time(piece):
    scope = Case(text="", finds=frozenset()).scope

    def seconds(count):
        text = (piece * count)[:count]
        began = time.process_time()
        look(scope, text)
        return time.process_time() - began

    seconds(1000)
    small, large = (min(seconds(count) for _ in range(3)) for count in (8_000, 64_000))
    assert large < 40 * max(small, 0.001)


def test_the_defaults_park_what_is_sure_and_tell_of_the_rest():
    acts = {(str(each.detector), each.confidence): each.action for each in DEFAULT_RULES}
    told = {name for (name, level), action in acts.items() if action is LeakAction.ALERT}
    assert told == {"email", "phone", "iban", "card"}
    assert acts["card", Confidence.HIGH] is LeakAction.PARK
    assert {name for name, _ in acts} == set(Detector)
