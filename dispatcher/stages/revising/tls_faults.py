"""What is wrong with the TLS terms of a destination: its authorities, its pins, its identity."""

import re
from collections.abc import Iterator
from typing import Final

from cryptography.x509 import load_pem_x509_certificates

from dispatcher.model.registry import Destination
from dispatcher.model.tls import Tls
from dispatcher.stages.revising.fault import NAME, Fault, bad_name

CA_BYTES_LIMIT: Final = 65536
PINS_LIMIT: Final = 16
_PEM: Final = re.compile(r"[\x20-\x7e\n]*\Z")
_PIN: Final = re.compile(r"sha256/[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\Z")
"""32 bytes in BASE64: of the last character but four bits count, so that a pin has one spelling."""


def check_tls(where: str, entry: Destination) -> Iterator[Fault]:
    """Find every fault of one destination's terms; `where` is the destination."""
    tls = entry.tls
    if entry.scheme != "https" and (tls != Tls() or entry.close_after_each):
        yield Fault(f"{where}: tls", "there is no TLS over plain http", "take the terms out")
        return
    if tls.ca and not is_certificates(tls.ca):
        yield Fault(
            f"{where}: tls ca",
            "not certificates in PEM form",
            "paste the authority's '-----BEGIN CERTIFICATE-----' blocks, and nothing private",
        )
    if tls.identity and not NAME.match(tls.identity):
        yield bad_name(f"{where}: tls identity")
    yield from _check_pins(where, tls)


def _check_pins(where: str, tls: Tls) -> Iterator[Fault]:
    for pin in tls.pins:
        if not is_pin(pin):
            fix = "write sha256/ and the BASE64 of the SHA-256 of its SubjectPublicKeyInfo"
            yield Fault(f"{where}: tls pins", f"{pin!r} is no pin", fix)
    if not tls.pins:
        if tls.pins_until is not None or tls.pins_report_until is not None:
            yield Fault(f"{where}: tls", "a day for pins, and no pins", "write pins = [...]")
        return
    if len(set(tls.pins)) < 2:
        fix = "add the next key's, so that a renewal does not stop what is sent"
        yield Fault(f"{where}: tls pins", "there is only one", fix)
    if len(tls.pins) > PINS_LIMIT:
        fix = f"write at most {PINS_LIMIT}: the current one and the next ones"
        yield Fault(f"{where}: tls pins", "there are too many", fix)
    if tls.pins_until is None:
        fix = "say through which day the pins were agreed"
        yield Fault(f"{where}: tls pins_until", "the pins have no end", fix)
    elif tls.pins_report_until is not None and tls.pins_report_until >= tls.pins_until:
        fix = "let reporting end before the pins do, or they never hold"
        yield Fault(f"{where}: tls pins_report_until", "not before pins_until", fix)


def is_pin(text: str) -> bool:
    """True for a pin in its one spelling."""
    return _PIN.match(text) is not None


def is_certificates(text: str) -> bool:
    """True for text that holds certificates, all of them sound, and no key beside them."""
    if len(text) > CA_BYTES_LIMIT or not _PEM.match(text) or "PRIVATE KEY" in text:
        return False
    try:
        found = load_pem_x509_certificates(text.encode("ascii"))
    except ValueError:
        return False
    return len(found) == text.count("-----BEGIN") == len(Tls(ca=text).authorities)
