"""The TLS policy: who is trusted, what is the least that is spoken, and who we say we are.

Called by the transport: when it starts, and for every endpoint. Contexts are built by hand rather
than by the standard library's default, which obeys the environment: a key log file or other roots
named there must not reach them. It can never be made to skip verification. There is one context for
each set of terms, and the pools tell connections apart by it, so identities do not mix.
"""

import ssl
from collections.abc import Iterable
from typing import Final
from weakref import WeakKeyDictionary

from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.identity import ClientCertificate
from dispatcher.model.tls import Tls
from dispatcher.network.identities import Identities, Pair
from dispatcher.network.roots import find_roots
from dispatcher.network.settings import NetworkSettings
from dispatcher.network.troubles import TermsUnmet

CONTEXTS_MAX: Final = 4096
_Key = tuple[str, str, Pair | None]
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Contexts:
    """The contexts of a process: one for each floor, authority and client certificate."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Make the usual one; `ConfigInvalid` when roots or identities cannot be used."""
        self._settings = settings
        self.identities = Identities(settings.identities)
        self._shown = self.identities.pairs(self.identities.first())
        self._bearing: WeakKeyDictionary[ssl.SSLContext, Pair] = WeakKeyDictionary()
        self._usual = {self._key(Tls()): make_context(settings)}
        self._found: dict[_Key, ssl.SSLContext] = dict(self._usual)

    def show(self, certificates: Iterable[ClientCertificate]) -> set[ssl.SSLContext] | None:
        """Show these from now on, and no others; give the contexts that showed something else.

        `None` where these are shown already.
        """
        shown = self.identities.pairs(certificates)
        if shown == self._shown:
            return None
        self._shown = shown
        kept = set(shown.values())
        gone = {context for context, pair in self._bearing.items() if pair not in kept}
        self._found = {key: each for key, each in self._found.items() if each not in gone}
        return gone

    def context(self, terms: Tls) -> ssl.SSLContext:
        """Give the context of these terms; `TermsUnmet` where there can be none."""
        if terms.identity and terms.identity not in self._shown:
            raise TermsUnmet
        key = self._key(terms)
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
                pair = self._bearing[context] = self._shown[terms.identity]
                pair.show(context)
        except (OSError, TypeError, ConfigInvalid):  # an SSL error is an OSError
            raise TermsUnmet from None
        return context

    def _key(self, terms: Tls) -> _Key:
        return terms.minimum, terms.ca, self._shown.get(terms.identity)


def make_context(settings: NetworkSettings) -> ssl.SSLContext:
    """Make the context of the usual terms; `ConfigInvalid` when the roots cannot be read."""
    context = _bare_context()
    _load_roots(context, settings)
    return context


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
