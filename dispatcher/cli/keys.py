"""`keys`: what letters are signed with and encrypted to, what we show, what partners fetch by."""

import re
from typing import Any, Final

import click

from dispatcher.cli.asking import Where, part, where_options
from dispatcher.cli.output import counted, moment, print_json, print_table, wait_option, why_option
from dispatcher.model.errors import InvalidInput
from dispatcher.model.keys import KeyKind, KeyState
from dispatcher.stages.sealing.rotation import (
    AHEAD_SECONDS_MAX,
    DAY_SECONDS,
    OVERLAP_SECONDS_MAX,
)

ROWS_MAX: Final = 100_000
_COLUMNS: Final = ("key", "for", "kind", "state", "from", "until", "days old", "proven")
_PUBLISHED: Final = ("thumbprint", "kid", "kind", "use", "first seen", "usable from")
_STATES: Final = {
    "good": "in use",
    "unfound": "not found yet",
    "elsewhere": "last found at another place, so it does not count",
    "stale": "not found for too long, so it does not count",
    "lost": "it has published too many private keys, so it does not count",
}
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class Span(click.ParamType[int]):
    """A length of time: a whole number with s, m, h or d, and so many days at most."""

    name = "span"

    def __init__(self, days_max: int) -> None:
        self._days_max = days_max

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Give it in seconds."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,7})([smhd]?)", value)
        if found is None:
            self.fail("write a whole number with s, m, h or d: 24h", param, ctx)
        seconds = int(found[1]) * _SECONDS[found[2]]
        if seconds > self._days_max * DAY_SECONDS:
            self.fail(f"{value} is longer than {self._days_max}d", param, ctx)
        return seconds


@click.group()
def keys() -> None:
    """List the keys that letters are signed with, and have them take turns.

    A key is pending until it signs, active while it does, retiring when another is to take its
    place, and retired after that. A revoked one is destroyed. No secret is shown twice: a key is
    named by its fingerprint, or by SUBSCRIPTION/FINGERPRINT.

    Client certificates are files, named in the configuration: they are listed and revoked here, and
    take turns by their own beginnings and ends. Callers, by which partners fetch, stand in the
    registry: they are listed and revoked here, too.
    """


@keys.command("list")
@click.option("--subscription", help="Of this one alone.")
@click.option("--ended", is_flag=True, help="Also those that are retired or revoked.")
@where_options
def list_keys(subscription: str | None, ended: bool, where: Where, as_json: bool) -> None:
    """List keys, client certificates and callers.

    Whose they are, in which state, from when until when they sign or are shown, how old they are.
    """
    query = {"subscription": subscription, "ended": "true" if ended else "false"}
    found = where.list("/v1/keys", ROWS_MAX, query)
    if as_json:
        print_json(found)
        return
    found.sort(key=_place)
    turning = {_kin(each) for each in found if each["state"] == KeyState.RETIRING}
    cells = [
        (
            each["name"],
            each["connector"] or ", ".join(each["destinations"]) or None,
            each["kind"],
            each["state"],
            moment(each["active_us"]),
            moment(each["revoked_us"] or each["until_us"]),
            each["age_days"],
            _proven(each, is_turning=_kin(each) in turning),
        )
        for each in found
    ]
    print_table("keys", _COLUMNS, cells)


def _kin(key: dict[str, Any]) -> tuple[str | None, str]:
    """Say which keys take turns with one."""
    return key["subscription"], key["kind"]


def _proven(key: dict[str, Any], *, is_turning: bool) -> str | None:
    """Say how a key does alone at its endpoint; why it does not only while that is tried."""
    if key["proofs"]:
        return counted(key["proofs"], "time")
    return key["trial_fault"] or None if is_turning else None


@keys.command()
@click.argument("connector")
@where_options
def partner(connector: str, where: Where, as_json: bool) -> None:
    """Show the keys that a partner publishes.

    They are CONNECTOR's, as workers last found them. A key of a pinned set is usable where the
    registry has its thumbprint, and unpinned otherwise; one of a set that is followed is held until
    it has been known for long enough, and unmarked where the partner does not say that it is for
    encryption. An exposed one is never used again: its private half was published. Keys that were
    handed over stand in the registry's files.
    """
    found = where.ask("GET", f"/v1/connectors/{part(connector)}/keys")
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['url']}  {found['mode']}, {_STATES[found['state']]}")
    if found["found_us"]:
        until = f"; unless it is found again, it counts until {moment(found['stale_us'])}"
        click.echo(
            f"  found {moment(found['found_us'])}{until if found['state'] == 'good' else ''}"
        )
    if found["tried_us"]:
        at, again, fault = moment(found["tried_us"]), moment(found["due_us"]), found["fault"]
        went = f"{fault}, {counted(found['failures'], 'time')}" if found["failures"] else fault
        click.echo(f"  asked {at}: {went or 'found'}; again by {again}")
    if found["forbidden_by"]:
        click.echo(f"  not asked now: {', '.join(found['forbidden_by'])}")
    if found["keys"]:
        print_table("keys", _PUBLISHED, [_published(each) for each in found["keys"]])
    for each in found["exposed"]:
        at = moment(each["exposed_us"])
        click.echo(f"exposed, never used again: {each['thumbprint']} {each['kid']} {at}")


def _published(key: dict[str, Any]) -> tuple[Any, ...]:
    kind = f"{key['kty']} {key['crv'] or ''}".strip()
    seen, usable = moment(key["first_seen_us"]), moment(key["usable_us"])
    return key["thumbprint"], key["kid"], kind, key["use"], seen, usable


@keys.command()
@click.argument("subscription")
@click.option(
    "--kind",
    type=click.Choice([each.value for each in KeyKind]),
    help="Which kind, where the subscription is signed with several.",
)
@click.option(
    "--overlap",
    type=Span(OVERLAP_SECONDS_MAX // DAY_SECONDS),
    default="24h",
    show_default=True,
    help="How long the old key signs beside the new one; at most 7d. 0 in an emergency.",
)
@click.option(
    "--in",
    "ahead",
    type=Span(AHEAD_SECONDS_MAX // DAY_SECONDS),
    help="How long before the new key signs. Default: at once; an Ed25519 key 24h after its public "
    "half is published.",
)
@click.option(
    "--keep-overlap",
    is_flag=True,
    help="Have the old key sign to its end, also where the partner's endpoint proves the new one.",
)
@click.option("--now", is_flag=True, help="Sign with the new key at once, of whatever kind.")
@why_option
@where_options
def rotate(
    subscription: str,
    kind: str | None,
    overlap: int,
    ahead: int | None,
    keep_overlap: bool,
    now: bool,
    reason: str,
    where: Where,
    as_json: bool,
) -> None:
    """Make a new key for SUBSCRIPTION.

    What the partner needs is shown: the secret, this once, or the public key. During the overlap
    letters are signed with both, so the partner may change over at any moment of it. It is over
    early once their endpoint has answered three challenges that bear the new key alone, and none
    that bears a wrong one. At most three keys of a kind are live. Nothing else about the
    subscription changes.
    """
    if now and ahead is not None:
        raise InvalidInput(
            "--now and --in cannot both be", where="--now", fix="leave one out", code="usage"
        )
    body = {
        "subscription": subscription,
        "kind": kind,
        "overlap_seconds": overlap,
        "ahead_seconds": 0 if now else ahead,
        "keep_overlap": keep_overlap,
        "reason": reason,
    }
    made = where.ask("POST", "/v1/keys/rotations", body)
    if as_json:
        print_json(made)
        return
    click.echo(f"key {made['name']} signs from {moment(made['active_us'])}")
    if made["secret"]:
        click.echo(f"  secret for the partner, shown this once: {made['secret']}")
    else:
        click.echo(f"  public key for the partner: {made['public_key']}")
    sooner = "" if keep_overlap or not overlap else ", or the endpoint has proven the new key"
    for old in made["ending"]:
        click.echo(f"  {old['name']} signs until {moment(old['until_us'])}{sooner}")


@keys.command()
@click.argument("key")
@why_option
@where_options
def retire(key: str, reason: str, where: Where, as_json: bool) -> None:
    """End the retiring KEY: the partner has changed over."""
    done = where.ask("POST", "/v1/keys/retirements", {"key": key, "reason": reason})
    if as_json:
        print_json(done)
        return
    click.echo(f"key {done['name']} is retired")


@keys.command()
@click.argument("key", required=False)
@click.option("--subscription", help="Revoke every key of this subscription.")
@click.option("--connector", help="Revoke whatever this connector has, and hold it.")
@click.option(
    "--identity",
    metavar="FINGERPRINT",
    help="Revoke this client certificate, or this caller; its name in 'keys list' does as well.",
)
@why_option
@wait_option
@where_options
def revoke(
    key: str | None,
    subscription: str | None,
    connector: str | None,
    identity: str | None,
    reason: str,
    wait_seconds: float,
    where: Where,
    as_json: bool,
) -> None:
    """Destroy KEY, or all of a subscription or connector.

    It returns once nothing is signed by them any more. Where no key is left letters wait, and no
    retry is spent, until 'dispatcher keys rotate' makes a new one.

    With --connector its stored headers and tickets end too, the callers by which the partner
    fetches (for every connector that lists the same public key), and the client certificates that
    nobody else's destinations ask for; those that others share are named, and left alone. It stays
    held until 'dispatcher release': new keys may be made and handed over meanwhile.

    With --identity no worker shows the client certificate any more, for good: what needs it waits
    until another one is there. Of a caller, nobody fetches by this public key ever again, wherever
    the registry lists it.
    """
    body = {
        "key": key,
        "subscription": subscription,
        "connector": connector,
        "identity": identity,
        "reason": reason,
        "wait_seconds": wait_seconds,
    }
    done = where.ask("POST", "/v1/keys/revocations", body)
    if as_json:
        print_json(done)
        return
    _show_revoked(done)


def _show_revoked(done: Any) -> None:
    """Say what ended, who confirmed it, and what is left to do."""
    ended = [
        f"  {what} {name}"
        for what, names in (
            ("key", done["keys"]),
            ("stored header", done["headers"]),
            ("client certificate", done["certificates"]),
            ("caller", done["callers"]),
        )
        for name in names
    ]
    fenced = f", {done['workers_fenced']} silent ones fenced" if done["workers_fenced"] else ""
    click.echo(
        f"{len(ended)} revoked at {moment(done['confirmed_us'])}: "
        f"{done['workers_confirmed']} workers confirmed in {done['confirmed_ms']:.0f} ms{fenced}, "
        f"in flight at the time: {done['in_flight']}"
    )
    for line in ended:
        click.echo(line)
    if done["held"]:
        click.echo(f"{done['held']} is held; tickets ended: {done['tickets']}")
    if done["callers"]:
        click.echo("nobody fetches by these callers any more: list others, and dispatcher apply")
        listing = {name.partition("/")[0] for name in done["callers"]}
        others = sorted(listing - {(done["held"] or "").removeprefix("connector:")})
        if done["held"] and others:
            click.echo(
                f"listed with the same public key, so ended, but not held: {', '.join(others)}"
            )
    for left in done["left"]:
        name = "/".join(filter(None, (left["identity"], left["fingerprint"])))
        click.echo(f"NOT revoked: client certificate {name}, {left['why']}\n  {left['fix']}")
    if done["headers"]:
        click.echo(
            "lanes wait until their headers are entered again: dispatcher keys set-header ..."
        )
    for name in done["unsigned"]:
        click.echo(f"{name} waits for a key: dispatcher keys rotate {name} --reason ...")


def _place(each: Any) -> tuple[str, int]:
    """Put what belongs together side by side, the newest first."""
    whose = each["subscription"] or each["identity"] or each["connector"]
    return whose, -(each["created_us"] or 0)
