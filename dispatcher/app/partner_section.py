"""`[partner]` of the configuration: the listener that partners call, off unless it is configured.

Read by `app.config`. It reads no file.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from dispatcher.app.network_section import Count, Section
from dispatcher.model.endpoint import parse_endpoint


class PartnerSection(Section):
    """`[partner]`: where partners fetch what thin letters name, and the bounds of a request."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9465
    base_url: str = ""
    certificate: Path | None = None
    key: Path | None = None
    request_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    failed_per_minute: Count = 30

    @field_validator("base_url")
    @classmethod
    def _is_a_place_alone(cls, given: str) -> str:
        if not given:
            return given
        endpoint = parse_endpoint(given)
        if given != f"https://{endpoint.authority}":
            raise ValueError("write https://HOST or https://HOST:PORT, as partners call it")
        return given

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        given = (bool(self.base_url), self.certificate is not None, self.key is not None)
        if any(given) and not all(given):
            raise ValueError("base_url, certificate and key go together, or are all left out")
        return self

    @property
    def is_on(self) -> bool:
        """True where the listener is to be served."""
        return bool(self.base_url)
