"""The configuration: one TOML file, overridden by `DISPATCHER__SECTION__KEY`; one frozen record.

The only module that reads the environment or a config file. Unknown keys are refused and all faults
are reported together, each with its place. Relative paths are taken from the config file's folder.
A secret is given by file or environment, and no error or repr shows a database URL.
"""

import getpass
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from dispatcher.app.network_section import Count, NetworkSection, Seconds, Section
from dispatcher.app.partner_section import PartnerSection
from dispatcher.app.vault_section import VaultSection
from dispatcher.model.errors import ConfigInvalid
from dispatcher.model.switch import WAIT_SECONDS_MAX

FILE_NAME: Final = "dispatcher.toml"
PREFIX: Final = "DISPATCHER__"
CONFIG_VARIABLE: Final = "DISPATCHER_CONFIG"
DEBUG_VARIABLE: Final = "DISPATCHER_DEBUG"
DATA_FOLDER: Final = "dispatcher-data"
FILE_BYTES_MAX: Final = 1_048_576
_URL_TERMS: Final = {
    "host": re.compile(r"/[^\x00]*\Z"),
    "ssl": re.compile(r"(?:disable|allow|prefer|require|verify-ca|verify-full)\Z"),
}
"""What may stand after the `?` of a PostgreSQL URL: a socket's folder, and how TLS is used."""


class _DatabaseSection(Section):
    url: SecretStr = SecretStr(f"sqlite:///{DATA_FOLDER}/dispatcher.db")
    url_file: Path | None = None
    connections_max: Count = 8


class RegistrySection(_DatabaseSection):
    """`[registry]`: where revisions, switches and keys live, and how many people widen."""

    approvals: Literal[1, 2] = 2
    independent_approvers: bool = False


class OutboxSection(_DatabaseSection):
    """`[outbox]`: where events, deliveries and disclosures live."""


class KeysSection(Section):
    """`[keys]`: when we are reminded that a key has signed for long enough."""

    remind_after_days: Annotated[int, Field(ge=1, le=3650)] = 90


class AuditSection(Section):
    """`[audit]`: where the log's checkpoints are kept, outside the database."""

    checkpoint_file: Path | None = Path(DATA_FOLDER) / "audit-checkpoints"

    @field_validator("checkpoint_file", mode="before")
    @classmethod
    def _empty_is_none(cls, given: object) -> object:
        return None if given == "" else given


class WorkerSection(Section):
    """`[worker]`: pace and leases."""

    lease_seconds: Annotated[float, Field(ge=5, le=3600)] = 60.0
    policy_lease_seconds: Annotated[float, Field(ge=0.5, le=60)] = 2.0
    policy_poll_seconds: Seconds = 0.25
    claim_batch_max: Count = 256
    queued_max: Count = 1024
    poll_busy_seconds: Seconds = 0.01
    poll_idle_seconds: Seconds = 0.25
    commit_rows_max: Count = 256
    commit_gather_seconds: Annotated[float, Field(ge=0, le=1)] = 0.002
    upkeep_seconds: Seconds = 1.0
    sweep_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    drain_seconds: Seconds = 20.0
    rest_after_failures: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    rest_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0


class ApiSection(Section):
    """`[api]`: where the API, health and metrics are served, and the bounds of a request."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9464
    body_bytes_max: Annotated[int, Field(ge=1024, le=268_435_456)] = 16_777_216
    request_seconds: Annotated[float, Field(gt=WAIT_SECONDS_MAX, le=600)] = 60.0
    failed_auth_per_minute: Count = 30


class LogSection(Section):
    """`[log]`: how much is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(BaseSettings):
    """The whole configuration. `base` is the folder that relative paths start from."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    environment: Literal["production", "dev"] = "production"
    registry: RegistrySection = RegistrySection()
    outbox: OutboxSection = OutboxSection()
    vault: VaultSection = VaultSection()
    keys: KeysSection = KeysSection()
    audit: AuditSection = AuditSection()
    worker: WorkerSection = WorkerSection()
    network: NetworkSection = NetworkSection()
    api: ApiSection = ApiSection()
    partner: PartnerSection = PartnerSection()
    log: LogSection = LogSection()
    base: Path = Path()
    source: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, and nothing else speak."""
        return env_settings, init_settings

    @property
    def keyring_path(self) -> Path:
        """Where the keyring file is."""
        return self.base / self.vault.keyring

    @property
    def checkpoint_path(self) -> Path | None:
        """Where the audit log's checkpoints are kept."""
        file = self.audit.checkpoint_file
        return self.base / file if file is not None else None

    @property
    def partner_files(self) -> tuple[Path, Path] | None:
        """Where the partner listener's certificate and key are; `None` where it is off."""
        certificate, key = self.partner.certificate, self.partner.key
        if certificate is None or key is None:
            return None
        return self.base / certificate, self.base / key

    def database_url(self, section: _DatabaseSection) -> str:
        """Give a section's URL in clear, SQLite files placed under the config's folder."""
        url = section.url.get_secret_value()
        if section.url_file is not None:
            url = read_text(self.base / section.url_file, "url_file").strip()
        plane = "registry" if section is self.registry else "outbox"
        _check_url(url, where=f"{plane}.url")
        scheme, found, file = url.partition(":///")
        if found and scheme.startswith("sqlite") and file not in ("", ":memory:"):
            return f"{scheme}:///{self.base / file}"
        return url


def load_config(path: Path | None = None) -> Config:
    """Read the configuration. Raises `ConfigInvalid` naming every fault and its place.

    Without a path: `DISPATCHER_CONFIG`, else `dispatcher.toml` in this folder, else the defaults.
    """
    named = path or (Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else None)
    # Whatever stands there under this name must be readable: a folder or a dead link is a fault.
    found = named or (Path(FILE_NAME) if os.path.lexists(FILE_NAME) else None)
    content = _parse(found) if found is not None else {}
    for own in ("base", "source"):
        if own in content:
            raise ConfigInvalid("unknown key", where=f"{found}: {own}", fix="remove it")
    base = found.resolve().parent if found is not None else Path.cwd()
    try:
        config = Config(**content, base=base, source=found)
    except ValidationError as error:
        raise _invalid(error, found) from None
    except SettingsError as error:
        raise _unreadable_value(str(error)) from None
    _check(config, found)
    return config


def wants_trace() -> bool:
    """True when `DISPATCHER_DEBUG` asks for the trace of a fault of our own."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def actor_name() -> str:
    """Name who is at the command line; a container's user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def read_text(path: Path, what: str, *, bytes_max: int = FILE_BYTES_MAX) -> str:
    """Read a text file of bounded size, or raise `ConfigInvalid` naming it."""
    try:
        return _bounded(path, bytes_max)
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8 text"
        raise ConfigInvalid(
            f"cannot read {what}: {reason}",
            where=str(path),
            fix="check the path and its permissions",
            code="config_unreadable",
        ) from None


def _bounded(path: Path, bytes_max: int) -> str:
    with path.open("rb") as file:
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise ValueError(f"it is larger than {bytes_max} bytes")
    return content.decode()


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path, "the configuration"))
    except tomllib.TOMLDecodeError as error:
        why = str(error)
    except RecursionError:
        why = "nested too deeply"
    except ValueError:
        why = "a number with too many digits, or a date that is none"
    raise ConfigInvalid(
        f"not valid TOML: {why}", where=str(path), fix="compare with config.example.toml"
    )


def _unreadable_value(said: str) -> ConfigInvalid:
    # The library's text is: error parsing value for field "network" from source "..."
    section = next((part for part in said.split('"')[1:2]), "")
    return ConfigInvalid(
        f"{section}: a value cannot be read",
        where=f"environment: {PREFIX}{section.upper()}...",
        fix=f'set {PREFIX}{section.upper()}__KEY for each key; write a list as JSON: ["..."]',
    )


def _check_url(url: str, *, where: str) -> None:
    """Refuse what the drivers would stumble over; the store knows which databases there are."""
    scheme, _, rest = url.partition("://")
    # What stands before the first `@` may be a password with any sign in it: it is not looked at.
    place = rest.partition("@")[2] or rest
    try:
        parts = urlsplit(f"{scheme}://{place}")
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not has_port:
        raise _bad_url("the port is not from 1 to 65535, or the host is none", where)
    terms = parse_qsl(parts.query, keep_blank_values=True)
    if terms and not scheme.startswith("postgresql"):
        raise _bad_url("it takes no parameters after '?'", where)
    if not all(name in _URL_TERMS for name, _ in terms):
        raise _bad_url(f"the only parameters are {' and '.join(sorted(_URL_TERMS))}", where)
    for name, value in terms:
        if not _URL_TERMS[name].match(value):
            raise _bad_url(f"the parameter {name} has a value it cannot have", where)


def _bad_url(why: str, where: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"not a database URL this product works with: {why}",
        where=where,
        fix="use postgresql://USER@HOST:PORT/NAME, with ?ssl=verify-full for TLS, or sqlite:///FILE",
        code="database_url",
    )


def _invalid(error: ValidationError, path: Path | None) -> ConfigInvalid:
    faults = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        key = ".".join(str(part) for part in fault["loc"])
        unknown = fault["type"] == "extra_forbidden"
        faults.append(f"{key}: {'unknown key' if unknown else fault['msg']}")
    return ConfigInvalid(
        "; ".join(faults),
        where=str(path) if path else "environment",
        fix="see config.example.toml for every key, its unit and default",
    )


def _check(config: Config, path: Path | None) -> None:
    where = str(path) if path else "environment"
    if config.network.loopback_inboxes and config.environment != "dev":
        raise ConfigInvalid(
            "loopback inboxes exist for development only",
            where=f"{where}: network.loopback_inboxes",
            fix='remove them, or set environment = "dev"',
        )
    if config.network.proxy_credentials_file is not None and not config.network.proxy:
        raise ConfigInvalid(
            "credentials for a proxy, and no proxy",
            where=f"{where}: network.proxy_credentials_file",
            fix="name the proxy too, or remove them",
        )
    if config.worker.policy_poll_seconds * 2 > config.worker.policy_lease_seconds:
        raise ConfigInvalid(
            "the policy must be read at least twice within its lease",
            where=f"{where}: worker.policy_poll_seconds",
            fix="make policy_poll_seconds at most half of policy_lease_seconds",
        )
    known = set(Config.model_fields) - {"base", "source"}
    for name in os.environ:
        section = name.removeprefix(PREFIX).partition("__")[0].lower()
        if name.startswith(PREFIX) and section not in known:
            raise ConfigInvalid("unknown key", where=f"environment: {name}", fix="unset it")
