"""Client certificates as files: what changed is read, what does not fit changes nothing."""

import pickle
import ssl
from pathlib import Path

import pytest
import trustme

from dispatcher.model.errors import ConfigInvalid
from dispatcher.network.identities import Identities, read_certificates, read_pair
from dispatcher.network.settings import Identity
from tests.support.certificates import write_identity

AUTHORITY = trustme.CA()
ONE, TWO = (AUTHORITY.issue_cert(f"{name}.client") for name in ("one", "two"))


def print_of(certificate: trustme.LeafCert, folder: Path) -> str:
    folder.mkdir()
    return read_pair("x", write_identity(folder, certificate)).certificate.fingerprint


@pytest.fixture
def files(tmp_path: Path) -> Identity:
    return write_identity(tmp_path, ONE)


def prints(identities: Identities) -> list[str]:
    return [each.fingerprint for each in identities.certificates]


def test_a_pair_put_in_the_place_of_another_is_read(tmp_path: Path, files: Identity):
    identities = Identities({"acme": files})
    old = prints(identities)
    assert not identities.look().is_changed
    write_identity(tmp_path, TWO)
    found = identities.look()
    assert (found.is_changed, found.faults) == (True, ())
    assert prints(identities) == [print_of(TWO, tmp_path / "two")] != old


def test_a_key_of_another_certificate_is_told_as_that(tmp_path: Path, files: Identity):
    Path(files.key).write_bytes(TWO.private_key_pem.bytes())
    with pytest.raises(ConfigInvalid, match="are not a pair"):
        read_pair("acme", files)


def test_a_half_written_pair_leaves_the_old_one_until_it_is_whole(tmp_path: Path, files: Identity):
    identities = Identities({"acme": files})
    old, key = prints(identities), Path(files.key)
    Path(files.certificate).write_bytes(TWO.cert_chain_pems[0].bytes())
    for broken in (ONE.private_key_pem.bytes(), b"", TWO.private_key_pem.bytes()[:100]):
        key.write_bytes(broken)
        (fault,) = identities.look().faults
        assert fault.reason == "client_identity"
        assert prints(identities) == old
    key.unlink()
    assert len(identities.look().faults) == 1
    assert prints(identities) == old
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    identities.pairs(identities.first())["acme"].show(context)
    write_identity(tmp_path, TWO)
    assert identities.look().is_changed
    assert prints(identities) != old


def test_a_key_that_others_may_read_takes_no_place(tmp_path: Path, files: Identity):
    identities = Identities({"acme": files})
    old = prints(identities)
    Path(write_identity(tmp_path, TWO).key).chmod(0o640)
    (fault,) = identities.look().faults
    assert "mode 0640" in fault.why
    assert prints(identities) == old


def test_a_file_far_too_long_is_no_certificate(files: Identity):
    identities = Identities({"acme": files})
    with Path(files.certificate).open("ab") as file:
        file.write(b"#" * 65536)
    assert len(identities.look().faults) == 1


def test_a_listing_opens_no_key_and_leaves_out_what_cannot_be_read(tmp_path: Path, files: Identity):
    Path(files.key).unlink()
    both = Identity(files.certificate, files.key, Identity(str(tmp_path / "gone"), files.key))
    (found,) = read_certificates({"acme": both})
    assert found.identity == "acme"
    assert found.not_before_us < found.not_after_us


def test_a_private_key_is_in_no_repr_and_no_pickle(files: Identity):
    pair = read_pair("acme", files)
    assert "PRIVATE" not in repr(pair)
    with pytest.raises(TypeError):
        pickle.dumps(pair)
