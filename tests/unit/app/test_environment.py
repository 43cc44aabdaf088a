"""Which variables of the environment would steer TLS or names, and which change nothing."""

from pathlib import Path

import pytest

from dispatcher.app.environment import KEY_LOG, STEERING, check_environment, find_steering
from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.roots import known_roots
from dispatcher.network.tls import find_roots

SECRET = "/run/private/where-the-keys-go"


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A machine's roots: `certs/all.pem`, and a link to each."""
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "all.pem").write_text("")
    (tmp_path / "link.pem").symlink_to(tmp_path / "certs" / "all.pem")
    (tmp_path / "folder").symlink_to(tmp_path / "certs")
    return tmp_path


def known(roots: Path) -> set[Path]:
    return {(roots / "certs").resolve(), (roots / "certs" / "all.pem").resolve()}


@pytest.mark.parametrize("value", [SECRET, ""], ids=["a value", "nothing"])
@pytest.mark.parametrize("name", STEERING)
def test_t2_every_variable_that_steers_is_refused_and_its_value_not_shown(name: str, value: str):
    with pytest.raises(ConfigInvalid) as caught:
        check_environment({name: value, "HOME": "/"}, ())
    assert caught.value.reason == "environment_unsafe"
    assert caught.value.where == f"environment: {name}"
    assert "[network] tolerated_variables" in caught.value.fix
    assert SECRET not in str(caught.value)


def test_t2_all_that_steer_are_told_at_once_and_what_is_tolerated_is_not():
    environment = {"SSLKEYLOGFILE": SECRET, "HOSTALIASES": "x", "RES_OPTIONS": "debug"}
    assert find_steering(environment, (), tolerated=("HOSTALIASES",)) == (
        "SSLKEYLOGFILE",
        "RES_OPTIONS",
    )
    assert find_steering(environment, (), refused=KEY_LOG) == ("SSLKEYLOGFILE",)
    check_environment({"HOME": "/", "PATH": "/bin"}, ())


def test_t2_the_machines_own_roots_by_any_path_change_nothing(roots: Path):
    for file in ("certs/all.pem", "link.pem", "certs/../certs/all.pem"):
        assert not find_steering({"SSL_CERT_FILE": str(roots / file)}, known(roots))
    for folder in ("certs", "folder"):
        assert not find_steering({"SSL_CERT_DIR": str(roots / folder)}, known(roots))
    both = f"{roots / 'certs'}:{roots / 'folder'}"
    assert not find_steering({"SSL_CERT_DIR": both}, known(roots))


@pytest.mark.parametrize(
    "more", ["", ":", ":/tmp", ":certs"], ids=["other", "empty place", "second", "relative"]
)
def test_t2_any_other_roots_are_refused(roots: Path, more: str):
    own = roots / "certs"
    folder = f"{own}{more}" if more else str(roots)
    assert find_steering({"SSL_CERT_DIR": folder}, known(roots)) == ("SSL_CERT_DIR",)
    file = f"{own / 'all.pem'}{more}" if more else str(roots / "own.pem")
    assert find_steering({"SSL_CERT_FILE": file}, known(roots)) == ("SSL_CERT_FILE",)


def test_t2_a_path_that_is_none_is_refused(roots: Path):
    (roots / "circle").symlink_to(roots / "circle")
    for value in (str(roots / "circle"), "x" * 5000):
        assert find_steering({"SSL_CERT_FILE": value}, known(roots)) == ("SSL_CERT_FILE",)


def test_t2_the_roots_in_use_and_the_configured_file_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "planted.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    (tmp_path / "planted.pem").write_text("")
    own = tmp_path / "own.pem"
    own.write_text("")
    found = find_roots()
    assert found is None or Path(found).resolve() in known_roots(None)
    assert not {tmp_path.resolve(), (tmp_path / "planted.pem").resolve()} & known_roots(None)
    assert known_roots(own) - known_roots(None) == {own.resolve()}
    assert known_roots(tmp_path / "gone.pem") == known_roots(None)
