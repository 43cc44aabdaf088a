"""Is the listener that partners call well, and is there one for those who need it?

Asked by `doctor`, of the configuration that it runs with. Nothing is started and nobody is asked
but this machine itself, where something stands at the listener's address already: it is shaken
hands with, to see whether it is the listener.
"""

from typing import Final

from dispatcher.app.clock import SystemClock
from dispatcher.app.config import Config
from dispatcher.app.finding import Remark, list_names
from dispatcher.app.house import open_house
from dispatcher.model.days import DAY_US
from dispatcher.model.endpoint import parse_endpoint
from dispatcher.model.errors import ConfigInvalid, DispatcherError
from dispatcher.model.keys import KeyKind
from dispatcher.model.paper import ConnectorState
from dispatcher.model.registry import Registry, Style
from dispatcher.network.identities import Pair, read_pair
from dispatcher.network.own_listener import is_free, is_ours, names_of
from dispatcher.network.settings import Identity

OFF: Final = "off"
ENDS_SOON_DAYS: Final = 30
HANDSHAKE_SECONDS: Final = 5.0
_REPLACE: Final = "put a new one and its key in the place of it, and start the listener anew"


async def look_at_need(config: Config) -> str | Remark:
    """Say who needs the listener; a remark where it is off and somebody does."""
    base_url = config.partner.base_url
    where = f"partners call {base_url}" if base_url else OFF
    try:
        async with open_house(config) as house:
            need = describe_need((await house.registry.active()).registry)
    except DispatcherError:
        return f"{where}; who needs it was not read: see the keyring and the registry database"
    if base_url or not need:
        return f"{where}; {need or 'nobody needs it'}"
    return Remark(
        "partner_listener_missing",
        f"{OFF} here, and it is {need}",
        "set base_url, certificate and key in [partner], and run 'dispatcher partner'; where"
        " another machine or pod serves partners, ask the doctor there",
    )


def describe_need(registry: Registry) -> str:
    """Say for what, and for which subscriptions, the listener is needed; empty: for none.

    Whoever verifies by a public key alone needs the page of keys, thin letters an answer to their
    tickets.
    """
    active = {each.name for each in registry.connectors if each.state is ConnectorState.ACTIVE}
    served = [each for each in registry.subscriptions if each.connector in active]
    keys = [each.name for each in served if KeyKind.HMAC not in each.signing.kinds]
    thin = [each.name for each in served if each.style is Style.THIN and each.ticket_seconds]
    needs = [
        f"{what} of {list_names(names)}"
        for what, names in (("the public keys", keys), ("the tickets", thin))
        if names
    ]
    return f"for {' and '.join(needs)}" if needs else ""


async def look_at_identity(config: Config) -> str | Remark:
    """Look at the listener's certificate and key: readable, a pair, for its host, and not ended."""
    pair = _read_pair(config)
    if pair is None:
        return OFF
    certificate, now_us = pair.certificate, SystemClock().wall_us()
    named, days = certificate.fingerprint, (certificate.not_after_us - now_us) // DAY_US
    if days < 0:
        raise _unfit(f"the certificate {named} has ended", "certificate_ended")
    if now_us < certificate.not_before_us:
        raise _unfit(f"the certificate {named} is not valid yet", "certificate_not_yet")
    host, names = parse_endpoint(config.partner.base_url).host, names_of(pair.chain)
    if not {host, f"*.{host.partition('.')[2]}"} & set(names):
        return Remark(
            "certificate_name",
            f"{named} is for {list_names(names) or 'no name'}, and partners call {host}",
            "use a certificate for the host of [partner] base_url, or correct that",
        )
    if days < ENDS_SOON_DAYS:
        return Remark("certificate_ends_soon", f"{named} ends in {days} days", _REPLACE)
    return f"{named} is for {host}, ends in {days} days"


async def look_at_address(config: Config) -> str:
    """Say whether the listener can have its address, or has it already."""
    section = config.partner
    if not section.is_on:
        return OFF
    place = f"{section.host}:{section.port}"
    try:
        if await is_free(section.host, section.port):
            return f"{place} is free"
    except OSError as error:
        raise ConfigInvalid(
            f"cannot listen on {place}: {error.strerror}",
            where="partner.host, partner.port",
            fix="name an address of this machine, and a port that this user may have",
            code="address_unusable",
        ) from None
    try:
        pair = _read_pair(config)
    except ConfigInvalid:
        pair = None
    if pair is None:
        return f"{place} is taken; by whom was not looked at: see the listener identity"
    if await is_ours(section.host, section.port, pair.chain, HANDSHAKE_SECONDS):
        return f"{place} is served with this certificate"
    raise ConfigInvalid(
        f"{place} is taken, and what listens there does not show this certificate",
        where="partner.host, partner.port",
        fix="start the listener anew if its certificate was replaced; else stop what listens"
        " there, or choose another port",
        code="address_in_use",
    )


def _read_pair(config: Config) -> Pair | None:
    files = config.partner_files
    if files is None:
        return None
    certificate, key = map(str, files)
    return read_pair("of the partner listener", Identity(certificate, key))


def _unfit(why: str, code: str) -> ConfigInvalid:
    return ConfigInvalid(why, where="partner.certificate", fix=_REPLACE, code=code)
