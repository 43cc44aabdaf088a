"""`dispatcher bench sealing`: what each seal costs, in processor time, against its target.

Called by the command line. Each line is work of the road itself, done over and over in one process;
nothing is sent or stored. Whoever adds a seal adds a function that gives its lines, to `SEALS`.
"""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import click
from joserfc.jwk import Key, generate_key

from dispatcher.app.running import calm_collector
from dispatcher.model.epoch_key import EpochKey
from dispatcher.model.keys import KeyKind, SigningKey, SigningProfile
from dispatcher.model.letter import Sealed
from dispatcher.model.partner_key import PartnerKey
from dispatcher.model.registry import Encryption
from dispatcher.showcase.bench_report import machine, print_json, spread
from dispatcher.showcase.bench_shaping import shaped_letter
from dispatcher.stages.sealing.seal import seal
from dispatcher.stages.sealing.signature import depart
from dispatcher.stages.sealing.standard_webhooks import sign_tokens
from dispatcher.vault.epochs import EpochKeys
from dispatcher.vault.keyring import Keyring
from dispatcher.vault.local import LocalProvider
from dispatcher.vault.partner_encryption import encrypt
from dispatcher.vault.places import payload_place
from dispatcher.vault.provider import KeyProviders
from dispatcher.vault.sealer import Vault
from dispatcher.vault.xaes import KEY_BYTES

AT_REST_US: Final = 8.0
V1_US: Final = 5.0
ED25519_US: Final = 70.0
JWE_US: Final = 200.0
_JWE_US: Final = {"P-256": JWE_US}
_NOW_SECONDS: Final = 1_700_000_000
_KIB: Final = 1024
_TENANT: Final = "shop"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to measure; `target_us` is what it may cost, where somebody promised."""

    name: str
    what: str
    work: Callable[[], object]
    target_us: float | None = None


async def run_sealing_bench(*, times: int, rounds: int, as_json: bool) -> int:
    """Measure and report; 0 when it was measured, whether or not the targets are met."""
    calm_collector()  # as every serving process does
    lines = [line for seal in SEALS for line in await seal()]
    report: dict[str, Any] = {"times": times, "rounds": rounds, **machine()}
    report["lines"] = _measure(lines, times, rounds)
    report["is_met"] = all(line["is_met"] is not False for line in report["lines"].values())
    if as_json:
        print_json(report)
    else:
        _print(lines, report)
    return 0


class _OneKey:
    """A registry of one key, in memory: what a worker has at hand after its first look."""

    def __init__(self) -> None:
        self._key: EpochKey | None = None

    async def current(self, _tenant: str) -> tuple[EpochKey, int] | None:
        """Give the key, if it was made."""
        return None if self._key is None else (self._key, 10**15)

    async def add(self, key: EpochKey, _period_us: int) -> None:
        """Keep the key."""
        self._key = key

    async def find(self, _key_id: str) -> EpochKey | None:
        """Give the key."""
        return self._key

    async def changes(self) -> int:
        """Give none."""
        return 0


async def _at_rest() -> Sequence[Line]:
    """Seal and open a payload as it lies in the outbox, its tenant's key at hand."""
    keyring = Keyring("k1", MappingProxyType({"k1": bytes(KEY_BYTES)}))
    keys = EpochKeys(_OneKey(), KeyProviders(LocalProvider(keyring)), boot=time.monotonic)
    vault, payload = Vault(keyring, keys), b"x" * _KIB
    place = payload_place(_TENANT, f"evt_{'0' * 32}")
    blob = await vault.seal_soon(payload, place)
    large, large_payload = await vault.seal_soon(payload * 10, place), payload * 10
    return (
        Line("seal_1k", "at rest: seal 1 KiB", lambda: vault.seal(payload, place), AT_REST_US),
        Line("open_1k", "at rest: open 1 KiB", lambda: vault.open(blob, place), AT_REST_US),
        Line("seal_10k", "at rest: seal 10 KiB", lambda: vault.seal(large_payload, place)),
        Line("open_10k", "at rest: open 10 KiB", lambda: vault.open(large, place)),
    )


async def _signing() -> Sequence[Line]:
    """Sign a letter of about 1 KiB: the signature alone, and all that is done in the last instant.

    That is to look at the bytes, choose the keys that sign now, sign, and make the headers.
    """
    keys = {kind: SigningKey(str(kind), bytes(KEY_BYTES), kind) for kind in KeyKind}
    content = _sealed().body
    alone = (
        Line("sign_v1", "sign v1", partial(sign_tokens, (keys[KeyKind.HMAC],), content), V1_US),
        Line(
            "sign_v1a",
            "sign v1a",
            partial(sign_tokens, (keys[KeyKind.ED25519],), content),
            ED25519_US,
        ),
    )
    whole = (
        Line(
            f"depart_{profile.name.lower()}",
            f"the last instant, {profile}",
            partial(depart, _sealed(signing=profile), tuple(keys.values()), _NOW_SECONDS),
            ED25519_US if profile is SigningProfile.RFC9421_ED25519 else None,
        )
        for profile in SigningProfile
    )
    return (*alone, *whole)


async def _to_partner() -> Sequence[Line]:
    """Encrypt a letter of about 1 KiB to a partner's key."""
    lines = []
    pairs: dict[str, Key] = {
        "P-256": generate_key("EC", "P-256"),
        "X25519": generate_key("OKP", "X25519"),
    }
    for curve, pair in pairs.items():
        public = pair.as_dict(private=False)
        jwk = {name: public[name] for name in ("kty", "crv", "x", "y") if name in public}
        key = PartnerKey(kid="2026-01", jwk=json.dumps(jwk))
        shaped = shaped_letter(encryption=Encryption.JWE, letter_key=key)
        what = f"encrypt JWE {curve}"
        lines.append(
            Line(f"jwe_{curve}".lower(), what, partial(seal, shaped, encrypt), _JWE_US.get(curve))
        )
    return lines


def _sealed(**terms: Any) -> Sealed:
    """Give the letter of `bench shaping`, sealed, by a route with these terms."""
    sealed = seal(shaped_letter(**terms), encrypt)
    if not isinstance(sealed, Sealed):
        raise TypeError("the bench's own letter was refused")
    return sealed


SEALS: Final[tuple[Callable[[], Awaitable[Sequence[Line]]], ...]] = (
    _signing,
    _to_partner,
    _at_rest,
)


def _measure(lines: Sequence[Line], times: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Measure all in each round, in one order and then in the other; one round goes before."""
    found: dict[str, list[float]] = {line.name: [] for line in lines}
    for round_ in range(rounds + 1):
        for line in lines[:: 1 if round_ % 2 else -1]:
            cost = _cpu_us(line.work, times)
            found[line.name] += [cost] if round_ else []
    measured = {}
    for line in lines:
        figures = spread(found[line.name], 2)
        is_met = None if line.target_us is None else figures["median"] <= line.target_us
        measured[line.name] = {"cpu_us": figures, "target_us": line.target_us, "is_met": is_met}
    return measured


def _cpu_us(work: Callable[[], object], times: int) -> float:
    began = time.process_time_ns()
    for _ in range(times):
        work()
    return (time.process_time_ns() - began) / times / 1000


def _print(lines: Sequence[Line], report: dict[str, Any]) -> None:
    for line in lines:
        measured = report["lines"][line.name]
        figures = measured["cpu_us"]
        target = ""
        if line.target_us is not None:
            target = f"  target {line.target_us:g}: {'met' if measured['is_met'] else 'NOT MET'}"
        click.echo(
            f"{line.what:<32} {figures['median']:>8.2f} µs CPU"
            f"  ({figures['min']:.2f} to {figures['max']:.2f}){target}"
        )
