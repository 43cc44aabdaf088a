"""HashiCorp Vault's transit engine as a key provider: the master stays there.

Used by `epochs` through `provider.KeyProvider`. The key must derive one key for each context
(`derived=true`), for that is what binds a wrapped key to its tenant and name. Requests go to the
one address the operator configured, straight, whatever proxies the environment names, and no
redirect is followed. The token is read from its file for every request: it may be renewed there.
"""

import asyncio
import base64
import http.client
import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from dispatcher.model.errors import ConfigInvalid, DispatcherError, KeyMissing, KeyUnavailable
from dispatcher.vault.provider import KeyContext, Wrapped
from dispatcher.vault.xaes import KEY_BYTES

WHERE: Final = "vault.transit_url"
ANSWER_BYTES_MAX: Final = 1 << 20
_VERSION: Final = re.compile(r"vault:(v[0-9]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitTerms:
    """Where the engine is, which key, and the file that holds the token."""

    url: str
    key: str
    token_file: Path
    mount: str = "transit"
    namespace: str = ""
    ca_file: Path | None = None
    seconds: float = 5.0


class TransitProvider:
    """Wraps under a derived key of a transit engine."""

    name = "transit"

    def __init__(self, terms: TransitTerms) -> None:
        self._terms = terms
        self._is_fit = False

    async def generate(self, context: KeyContext) -> tuple[bytes, Wrapped]:
        """Give a fresh key, and the same key wrapped."""
        await self._check()
        made = await self._write(
            "datakey/plaintext", {"context": _encode(context), "bits": KEY_BYTES * 8}
        )
        return base64.b64decode(made["plaintext"]), self._wrapped(made)

    async def wrap(self, key: bytes, context: KeyContext) -> Wrapped:
        """Wrap a key."""
        await self._check()
        text = base64.b64encode(key).decode()
        return self._wrapped(
            await self._write("encrypt", {"context": _encode(context), "plaintext": text})
        )

    async def unwrap(self, wrapped: Wrapped, context: KeyContext) -> bytes:
        """Open a key."""
        given = {"context": _encode(context), "ciphertext": wrapped.blob.decode()}
        return base64.b64decode((await self._write("decrypt", given))["plaintext"])

    async def rewrap(self, wrapped: Wrapped, context: KeyContext) -> Wrapped:
        """Wrap a key anew under the newest version; it is not seen outside of the engine."""
        given = {"context": _encode(context), "ciphertext": wrapped.blob.decode()}
        return self._wrapped(await self._write("rewrap", given))

    async def rotate(self) -> str:
        """Have the engine make a new version of the key."""
        await self._ask("POST", f"keys/{self._key}/rotate", {})
        return await self.describe()

    async def describe(self) -> str:
        """Say which version wraps now. Raises where the key is not fit for this."""
        found = await self._ask("GET", f"keys/{self._key}", None)
        if not found.get("derived"):
            raise ConfigInvalid(
                "the key does not derive: nothing would bind a wrapped key to its tenant",
                where="vault.transit_key",
                fix="make one: vault write -f transit/keys/NAME type=aes256-gcm96 derived=true",
                code="key_provider_unfit",
            )
        self._is_fit = True
        return f"{self.name}:{self._terms.key}:v{found['latest_version']}"

    async def _check(self) -> None:
        if not self._is_fit:
            await self.describe()

    def _wrapped(self, data: dict[str, Any]) -> Wrapped:
        text = str(data["ciphertext"])
        version = _VERSION.match(text)
        return Wrapped(text.encode(), f"{self.name}:{self._terms.key}:{version and version[1]}")

    @property
    def _key(self) -> str:
        return quote(self._terms.key, safe="")

    async def _write(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._ask("POST", f"{action}/{self._key}", body)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        return await asyncio.to_thread(self._request, method, path, body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        terms = self._terms
        target = f"/v1/{quote(terms.mount.strip('/'))}/{path}"
        headers = {"X-Vault-Token": _read_token(terms.token_file), "X-Vault-Request": "true"}
        if terms.namespace:
            headers["X-Vault-Namespace"] = terms.namespace
        connection = self._connect()
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read(ANSWER_BYTES_MAX)
            if not 200 <= answer.status < 300:
                raise _told(answer.status)
            data = json.loads(text)["data"] if text else {}
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            raise _unavailable(type(error).__name__) from None
        finally:
            connection.close()
        return data if isinstance(data, dict) else {}

    def _connect(self) -> http.client.HTTPConnection:
        place, seconds = urlsplit(self._terms.url), self._terms.seconds
        host = place.hostname or ""
        if place.scheme == "http":
            return http.client.HTTPConnection(host, place.port, timeout=seconds)
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._terms.ca_file is not None:
            trust.load_verify_locations(self._terms.ca_file)
        else:
            trust.load_default_certs()
        return http.client.HTTPSConnection(host, place.port, timeout=seconds, context=trust)

    def __repr__(self) -> str:
        return f"TransitProvider({self._terms.key!r})"


def _encode(context: KeyContext) -> str:
    return base64.b64encode(json.dumps(context.texts, sort_keys=True).encode()).decode()


def _read_token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyUnavailable(
            f"the token of the transit engine cannot be read: {reason}",
            where="vault.transit_token_file",
            fix="name a file that this user may read, and that holds the token alone",
        ) from None


def _told(status: int) -> DispatcherError:
    # A sealed, standing-by or overloaded engine passes; so does a token that ran out.
    if status in (400, 404):
        return KeyMissing(
            f"the transit engine refuses the key ({status})",
            where=WHERE,
            fix="check mount and key, and that the key is of these contexts",
        )
    return _unavailable(str(status))


def _unavailable(what: str) -> KeyUnavailable:
    return KeyUnavailable(
        f"the transit engine does not answer as it should: {what}",
        where=WHERE,
        fix="check the address, the token, and that the engine is unsealed",
    )
