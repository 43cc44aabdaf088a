"""`[network]` of the configuration: the limits of the way out, and by which way it leads.

Read by `app.config`, which adds what takes more than one section to judge. It reads no file.
"""

from ipaddress import IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dispatcher.app.environment import STEERING
from dispatcher.model.host import Network, parse_place
from dispatcher.network.settings import check_bind_addresses, parse_name_server, parse_proxy
from dispatcher.stages.gates.addresses import parse_nat64

Seconds = Annotated[float, Field(gt=0, le=86400)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Section(BaseModel):
    """One table of the file: unknown keys are refused, and no error shows what was given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class IdentitySection(Section):
    """`[network.identities.NAME]`: a client certificate with its chain, and its key, both PEM.

    The next pair takes the place of this one once it is valid.
    """

    certificate: Path
    key: Path
    next_certificate: Path | None = None
    next_key: Path | None = None

    @model_validator(mode="after")
    def _next_is_a_pair(self) -> Self:
        if (self.next_certificate is None) != (self.next_key is None):
            raise ValueError("next_certificate and next_key come together")
        return self


class NetworkSection(Section):
    """`[network]`: the limits of the way out."""

    connect_seconds: Seconds = 5.0
    dns_seconds: Seconds = 5.0
    dns_cache_seconds: Seconds = 30.0
    resolver: Literal["system", "name_servers"] = "system"
    name_servers: tuple[str, ...] = ()
    private_name_servers: tuple[str, ...] = ()
    keepalive_seconds: Seconds = 60.0
    answer_bytes_max: Annotated[int, Field(ge=1024, le=1_048_576)] = 65536
    connections_per_partner_max: Count = 1024
    ca_file: Path | None = None
    identities: dict[str, IdentitySection] = {}
    nat64_prefixes: tuple[str, ...] = ()
    bind_addresses: tuple[str, ...] = ()
    proxy: str = ""
    proxy_credentials_file: Path | None = None
    forbidden: tuple[str, ...] = ()
    loopback_inboxes: tuple[str, ...] = ()
    tolerated_variables: tuple[str, ...] = ()

    @field_validator("tolerated_variables")
    @classmethod
    def _each_would_be_refused(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not set(given) <= set(STEERING):
            raise ValueError(f"each is one of {', '.join(STEERING)}")
        return given

    @field_validator("nat64_prefixes")
    @classmethod
    def _each_is_a_prefix(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            parse_nat64(text)
        return given

    @field_validator("bind_addresses")
    @classmethod
    def _each_is_one_of_a_family(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return check_bind_addresses(given)

    @field_validator("proxy")
    @classmethod
    def _proxy_is_an_address(cls, given: str) -> str:
        if given:
            parse_proxy(given)
        return given

    @field_validator("loopback_inboxes")
    @classmethod
    def _each_is_address_and_port(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for pair in given:
            address, _, port = pair.rpartition(":")
            is_port = (
                port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535
            )
            if address not in ("127.0.0.1", "[::1]") or not is_port:
                raise ValueError("each is 127.0.0.1:PORT or [::1]:PORT")
        return given

    @field_validator("name_servers", "private_name_servers")
    @classmethod
    def _each_is_a_name_server(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(parse_name_server, given))

    @field_validator("forbidden")
    @classmethod
    def _each_is_a_network(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(parse_place(text)) for text in given)

    @property
    def forbidden_networks(self) -> frozenset[Network]:
        """What no letter may be sent to, whatever else grants it."""
        return frozenset(map(parse_place, self.forbidden))

    @property
    def translators(self) -> tuple[IPv6Network, ...]:
        """The prefixes of this network's NAT64 translators."""
        return tuple(map(parse_nat64, self.nat64_prefixes))

    @property
    def inboxes(self) -> frozenset[tuple[str, int]]:
        """The loopback inboxes as address and port."""
        pairs = (pair.rpartition(":") for pair in self.loopback_inboxes)
        return frozenset((address.strip("[]"), int(port)) for address, _, port in pairs)
