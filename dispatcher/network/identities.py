"""Client certificates as files: read whole, kept while they fit, and lent to TLS.

Asked by `tls` for what is shown, by the policy watch whether files changed, and by whoever lists
them, who never opens a key. A pair that cannot be used never takes the place of one that can. The
key is in no repr and no pickle, and never written anywhere.
"""

import os
import ssl
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NoReturn

from cryptography.x509 import load_der_x509_certificate

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.identity import FINGERPRINT_CHARACTERS, ClientCertificate
from dispatcher.network.settings import Identity

PEM_BYTES_MAX: Final = 65536
"""As much as a pipe holds."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIX: Final = "name a PEM certificate with its chain, and its own key"
_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A certificate with its chain, and its key, as they were read together."""

    certificate: ClientCertificate
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key cannot be pickled")

    def show(self, context: ssl.SSLContext) -> None:
        """Have a context show it; an `OSError` where the two do not fit."""
        with _as_file(self.chain) as chain, _as_file(self.key) as key:
            # Without a password given, OpenSSL would ask for one at the terminal.
            context.load_cert_chain(chain, key, password=lambda: "")


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the files found: whether any pair is another now, and what cannot be used."""

    is_changed: bool
    faults: tuple[ConfigInvalid, ...]


class Identities:
    """The pairs of a process, each as it was when its files last fitted together."""

    def __init__(self, identities: Mapping[str, Identity]) -> None:
        """Read every pair; `ConfigInvalid` where one cannot be used."""
        self._files = [(name, pair) for name, each in identities.items() for pair in each.pairs]
        self._stamps = [_stamp(pair) for _, pair in self._files]
        self._pairs = [read_pair(name, pair) for name, pair in self._files]

    @property
    def certificates(self) -> tuple[ClientCertificate, ...]:
        """All there are, whether they may be shown or not."""
        return tuple(pair.certificate for pair in self._pairs)

    def first(self) -> tuple[ClientCertificate, ...]:
        """Give the first of each identity: what is shown where nobody chose."""
        return tuple({each.identity: each for each in reversed(self.certificates)}.values())

    def pairs(self, shown: Iterable[ClientCertificate]) -> dict[str, Pair]:
        """Give the pairs of these certificates, by identity."""
        wanted = set(shown)
        return {
            pair.certificate.identity: pair for pair in self._pairs if pair.certificate in wanted
        }

    def look(self) -> Look:
        """Read again what changed on disk; what cannot be used leaves things as they were."""
        is_changed, faults = False, []
        for place, (name, files) in enumerate(self._files):
            stamp = _stamp(files)
            if stamp == self._stamps[place]:
                continue
            try:
                self._pairs[place] = read_pair(name, files)
            except ConfigInvalid as fault:
                faults.append(fault)
            else:
                # The stamp from before the reading: what changed meanwhile is read once more.
                self._stamps[place] = stamp
                is_changed = True
        return Look(is_changed, tuple(faults))


def read_pair(name: str, files: Identity) -> Pair:
    """Read a pair; `ConfigInvalid` unless the two fit and nobody but us can read the key."""
    where, fix = files.key, _FIX
    try:
        key, mode = _read(files.key)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            why = f"others than its owner may use the key (mode {stat.S_IMODE(mode):04o})"
            fix = f"chmod 600 {files.key}"
        else:
            where = files.certificate
            chain, _ = _read(files.certificate)
            pair = Pair(_describe(name, chain), chain, key)
            try:
                pair.show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            except OSError:  # of two that do not fit OpenSSL says that their pipes cannot be sought
                raise ValueError from None
            return pair
    except ValueError:
        why = "certificate and key are not a pair, or not PEM without a password"
    except OSError as error:
        why = f"a file cannot be read: {error.strerror}"
        fix = "check the paths and their permissions"
    raise ConfigInvalid(
        f"identity {name}: {why}", where=where, fix=fix, code="client_identity"
    ) from None


def read_certificates(identities: Mapping[str, Identity]) -> tuple[ClientCertificate, ...]:
    """Give the certificates that can be read; no key is opened."""
    found: list[ClientCertificate] = []
    for name, identity in sorted(identities.items()):
        for pair in identity.pairs:
            with suppress(OSError, ValueError):
                found.append(_describe(name, _read(pair.certificate)[0]))
    return tuple(found)


def _read(path: str) -> tuple[bytes, int]:
    """Give what a file holds, and its mode; `ValueError` where it is too long to be one of ours."""
    with Path(path).open("rb") as file:
        content = file.read(PEM_BYTES_MAX + 1)
        if len(content) > PEM_BYTES_MAX:
            raise ValueError
        return content, os.fstat(file.fileno()).st_mode


def _describe(name: str, chain: bytes) -> ClientCertificate:
    """Read the facts of the first certificate, the identity's own; `ValueError` without one."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = chain.decode("ascii", "replace").partition(begin)[2].partition(end)[0]
    der = ssl.PEM_cert_to_DER_cert(f"{begin}{first}{end}")
    found = load_der_x509_certificate(der)
    return ClientCertificate(
        identity=name,
        fingerprint=sha256(der).hexdigest()[:FINGERPRINT_CHARACTERS],
        not_before_us=(found.not_valid_before_utc - _EPOCH) // timedelta(microseconds=1),
        not_after_us=(found.not_valid_after_utc - _EPOCH) // timedelta(microseconds=1),
    )


def _stamp(files: Identity) -> _Stamp | None:
    """Tell two states of the files apart; `None` where one is missing, which is none."""
    try:
        found: list[Any] = [Path(each).stat() for each in (files.certificate, files.key)]
    except OSError:
        return None
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Lend bytes to OpenSSL, which reads files alone, by a pipe that nobody else can open."""
    reading, writing = os.pipe()
    try:
        try:
            os.set_blocking(writing, False)
            if os.write(writing, content or b"\n") < len(content):
                raise OSError("the pipe is too short")
        finally:
            os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)
