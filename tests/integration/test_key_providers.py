"""Key providers: what they wrap opens again, in its own context alone, and they fail closed.

The keyring file is real, AWS KMS is moto's behind the real SDK, and the transit engine is our own,
over TLS. One suite for all three; what only one of them has stands below.
"""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from dispatcher.model.errors import (
    ConfigInvalid,
    KeyMissing,
    KeyUnavailable,
    SealBroken,
)
from dispatcher.vault.aws import AwsProvider, AwsTerms
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.keyring import create_keyring, load_keyring
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyContext, KeyProvider, KeyProviders, Wrapped
from dispatcher.vault.sealer import Vault
from dispatcher.vault.transit import TransitProvider, TransitTerms
from tests.support.records import KEYRING
from tests.support.transit import KEY, Engine, open_engine
from tests.support.vaults import MemoryEpochs

REGION = "eu-central-1"
HERE = KeyContext("acme", "e1")
ELSEWHERE = (KeyContext("bolt", "e1"), KeyContext("acme", "e2"), KeyContext("", "e1"))
REFUSED = (KeyMissing, SealBroken)


@pytest.fixture
def master() -> Iterator[AwsTerms]:
    with mock_aws():
        client = boto3.client("kms", region_name=REGION)
        yield AwsTerms(key=client.create_key()["KeyMetadata"]["Arn"], region=REGION)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with open_engine(tmp_path) as engine:
        yield engine


def transit(engine: Engine, **more: object) -> TransitProvider:
    terms = TransitTerms(
        url=engine.url, key=KEY, token_file=engine.token_file, ca_file=engine.ca_file
    )
    return TransitProvider(replace(terms, **more))


def local(folder: Path) -> LocalProvider:
    return LocalProvider(create_keyring(folder / "keyring.json"), folder / "keyring.json")


@pytest.fixture(params=["local", "aws", "transit"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> KeyProvider:
    if request.param == "local":
        return local(tmp_path)
    if request.param == "aws":
        return AwsProvider(request.getfixturevalue("master"))
    return transit(request.getfixturevalue("engine"))


async def test_what_is_wrapped_opens_in_its_own_context_alone(provider: KeyProvider):
    key, wrapped = await provider.generate(HERE)
    assert len(key) == 32
    assert key not in wrapped.blob
    assert await provider.unwrap(wrapped, HERE) == key
    for context in ELSEWHERE:
        with pytest.raises(REFUSED):
            await provider.unwrap(wrapped, context)
    again = await provider.wrap(key, HERE)
    assert await provider.unwrap(again, HERE) == key
    assert again.blob != wrapped.blob


async def test_a_wrapped_key_that_was_altered_does_not_open(provider: KeyProvider):
    _, wrapped = await provider.generate(HERE)
    middle = len(wrapped.blob) // 2
    altered = bytes([wrapped.blob[middle] ^ 1])
    blob = wrapped.blob[:middle] + altered + wrapped.blob[middle + 1 :]
    with pytest.raises((*REFUSED, KeyUnavailable)):
        await provider.unwrap(replace(wrapped, blob=blob), HERE)


async def test_after_a_rotation_the_old_opens_and_the_new_wraps(provider: KeyProvider):
    key, old = await provider.generate(HERE)
    before = await provider.describe()
    rotated = await provider.rotate()
    assert rotated == await provider.describe()
    assert await provider.unwrap(old, HERE) == key
    new = await provider.rewrap(old, HERE)
    assert new.blob != old.blob
    assert await provider.unwrap(new, HERE) == key
    if provider.name != "aws":  # KMS keeps the name of a master whose material it renews
        assert old.kek == before
        assert new.kek == rotated != before
    with pytest.raises(REFUSED):
        await provider.rewrap(old, KeyContext("bolt", "e1"))


async def test_a_provider_shows_no_secret(provider: KeyProvider):
    key, wrapped = await provider.generate(HERE)
    shown = f"{provider!r} {wrapped!r} {await provider.describe()}"
    assert key.hex() not in shown
    assert base64.b64encode(key).decode() not in shown
    assert "hvs." not in shown
    assert "blob" not in repr(wrapped)


async def test_a_vault_seals_and_opens_under_each_provider(provider: KeyProvider):
    epochs = MemoryEpochs()
    one, two = (
        Vault(KEYRING, EpochKeys(epochs, KeyProviders(provider), boot=lambda: 0.0)) for _ in "12"
    )
    place = payload_place("acme", "evt_1")
    blob = await one.seal_soon(b"very private", place)
    assert await two.open_soon(blob, place) == b"very private"


async def test_keys_move_from_one_provider_to_another_and_none_is_lost(
    tmp_path: Path, master: AwsTerms, engine: Engine
):
    old, new = local(tmp_path), AwsProvider(master)
    key, wrapped = await old.generate(HERE)
    for primary in (new, transit(engine), old):
        both = KeyProviders(primary, old, new, transit(engine))
        wrapped = await both.rewrap(wrapped, HERE)
        assert wrapped.kek.startswith(f"{primary.name}:")
        assert await both.unwrap(wrapped, HERE) == key
    with pytest.raises(KeyMissing, match="transit"):
        await KeyProviders(old).unwrap(Wrapped(b"", "transit:dispatcher:v1"), HERE)


# The keyring file


async def test_a_key_added_to_the_file_is_known_without_a_restart(tmp_path: Path):
    first = local(tmp_path)
    other = LocalProvider(load_keyring(tmp_path / "keyring.json"), tmp_path / "keyring.json")
    root = load_keyring(tmp_path / "keyring.json").root
    await first.rotate()
    key, wrapped = await first.generate(HERE)
    assert await other.unwrap(wrapped, HERE) == key
    grown = load_keyring(tmp_path / "keyring.json")
    assert (grown.root, len(grown.keys)) == (root, 2)
    assert grown.primary != root
    assert (tmp_path / "keyring.json").stat().st_mode & 0o777 == 0o600


async def test_of_keys_that_are_added_at_once_none_is_lost(tmp_path: Path):
    path = tmp_path / "keyring.json"
    first = create_keyring(path)
    providers = [LocalProvider(first, path) for _ in range(8)]
    added = await asyncio.gather(*(provider.rotate() for provider in providers))
    assert {name.partition(":")[2] for name in added} <= load_keyring(path).keys.keys()
    assert len(load_keyring(path).keys) == 1 + len(providers)


async def test_a_keyring_that_others_may_read_wraps_nothing(tmp_path: Path):
    provider = local(tmp_path)
    (tmp_path / "keyring.json").chmod(0o640)
    with pytest.raises(ConfigInvalid) as raised:
        await provider.generate(HERE)
    assert raised.value.reason == "keyring_mode"


# AWS KMS


async def test_a_master_that_is_not_there_or_disabled_is_said_to_be(master: AwsTerms):
    with pytest.raises(KeyMissing):
        await AwsProvider(replace(master, key=master.key[:-1] + "x")).describe()
    key_id = master.key.rpartition("/")[2]  # moto disables by this name alone
    boto3.client("kms", region_name=REGION).disable_key(KeyId=key_id)
    with pytest.raises(ConfigInvalid, match="Disabled"):
        await AwsProvider(master).describe()


async def test_kms_out_of_reach_may_come_back(master: AwsTerms):
    away = AwsProvider(replace(master, endpoint="http://127.0.0.1:9", seconds=0.5))
    with pytest.raises(KeyUnavailable):
        await away.generate(HERE)


# The transit engine


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_an_engine_that_is_sealed_or_refuses_the_token_may_come_back(
    engine: Engine, status: int
):
    provider = transit(engine)
    _, wrapped = await provider.generate(HERE)
    engine.status = status
    with pytest.raises(KeyUnavailable, match=str(status)):
        await provider.unwrap(wrapped, HERE)


async def test_a_key_that_does_not_derive_is_not_used(engine: Engine):
    engine.is_derived = False
    for ask in (transit(engine).describe(), transit(engine).generate(HERE)):
        with pytest.raises(ConfigInvalid) as raised:
            await ask
        assert raised.value.reason == "key_provider_unfit"
    assert not [each for each in engine.asked if "datakey" in each]


async def test_an_engine_that_cannot_show_who_it_is_is_sent_nothing(engine: Engine):
    with pytest.raises(KeyUnavailable):
        await transit(engine, ca_file=None).describe()
    assert engine.asked == []


async def test_a_token_is_read_for_every_request_and_never_told(engine: Engine, tmp_path: Path):
    provider = transit(engine)
    await provider.describe()
    engine.token_file.write_text("hvs.revoked-by-now")
    with pytest.raises(KeyUnavailable) as raised:
        await provider.describe()
    assert "hvs." not in str(raised.value)
    engine.token_file.unlink()
    with pytest.raises(KeyUnavailable) as raised:
        await provider.describe()
    assert raised.value.where == "vault.transit_token_file"
