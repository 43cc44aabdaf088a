"""Sealing at rest: what the store writes down, only this room can read.

    format(1) | length of key id(1) | key id | nonce(24) | ciphertext | tag(16)

The place of a record (table, column, tenant, row) is bound into the seal, so a blob that was moved
to another row, column or tenant does not open. Keys are a tenant's for an epoch (`epochs`), and
named in the blob. `seal` and `open` never wait: what hot code needs is made ready before, by
`ready` and `fetch`; whoever may wait uses `seal_soon` and `open_soon`. Names of people and hosts
hang on the keyring's root instead, for they must never change. It must never write a key or a
plaintext anywhere, and never open what does not verify.
"""

import hmac
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag

from dispatcher.model.errors import KeyMissing, KeyUnavailable, SealBroken
from dispatcher.model.event import INTAKE_FORMAT
from dispatcher.vault.deriving import derive, prefixed
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.intake import IntakeKey, seal_to_intake
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.xaes import NONCE_BYTES, TAG_BYTES

FORMAT: Final = 1
TENANTS_CACHED_MAX: Final = 4096
PSEUDONYM_PREFIX: Final = "sub_"
_PSEUDONYM_BYTES: Final = 16
_TOKEN_BYTES: Final = 20
_FORMAT_BYTE: Final = bytes([FORMAT])
_FORMATS: Final = (FORMAT, INTAKE_FORMAT)
_INTAKE: Final = ("events", "payload")
"""Where alone that opens which anybody may have sealed: a secret that lies elsewhere is ours."""
_NAMING: Final = "dispatcher pseudonym v1"
_OWNING: Final = "dispatcher ownership token v1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed record lives. A blob opens nowhere else."""

    table: str
    column: str
    tenant: str
    row: str


@lru_cache(maxsize=TENANTS_CACHED_MAX)
def start_of(key_id: str) -> bytes:
    """Say how every record begins that lies under this key."""
    return _FORMAT_BYTE + prefixed(key_id, 1)


class Vault:
    """Seals and opens records, and names people without saying who they are."""

    def __init__(self, keyring: Keyring, keys: EpochKeys) -> None:
        self._keys = keys
        root = keyring.key(keyring.root)

        def naming_key(tenant: str) -> bytes:
            return derive(root, _NAMING, tenant)

        self._owning_key = derive(root, _OWNING, "")
        self._naming_key: Callable[[str], bytes] = lru_cache(maxsize=TENANTS_CACHED_MAX)(naming_key)

    async def ready(self, *tenants: str) -> None:
        """Have at hand what seals these tenants' records now. Raises `KeyUnavailable`."""
        await self._keys.ready(*tenants)

    def is_ready(self, tenant: str) -> bool:
        """True while what seals this tenant's records is at hand."""
        try:
            self._keys.sealing(tenant)
        except KeyUnavailable:
            return False
        return True

    async def fetch(self, *blobs: bytes) -> None:
        """Have at hand what opens these records.

        Raises `KeyUnavailable`, `KeyMissing`, or `KeyDestroyed` where that is gone for good. What
        is no sealed record at all is for `open` to say.
        """
        await self._keys.fetch(*filter(None, map(_key_of, blobs)))

    def forget(self) -> None:
        """Drop every key that is at hand: one of them was destroyed, or is no longer the newest."""
        self._keys.forget()

    async def renew(self) -> None:
        """Drop tenants' keys if that has come to pass: for whoever reads no policy that tells it.

        Raises `KeyUnavailable` where nobody can say.
        """
        await self._keys.renew()

    async def seal_soon(self, plaintext: bytes, place: Place) -> bytes:
        """Seal as soon as the key is at hand."""
        await self._keys.ready(place.tenant)
        return self.seal(plaintext, place)

    async def open_soon(self, blob: bytes, place: Place) -> bytes:
        """Open as soon as the key is at hand."""
        await self.fetch(blob)
        return self.open(blob, place)

    def seal(self, plaintext: bytes, place: Place) -> bytes:
        """Close a record under its tenant's key of today and bind it to its place.

        Raises `KeyUnavailable` where that key is not at hand.
        """
        held, nonce = self._keys.sealing(place.tenant), os.urandom(NONCE_BYTES)
        return start_of(held.id) + nonce + held.cipher.seal(nonce, plaintext, _bind(place, held.id))

    def open(self, blob: bytes, place: Place) -> bytes:
        """Open a record at its place.

        Raises `SealBroken`, or, without its key at hand, `KeyUnavailable` or `KeyDestroyed`.
        """
        key_id, start = _read_header(blob)
        held, bound = self._keys.opening(key_id), _bind(place, key_id)
        try:
            if blob[0] == FORMAT:
                nonce_end = start + NONCE_BYTES
                return held.cipher.open(blob[start:nonce_end], blob[nonce_end:], bound)
            if held.intake is not None and (place.table, place.column) == _INTAKE:
                return held.intake.open(blob[start:], bound)
        except InvalidTag:
            pass
        raise _broken("it was altered or moved, or the key is another", place)

    def intake_key(self) -> IntakeKey:
        """Give the public key that producers seal to now. Raises `KeyUnavailable`."""
        intake = self._keys.sealing("").intake
        if intake is None:
            raise KeyMissing("the registry's key opens no intake", where="epoch_keys")
        return intake.key

    def pseudonym(self, tenant: str, subject: str) -> str:
        """Name a person for the ledger: the same within a tenant, unlinkable across tenants."""
        code = hmac.digest(self._naming_key(tenant), subject.encode(), "sha256")
        return PSEUDONYM_PREFIX + code[:_PSEUDONYM_BYTES].hex()

    def pseudonyms(self, tenant: str, subjects: Iterable[str]) -> tuple[str, ...]:
        """Name several people of a tenant, in the order given."""
        return tuple(self.pseudonym(tenant, subject) for subject in subjects)

    def ownership_token(self, connector: str, host: str) -> str:
        """Give what a host's DNS record says for a connector: always the same, and no secret."""
        code = hmac.digest(self._owning_key, prefixed(connector) + prefixed(host), "sha256")
        return code[:_TOKEN_BYTES].hex()

    def __repr__(self) -> str:
        return f"Vault({self._keys!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault cannot be pickled")


def _read_header(blob: bytes) -> tuple[str, int]:
    """Give the key id and the offset of the nonce."""
    if len(blob) < 2 or blob[0] not in _FORMATS:
        raise SealBroken("the record is not in a format this release knows")
    start = 2 + blob[1]
    if start == 2:
        raise SealBroken("the record names no key")
    if len(blob) < start + NONCE_BYTES + TAG_BYTES:
        raise SealBroken("the record is cut short")
    try:
        return blob[2:start].decode("ascii"), start
    except UnicodeDecodeError:
        raise SealBroken("the record names no key") from None


def _key_of(blob: bytes) -> str:
    """Give the key that a record names, or nothing where it names none."""
    if len(blob) < 2 or blob[0] not in _FORMATS:
        return ""
    return blob[2 : 2 + blob[1]].decode("ascii", errors="ignore")


def seal_for_workers(key: IntakeKey, plaintext: bytes, place: Place) -> bytes:
    """Close a record so that only a worker can open it, at its place."""
    return seal_to_intake(key, plaintext, _bind(place, key.id))


def _bind(place: Place, key_id: str) -> bytes:
    return _binding(place.table, place.column, place.tenant, key_id) + prefixed(place.row)


@lru_cache(maxsize=TENANTS_CACHED_MAX)
def _binding(table: str, column: str, tenant: str, key_id: str) -> bytes:
    parts = (prefixed(part) for part in (table, column, tenant, key_id))
    return len(_FORMAT_BYTE).to_bytes(4, "big") + _FORMAT_BYTE + b"".join(parts)


def _broken(why: str, place: Place) -> SealBroken:
    return SealBroken(
        f"a sealed record does not open: {why}",
        where=f"{place.table}.{place.column} {place.row}",
        fix="restore the row, or the registry that holds its key, from a backup",
    )
