"""AWS KMS as a key provider: keys are made, wrapped and opened there, and the master never leaves.

Used by `epochs` through `provider.KeyProvider`. The SDK knows no asyncio; calls are rare, so each
is made in a thread. It goes where the operator's configuration says, nowhere a partner could name.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from dispatcher.model.errors import ConfigInvalid, DispatcherError, KeyMissing, KeyUnavailable
from dispatcher.vault.provider import KeyContext, Wrapped
from dispatcher.vault.xaes import KEY_BYTES

WHERE: Final = "vault.aws_key"
_FINAL: Final = frozenset(
    {
        "AccessDeniedException",
        "IncorrectKeyException",
        "InvalidArnException",
        "InvalidCiphertextException",
        "InvalidKeyUsageException",
        "NotFoundException",
        "ValidationException",
    }
)
"""Answers that asking again will not change; every other may pass, a disabled key too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsTerms:
    """Which key, and how to reach it; credentials are found as the SDK does everywhere."""

    key: str
    region: str = ""
    endpoint: str = ""
    seconds: float = 5.0


class AwsProvider:
    """Wraps under a symmetric key of AWS KMS."""

    name = "aws"

    def __init__(self, terms: AwsTerms) -> None:
        self._terms = terms

    async def generate(self, context: KeyContext) -> tuple[bytes, Wrapped]:
        """Give a fresh key, and the same key wrapped."""
        made = await self._ask(
            "generate_data_key",
            KeyId=self._terms.key,
            NumberOfBytes=KEY_BYTES,
            EncryptionContext=context.texts,
        )
        return made["Plaintext"], self._wrapped(made)

    async def wrap(self, key: bytes, context: KeyContext) -> Wrapped:
        """Wrap a key."""
        done = await self._ask(
            "encrypt", KeyId=self._terms.key, Plaintext=key, EncryptionContext=context.texts
        )
        return self._wrapped(done)

    async def unwrap(self, wrapped: Wrapped, context: KeyContext) -> bytes:
        """Open a key, by the very master it is said to be wrapped by."""
        kek = wrapped.kek.partition(":")[2]
        done = await self._ask(
            "decrypt", KeyId=kek, CiphertextBlob=wrapped.blob, EncryptionContext=context.texts
        )
        key: bytes = done["Plaintext"]
        return key

    async def rewrap(self, wrapped: Wrapped, context: KeyContext) -> Wrapped:
        """Wrap a key anew; it is not seen outside of KMS."""
        done = await self._ask(
            "re_encrypt",
            CiphertextBlob=wrapped.blob,
            SourceKeyId=wrapped.kek.partition(":")[2],
            SourceEncryptionContext=context.texts,
            DestinationKeyId=self._terms.key,
            DestinationEncryptionContext=context.texts,
        )
        return self._wrapped(done)

    async def rotate(self) -> str:
        """Have KMS give the master new material; it keeps the old for what that wrapped."""
        await self._ask("rotate_key_on_demand", KeyId=self._terms.key)
        return await self.describe()

    async def describe(self) -> str:
        """Say which key wraps now. Raises where it cannot."""
        found = (await self._ask("describe_key", KeyId=self._terms.key))["KeyMetadata"]
        if found["KeySpec"] != "SYMMETRIC_DEFAULT" or found["KeyState"] != "Enabled":
            raise ConfigInvalid(
                f"the key is {found['KeySpec']} and {found['KeyState']}",
                where=WHERE,
                fix="name an enabled key of the kind SYMMETRIC_DEFAULT",
                code="key_provider_unfit",
            )
        return f"{self.name}:{found['Arn']}"

    def _wrapped(self, answer: dict[str, Any]) -> Wrapped:
        return Wrapped(answer["CiphertextBlob"], f"{self.name}:{answer['KeyId']}")

    async def _ask(self, operation: str, **terms: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self._call, operation, terms)

    def _call(self, operation: str, terms: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        call: Callable[..., dict[str, Any]] = getattr(self._client, operation)
        try:
            return call(**terms)
        except ClientError as error:
            raise _told(str(error.response.get("Error", {}).get("Code", ""))) from None
        except BotoCoreError as error:  # no route, no credentials, no time
            raise _unavailable(type(error).__name__) from None

    @cached_property
    def _client(self) -> Any:
        try:
            from boto3.session import Session
            from botocore.config import Config
        except ImportError:
            raise ConfigInvalid(
                "the package for AWS is not installed",
                where="vault.provider",
                fix="pip install 'dispatcher[server,aws]'",
                code="extra_missing",
            ) from None
        terms = self._terms
        limits = Config(
            connect_timeout=terms.seconds,
            read_timeout=terms.seconds,
            retries={"mode": "standard", "total_max_attempts": 2},
        )
        return Session().client(
            "kms",
            region_name=terms.region or None,
            endpoint_url=terms.endpoint or None,
            config=limits,
        )

    def __repr__(self) -> str:
        return f"AwsProvider({self._terms.key!r})"


def _told(code: str) -> DispatcherError:
    if code not in _FINAL:
        return _unavailable(code)
    return KeyMissing(
        f"AWS KMS refuses the key: {code}",
        where=WHERE,
        fix="check the key and that this role may use it, with this encryption context",
    )


def _unavailable(what: str) -> KeyUnavailable:
    return KeyUnavailable(
        f"AWS KMS does not answer as it should: {what}",
        where=WHERE,
        fix="check the network, the credentials and the state of the key",
    )
