"""What is taken for an address of ours, and for a proxy: literal addresses, and nothing else."""

from pathlib import Path

import pytest

from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.settings import check_bind_addresses, parse_credentials, parse_proxy


@pytest.mark.parametrize(
    "given", [(), ("10.0.0.7",), ("198.51.100.7", "2001:db8::7"), ("fd00::7",)]
)
def test_addresses_to_leave_from_are_one_per_family(given: tuple[str, ...]) -> None:
    assert check_bind_addresses(given) == given


@pytest.mark.parametrize(
    "given",
    [
        ("10.0.0.7", "10.0.0.8"),
        ("worker.example",),
        ("0.0.0.0",),
        ("::",),
        ("127.0.0.1",),
        ("224.0.0.1",),
        ("010.0.0.7",),
        ("2001:DB8::7",),
        ("fe80::1%eth0",),
        ("",),
    ],
)
def test_what_is_no_address_to_leave_from_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"addres|loopback"):
        check_bind_addresses(given)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://10.0.0.3:3128", ("10.0.0.3", 3128)),
        ("http://127.0.0.1:1/", ("127.0.0.1", 1)),
        ("http://[fd00::3]:8080", ("fd00::3", 8080)),
    ],
)
def test_c8_a_proxy_is_a_literal_address_and_a_port(url: str, place: tuple[str, int]) -> None:
    assert parse_proxy(url).place == place


@pytest.mark.parametrize(
    "url",
    [
        "http://proxy.example:3128",
        "https://10.0.0.3:3128",
        "http://10.0.0.3",
        "http://10.0.0.3:0",
        "http://10.0.0.3:65536",
        "http://10.0.0.3:3128/x",
        "http://ada:secret@10.0.0.3:3128",
        "http://10.3:3128",
        "http://010.0.0.3:3128",
        "http://0.0.0.0:3128",
        "http://[::ffff:0a00:3]:3128",
        "http://[FD00::3]:3128",
        "http://10.0.0.3:3128\n",
        "socks5://10.0.0.3:1080",
    ],
)
def test_c8_any_other_proxy_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="addres"):
        parse_proxy(url)


@pytest.mark.parametrize("text", ["ada:se cret:x", "ada:se cret:x\n", "ada:se cret:x\r\n"])
def test_c8_credentials_are_one_line(text: str) -> None:
    assert parse_credentials(text, Path("f")) == ("ada", "se cret:x")


@pytest.mark.parametrize("text", ["", "ada", ":x", "ada:x\nb:y", "ada:\x00"])
def test_c8_what_is_no_line_of_credentials_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        parse_credentials(text, Path("f"))
    assert raised.value.reason == "proxy_credentials"
    assert not text or text not in str(raised.value.why)
