"""What only the configuration knows: database URLs, name servers, who is at the command line."""

import os
from pathlib import Path

import pytest

from dispatcher.app.config import Config, OutboxSection, actor_name, load_config
from dispatcher.app.network_section import NetworkSection
from dispatcher.app.way_out import network_settings
from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.settings import Identity

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


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("192.0.2.53", "192.0.2.53:53"),
        ("192.0.2.53:5353", "192.0.2.53:5353"),
        ("2001:db8::53", "[2001:db8::53]:53"),
        ("[2001:DB8::53]", "[2001:db8::53]:53"),
        ("[2001:db8::53]:5353", "[2001:db8::53]:5353"),
    ],
)
@pytest.mark.parametrize("key", ["name_servers", "private_name_servers"])
def test_a_name_server_is_an_address_with_or_without_a_port(key: str, written: str, meant: str):
    section = NetworkSection.model_validate({"resolver": "name_servers", key: [written]})
    assert getattr(section, key) == (meant,)


@pytest.mark.parametrize(
    "written",
    [
        "ns.example",
        "",
        "192.0.2.53:0",
        "192.0.2.53:65536",
        "192.0.2.53:",
        "192.0.2",
        "0.0.0.0",
        "[2001:db8::53",
        "[192.0.2.53.1]:53",
        "224.0.0.251",
        "192.0.2.53,192.0.2.54",
        "::",
        " ::1",
    ],
)
def test_what_is_no_name_server_is_refused_with_the_key(tmp_path: Path, written: str):
    file = tmp_path / "dispatcher.toml"
    file.write_text(f'[network]\nname_servers = ["192.0.2.1", "{written}"]\n')
    with pytest.raises(ConfigInvalid, match=r"network\.name_servers.*address:port"):
        load_config(file)


def test_d6_the_resolver_is_the_machines_unless_another_is_named(tmp_path: Path):
    assert Config().network.resolver == "system"
    file = tmp_path / "dispatcher.toml"
    file.write_text('[network]\nresolver = "aiodns"\n')
    with pytest.raises(ConfigInvalid, match=r"network\.resolver.*'system' or 'name_servers'"):
        load_config(file)


def test_a_client_identity_is_two_files_under_a_name(tmp_path: Path):
    file = tmp_path / "dispatcher.toml"
    file.write_text(
        '[network.identities.acme-mtls]\ncertificate = "acme.pem"\nkey = "/run/secrets/acme.key"\n'
    )
    (identity,) = network_settings(load_config(file)).identities.values()
    assert identity == Identity(str(tmp_path / "acme.pem"), "/run/secrets/acme.key")


def test_the_next_pair_of_a_client_identity_is_named_whole_or_not_at_all(tmp_path: Path):
    file = tmp_path / "dispatcher.toml"
    one = '[network.identities.acme]\ncertificate = "a.pem"\nkey = "a.key"\n'
    file.write_text(f'{one}next_certificate = "b.pem"\nnext_key = "b.key"\n')
    (identity,) = network_settings(load_config(file)).identities.values()
    assert identity.next == Identity(str(tmp_path / "b.pem"), str(tmp_path / "b.key"))
    file.write_text(f'{one}next_certificate = "b.pem"\n')
    with pytest.raises(ConfigInvalid, match="come together"):
        load_config(file)


def test_half_a_client_identity_is_refused(tmp_path: Path):
    file = tmp_path / "dispatcher.toml"
    file.write_text('[network.identities.acme]\ncertificate = "acme.pem"\n')
    with pytest.raises(ConfigInvalid) as caught:
        load_config(file)
    assert "network.identities.acme.key" in caught.value.why
