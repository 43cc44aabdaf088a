"""Composes the key providers that the configuration names, and the keys at hand that hang on them.

Called by `house` and `doctor`. Every provider that is configured can open what it wrapped; the one
named in `[vault] provider` wraps.
"""

from collections.abc import Callable

from dispatcher.app.config import Config
from dispatcher.model.days import DAY_US
from dispatcher.vault.aws import AwsProvider, AwsTerms
from dispatcher.vault.epochs import EpochKeys, EpochStore
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.provider import KeyProvider, KeyProviders
from dispatcher.vault.transit import TransitProvider, TransitTerms


def key_providers(config: Config, keyring: Keyring) -> KeyProviders:
    """Give every provider that is configured; nothing is asked of them yet."""
    vault, found = config.vault, dict[str, KeyProvider]()
    found["local"] = LocalProvider(keyring, config.keyring_path)
    if vault.aws_key:
        found["aws"] = AwsProvider(
            AwsTerms(
                key=vault.aws_key,
                region=vault.aws_region,
                endpoint=vault.aws_endpoint,
                seconds=vault.provider_seconds,
            )
        )
    if vault.transit_token_file is not None:
        roots = vault.transit_ca_file
        found["transit"] = TransitProvider(
            TransitTerms(
                url=vault.transit_url,
                key=vault.transit_key,
                token_file=config.base / vault.transit_token_file,
                mount=vault.transit_mount,
                namespace=vault.transit_namespace,
                ca_file=config.base / roots if roots is not None else None,
                seconds=vault.provider_seconds,
            )
        )
    return KeyProviders(found[vault.provider], *found.values())


def epoch_keys(
    config: Config, providers: KeyProviders, store: EpochStore, boot: Callable[[], float]
) -> EpochKeys:
    """Give the keys at hand of one registry."""
    return EpochKeys(
        store,
        providers,
        boot=boot,
        cache_seconds=config.vault.cache_minutes * 60,
        period_us=config.vault.epoch_days * DAY_US,
    )
