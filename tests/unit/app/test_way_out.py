"""What the configuration says of the way out, composed for the network."""

from pathlib import Path

import pytest

from dispatcher.app.config import load_config
from dispatcher.app.way_out import network_settings
from dispatcher.model.errors import ConfigInvalid


def test_c8_the_network_is_given_the_proxy_that_the_file_names(tmp_path: Path) -> None:
    (tmp_path / "proxy").write_text("ada:secret\n")
    file = tmp_path / "dispatcher.toml"
    file.write_text(
        '[network]\nproxy = "http://10.0.0.3:3128"\nproxy_credentials_file = "proxy"\n'
        'bind_addresses = ["10.0.0.7"]\n'
    )
    settings = network_settings(load_config(file))
    assert settings.proxy is not None
    assert (settings.proxy.place, settings.proxy.user) == (("10.0.0.3", 3128), "ada")
    assert settings.bind_addresses == ("10.0.0.7",)
    assert "secret" not in repr(settings)


def test_c8_credentials_without_a_proxy_are_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "dispatcher.toml"
    file.write_text('[network]\nproxy_credentials_file = "proxy"\n')
    with pytest.raises(ConfigInvalid, match="no proxy"):
        load_config(file)


def test_c8_a_named_proxy_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "dispatcher.toml"
    file.write_text('[network]\nproxy = "http://proxy.example:3128"\n')
    with pytest.raises(ConfigInvalid, match="literal address"):
        load_config(file)
