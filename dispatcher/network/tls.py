"""The TLS policy: who is trusted, what is the least that is spoken, and who we say we are.

Called by the transport: when it starts, and for every endpoint. Contexts are built by hand rather
than by the standard library's default, which obeys the environment: a key log file or other roots
named there must not reach them. It can never be made to skip verification. There is one context for
each set of terms, and the pools tell connections apart by it, so identities do not mix.
"""

import os
import ssl
import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.tls import Tls
from dispatcher.network.certificates import read_certificate
from dispatcher.network.roots import find_roots
from dispatcher.network.settings import Identity, NetworkSettings
from dispatcher.network.troubles import TermsUnmet

CONTEXTS_MAX: Final = 4096
_Key = tuple[str, str, str]
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Contexts:
    """The contexts of a process: one for each floor, authority and identity."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Make the usual one; `ConfigInvalid` when roots or identities cannot be used."""
        self._settings = settings
        self._usual = {_key(Tls()): make_context(settings)}
        self._found: dict[_Key, ssl.SSLContext] = dict(self._usual)
        for name, identity in settings.identities.items():
            check_identity(name, identity)

    def context(self, terms: Tls) -> ssl.SSLContext:
        """Give the context of these terms; `TermsUnmet` where there can be none."""
        key = _key(terms)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= CONTEXTS_MAX:
                self._found = dict(self._usual)
            found = self._found[key] = self._make(terms)
        return found

    def _make(self, terms: Tls) -> ssl.SSLContext:
        try:
            context = _bare_context()
            if terms.ca:
                context.load_verify_locations(cadata=terms.ca)
            else:
                _load_roots(context, self._settings)
            context.minimum_version = _VERSIONS[terms.minimum]
            if terms.identity:
                _show(context, self._settings.identities[terms.identity])
        except (KeyError, OSError, TypeError, ConfigInvalid):  # an SSL error is an OSError
            raise TermsUnmet from None
        return context


def make_context(settings: NetworkSettings) -> ssl.SSLContext:
    """Make the context of the usual terms; `ConfigInvalid` when the roots cannot be read."""
    context = _bare_context()
    _load_roots(context, settings)
    return context


def check_identity(name: str, identity: Identity) -> None:
    """Raise `ConfigInvalid` unless certificate and key are a pair that only we can read."""
    where, fix = identity.key, "name a PEM certificate with its chain, and its own key"
    try:
        with Path(identity.key).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            why = f"others than its owner may use the key (mode {stat.S_IMODE(mode):04o})"
            fix = f"chmod 600 {identity.key}"
        else:
            where = identity.certificate
            _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), identity)
            return
    except ssl.SSLError:
        why = "certificate and key are not a pair, or not PEM without a password"
    except OSError as error:
        why = f"a file cannot be read: {error.strerror}"
        fix = "check the paths and their permissions"
    raise ConfigInvalid(
        f"identity {name}: {why}", where=where, fix=fix, code="client_identity"
    ) from None


def read_identity(identity: Identity) -> tuple[str, int]:
    """Give the fingerprint of an identity's own certificate, and when it ends.

    Both as partners may see them; called once `check_identity` found it well.
    """
    der = ssl.PEM_cert_to_DER_cert(_first_certificate(Path(identity.certificate).read_text()))
    return sha256(der).hexdigest()[:8], read_certificate("", der).not_after_us


def _first_certificate(pem: str) -> str:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + pem.partition(begin)[2].partition(end)[0] + end


def _key(terms: Tls) -> _Key:
    return terms.minimum, terms.ca, terms.identity


def _bare_context() -> ssl.SSLContext:
    """Make a context that verifies strictly, and trusts nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_roots(context: ssl.SSLContext, settings: NetworkSettings) -> None:
    file = settings.ca_file or find_roots()
    try:
        if file is not None:
            context.load_verify_locations(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigInvalid(
            f"the trusted roots cannot be read: {error.strerror or 'not PEM certificates'}",
            where=file or "",
            fix="name a readable PEM file in [network] ca_file",
            code="ca_file",
        ) from None


def _show(context: ssl.SSLContext, identity: Identity) -> None:
    # Without a password given, OpenSSL would ask for one at the terminal.
    context.load_cert_chain(identity.certificate, identity.key, password=lambda: "")
