"""What a switch can stop, and how it is named."""

import pytest

from dispatcher.model.switch import Target


def test_a_host_is_named_the_same_however_it_is_typed():
    assert Target.parse("host:Hooks.Acme.Example.") == Target.parse("host:hooks.acme.example")
    assert Target.parse("host:2001:DB8::0:1") == Target.parse("host:2001:db8::1")


@pytest.mark.parametrize("text", ["", "acme", "connector:", "everything:x", "host:a b"])
def test_what_names_nothing_is_refused(text):
    with pytest.raises(ValueError, match=r"target|host"):
        Target.parse(text)
