"""`detokenise` and `erase`: what a partner's token stands for, and to make it stand for nothing."""

import click

from dispatcher.cli.asking import Where, where_options
from dispatcher.cli.output import counted, print_json, wait_option, why_option


@click.command()
@click.argument("token")
@click.option("--connector", required=True, help="The partner that has the token.")
@why_option
@click.option("--ticket", default="", help="Where the wish is filed, for the record.")
@click.option("--tenant", help="The tenant it is of. Default: whichever it is.")
@click.option("--domain", help="The domain of a siv token whose grant is gone.")
@where_options
def detokenise(
    token: str,
    connector: str,
    reason: str,
    ticket: str,
    tenant: str | None,
    domain: str | None,
    where: Where,
    as_json: bool,
) -> None:
    """Print what TOKEN stands for. It takes the role privacy, and is on the record first.

    A vault token (vlt_...) can be turned back until its person is erased or its partner retired, a
    siv token (siv_...) until its partner is retired, a pseudonym (tok_...) never. The value is in
    its canonical spelling, and is kept nowhere.
    """
    body = {
        "token": token,
        "connector": connector,
        "reason": reason,
        "ticket": ticket,
        "tenant": tenant,
        "domain": domain,
    }
    found = where.ask("POST", "/v1/detokenisations", body)
    if as_json:
        print_json(found)
        return
    click.echo(found["value"])
    click.echo(
        f"  tenant {found['tenant']}, domain {found['domain']}, key version {found['version']}",
        err=True,
    )


@click.command()
@click.option("--tenant", required=True, help="The tenant whose person it is.")
@click.option("--subject", required=True, help="The person, as events name them in 'subjects'.")
@why_option
@wait_option
@where_options
def erase(
    tenant: str, subject: str, reason: str, wait_seconds: float, where: Where, as_json: bool
) -> None:
    """Erase what every vault token about a person stands for, and that it was about them.

    Nobody can turn those tokens back afterwards, and the person's next event gets new ones. A value
    that several people share goes for all of them. Returns once no worker can still send an erased
    token. It takes the role privacy, and is refused under a legal hold.

    Pseudonyms in the ledger stay, and payloads stay until their retention ends.
    """
    body = {
        "tenant": tenant,
        "subject": subject,
        "reason": reason,
        "wait_seconds": wait_seconds,
    }
    done = where.ask("POST", "/v1/erasures", body)
    if as_json:
        print_json(done)
        return
    tokens = done["tokens"]
    shared = f", {done['shared']} of them shared with others" if done["shared"] else ""
    click.echo(f"{done['subject']}: {counted(tokens, 'token')} erased{shared}")
