"""Published numbers add up, and do not with any one digit changed."""

import pytest

from dispatcher.stages.shaping import checksums
from dispatcher.stages.shaping.checksums import IBAN_LENGTHS

TRUE = [
    ("is_card", "4111111111111111"),
    ("is_card", "4222222222222"),
    ("is_card", "5555555555554444"),
    ("is_card", "2223003122003222"),
    ("is_card", "378282246310005"),
    ("is_card", "30569309025904"),
    ("is_card", "6011111111111117"),
    ("is_card", "3530111333300000"),
    ("is_card", "5019717010103742"),
    ("is_iban", "DE89370400440532013000"),
    ("is_iban", "GB82WEST12345698765432"),
    ("is_iban", "FR1420041010050500013M02606"),
    ("is_iban", "NO9386011117947"),
    ("is_iban", "MT84MALT011000012345MTLCAST001S"),
    ("is_steuer_id", "86095742719"),
    ("is_steuer_id", "47036892816"),
    ("is_nir", "295109912611193"),
    ("is_nir", "253072B07300470"),
    ("is_bsn", "111222333"),
    ("is_bsn", "123456782"),
    ("is_dni", "12345678Z"),
    ("is_dni", "54362315K"),
    ("is_dni", "X2482300W"),
    ("is_codice_fiscale", "RSSMRA85T10A562S"),
    ("is_codice_fiscale", "RCCMNL83S18D969H"),
    ("is_pesel", "44051401359"),
    ("is_pesel", "02070803628"),
]


@pytest.mark.parametrize(("name", "text"), TRUE)
def test_a_published_number_adds_up(name, text):
    assert getattr(checksums, name)(text)


@pytest.mark.parametrize(("name", "text"), TRUE)
def test_it_does_not_once_its_last_sign_is_another(name, text):
    others = "0123456789" if text[-1].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    wrong = [text[:-1] + other for other in others if other != text[-1]]
    assert not any(getattr(checksums, name)(each) for each in wrong)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("is_card", "1111111111111117"),  # adds up, and nobody issues it
        ("is_card", "411111111111112"),  # of a length that Visa does not have
        ("is_card", "0000000000000000"),
        ("is_iban", "DE8937040044053201300"),
        ("is_iban", "XX89370400440532013000"),
        ("is_ssn", "000121234"),
        ("is_ssn", "666121234"),
        ("is_ssn", "900121234"),
        ("is_ssn", "123001234"),
        ("is_ssn", "123120000"),
        ("is_nino", "QQ123456C"),
        ("is_nino", "GB123456A"),
        ("is_steuer_id", "01234567890"),
        ("is_steuer_id", "12345678903"),  # no digit comes twice
        ("is_bsn", "000000000"),
        ("is_pesel", "44133201359"),  # no such day
        ("is_pesel", "00000000000"),
    ],
)
def test_what_nobody_could_have_been_given_is_none(name, text):
    assert not getattr(checksums, name)(text)


def test_what_could_have_been_given_out_is_one():
    assert checksums.is_ssn("219099999")
    assert checksums.is_nino("AB123456C")


def test_countries_have_the_lengths_of_the_registry():
    assert (len(IBAN_LENGTHS), min(IBAN_LENGTHS.values()), max(IBAN_LENGTHS.values())) == (
        89,
        15,
        33,
    )
