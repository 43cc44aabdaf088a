"""Refuses to start where the environment would steer TLS or names behind the configuration's back.

Asked by `surroundings` before anything is opened. OpenSSL, the C library and the resolver's library
all obey variables that nobody reviews: one writes the secrets of every TLS connection to a file,
others swap the trusted roots or load code, others say what a name means. `worker` and `run`, which
carry letters, refuse them all. `api` opens no connection but to its own databases: what it trusts
there is the operator's affair, so it refuses the one that gives those connections' secrets away.

A variable's value may be a secret's place: it is compared, never shown.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from dispatcher.model.errors import ConfigInvalid

KEY_LOG: Final = ("SSLKEYLOGFILE",)
STEERING: Final = (
    *KEY_LOG,
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    # OpenSSL: its configuration, and code that it loads.
    "OPENSSL_CONF",
    "OPENSSL_CONF_INCLUDE",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    # The C library and the resolver's: what a name means, and whom to ask.
    "CARES_HOSTS",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
)
"""Every variable that is refused, also when it is set to nothing."""


def find_steering(
    environment: Mapping[str, str],
    roots: Collection[Path],
    *,
    tolerated: Collection[str] = (),
    refused: Collection[str] = STEERING,
) -> tuple[str, ...]:
    """Name the variables that would steer. Those that name the machine's own roots change nothing.

    `roots` are the real paths of the files and folders of roots that are used anyway.
    """
    return tuple(
        name
        for name in refused
        if name in environment
        and name not in tolerated
        and not _changes_nothing(name, environment[name], roots)
    )


def check_environment(
    environment: Mapping[str, str],
    roots: Collection[Path],
    *,
    tolerated: Collection[str] = (),
    refused: Collection[str] = STEERING,
) -> None:
    """Raise `ConfigInvalid` naming every variable that would steer."""
    found = find_steering(environment, roots, tolerated=tolerated, refused=refused)
    if found:
        raise ConfigInvalid(
            "it would steer TLS or names past the configuration",
            where=f"environment: {', '.join(found)}",
            fix="unset it; or list it in [network] tolerated_variables",
            code="environment_unsafe",
        )


def _changes_nothing(name: str, value: str, roots: Collection[Path]) -> bool:
    match name:
        case "SSL_CERT_FILE":
            places = [value]
        case "SSL_CERT_DIR":
            places = value.split(os.pathsep)
        case _:
            return False
    # An empty place would be the folder that the process happens to stand in.
    return all(place and _real(place) in roots for place in places)


def _real(place: str) -> Path | None:
    try:
        return Path(place).resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, or no path at all
        return None
