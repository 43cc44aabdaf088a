"""What only the configuration knows: database URLs, and who is at the command line."""

import os

import pytest

from dispatcher.app.config import Config, OutboxSection, actor_name
from dispatcher.model.errors import ConfigInvalid

SECRET = "hunter2"


def url_of(url: str) -> str:
    config = Config(outbox=OutboxSection.model_validate({"url": url}))
    return config.database_url(config.outbox)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app@db.example/d",
        "postgresql://app:p%40ss@db.example:5433/d?ssl=verify-full",
        f"postgresql://app:{SECRET}?sslmode=#[@db.example/d",
        "postgresql://app@/d?host=/run/postgresql",
        "sqlite:////var/lib/dispatcher.db",
    ],
)
def test_a_sound_database_url_is_given_as_it_is(url: str):
    assert url_of(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"postgresql://app:{SECRET}@db.example/d?sslmode=prefer", "host and ssl"),
        (f"postgresql://app:{SECRET}@db.example/d?ssl=yes", "ssl"),
        (f"postgresql://app:{SECRET}@/d?host=db.example:99999", "host"),
        (f"postgresql://app:{SECRET}@db.example:99999/d", "65535"),
        (f"postgresql://app:{SECRET}@db.example:0/d", "65535"),
        (f"postgresql://app:{SECRET}@db.example:x/d", "65535"),
        (f"postgresql://app:{SECRET}@[::1/d", "host"),
        ("sqlite:///d.db?mode=ro", "parameters"),
    ],
)
def test_what_the_drivers_would_stumble_over_is_refused_without_being_quoted(url: str, why: str):
    with pytest.raises(ConfigInvalid) as caught:
        url_of(url)
    assert (caught.value.reason, caught.value.where) == ("database_url", "outbox.url")
    assert why in caught.value.why
    assert SECRET not in str(caught.value)


def test_a_user_without_a_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch):
    def no_entry() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", no_entry)
    assert actor_name() == f"uid-{os.getuid()}"
