"""`[vault]` of the configuration: who keeps the key of keys, how long keys seal, and are at hand.

Read by `app.config`. It reads no file and asks nobody.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from dispatcher.app.network_section import Count, Section

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class VaultSection(Section):
    """`[vault]`: the keys that seal what is at rest, and how often tokens may be turned back."""

    keyring: Path = Path("dispatcher-data") / "keyring.json"
    provider: Literal["local", "aws", "transit"] = "local"
    epoch_days: Annotated[int, Field(ge=1, le=366)] = 7
    cache_minutes: Annotated[float, Field(gt=0, le=1440)] = 15.0
    provider_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    aws_key: str = ""
    aws_region: str = ""
    aws_endpoint: str = ""
    transit_url: str = ""
    transit_key: str = ""
    transit_mount: str = "transit"
    transit_namespace: str = ""
    transit_token_file: Path | None = None
    transit_ca_file: Path | None = None
    detokenisations_per_hour: Count = 60

    @field_validator("transit_url", "aws_endpoint")
    @classmethod
    def _is_private(cls, given: str) -> str:
        if not given:
            return given
        place = urlsplit(given)
        if not place.hostname or place.username or place.query or place.path not in ("", "/"):
            raise ValueError("write it as https://HOST:PORT")
        if place.scheme != "https" and not (place.scheme == "http" and place.hostname in _LOOPBACK):
            raise ValueError("keys go over https alone, or to an agent on this machine")
        return given

    @field_validator("transit_token_file", "transit_ca_file", mode="before")
    @classmethod
    def _empty_is_none(cls, given: object) -> object:
        return None if given == "" else given

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.provider == "aws" and not self.aws_key:
            raise ValueError("the provider aws needs aws_key")
        transit = (self.transit_url, self.transit_key, self.transit_token_file)
        if (self.provider == "transit" or any(transit)) and not all(transit):
            raise ValueError("transit needs transit_url, transit_key and transit_token_file")
        return self
