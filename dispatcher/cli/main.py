"""The command tree, and the one place where an error becomes a message and an exit status.

Commands are imported when they are asked for, so that `--help` is quick. Exit status: 0 done,
1 a check failed, 2 bad input or configuration, 3 needs approval, 4 refused by policy. A fault of
our own is 1 too.
"""

import importlib
import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from dispatcher.model.errors import (
    ApprovalRequired,
    DispatcherError,
    Forbidden,
    InvalidInput,
    NotConfirmed,
)

_COMMANDS: Final = {
    "init": ("dispatcher.cli.setup", "init", "Write a configuration and a keyring here."),
    "migrate": ("dispatcher.cli.setup", "migrate", "Bring the databases to this release."),
    "plan": ("dispatcher.cli.registry", "plan", "Show what registry files would let flow."),
    "apply": ("dispatcher.cli.registry", "apply", "Make registry files the active revision."),
    "changes": ("dispatcher.cli.changes", "changes", "List what waits for a second person."),
    "approve": ("dispatcher.cli.changes", "approve", "Agree to what somebody else proposed."),
    "reject": ("dispatcher.cli.changes", "reject", "End a change set without effect."),
    "rollback": ("dispatcher.cli.registry", "rollback", "Go back to an earlier revision."),
    "export": ("dispatcher.cli.registry", "export", "Write the registry as files."),
    "revisions": ("dispatcher.cli.registry", "revisions", "List revisions and who made them."),
    "schema": ("dispatcher.cli.schema", "schema", "Write and check the schemas of events."),
    "explain": ("dispatcher.cli.explain", "explain", "Say whether a URL may be sent to, and why."),
    "preview": ("dispatcher.cli.previews", "preview", "Show what a partner would get of an event."),
    "run": ("dispatcher.cli.serving", "run", "Deliver events: all in one process."),
    "worker": ("dispatcher.cli.serving", "worker", "Run one worker of several."),
    "api": ("dispatcher.cli.serving", "api", "Serve the API of the control plane."),
    "partner": ("dispatcher.cli.serving", "partner", "Serve what partners fetch by ticket."),
    "doctor": ("dispatcher.cli.doctor", "doctor", "Check what a deployment needs."),
    "enqueue": ("dispatcher.cli.events", "enqueue", "Put one event into the outbox."),
    "trace": ("dispatcher.cli.events", "trace", "Tell the whole story of one event."),
    "deliveries": ("dispatcher.cli.events", "deliveries", "List deliveries and where they stand."),
    "replay": ("dispatcher.cli.replaying", "replay", "Send again what was delivered or is dead."),
    "findings": ("dispatcher.cli.events", "findings", "List what the leak guard found."),
    "purges": ("dispatcher.cli.retention", "purges", "List what was removed in time, or is due."),
    "hold": ("dispatcher.cli.switches", "hold", "Stop sending, and wait until it has stopped."),
    "switches": ("dispatcher.cli.switches", "switches", "List what is stopped, and why."),
    "release": ("dispatcher.cli.switches", "release", "Take a stop off again."),
    "keys": ("dispatcher.cli.headers", "keys", "List, rotate, retire and revoke signing keys."),
    "prove": ("dispatcher.cli.proofs", "prove", "Have an endpoint show that it is its partner's."),
    "detokenise": (
        "dispatcher.cli.privacy",
        "detokenise",
        "Say what a partner's token stands for.",
    ),
    "vault": ("dispatcher.cli.vault", "vault", "Look after the keys that seal what is at rest."),
    "erase": ("dispatcher.cli.privacy", "erase", "Erase a person from the vault of tokens."),
    "principal": ("dispatcher.cli.people", "principal", "Add and list people and services."),
    "token": ("dispatcher.cli.people", "token", "Issue, list and revoke tokens."),
    "audit": ("dispatcher.cli.audit", "audit", "Read and verify the record of every change."),
    "completion": ("dispatcher.cli.completion", "completion", "Print a shell's completion."),
    "demo": ("dispatcher.cli.showing", "demo", "Watch the product do its work, and check it."),
    "bench": ("dispatcher.cli.showing", "bench", "Measure the road on this machine."),
}
_STATUS: Final[tuple[tuple[type[DispatcherError], int], ...]] = (
    (ApprovalRequired, 3),
    (Forbidden, 4),
    (NotConfirmed, 1),
    (DispatcherError, 2),
)


class _Lazy(click.Group):
    """Imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Give the names in the order a newcomer needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing it."""
        if incomplete.startswith("-"):
            return super(click.Group, self).shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=line)
            for name, (_, _, line) in _COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with 'dispatcher demo', or in an empty folder with 'dispatcher init --dev'.",
)
@click.version_option(package_name="dispatcher", prog_name="dispatcher")
def tree() -> None:
    """The one door through which a company's events leave for its partners.

    Product services enqueue events in their own transaction. A worker sends each partner only the
    fields it was granted, only to listed destinations, signed, exactly accounted for, and stops
    within a second when told to.
    """


def main() -> None:
    """Run a command line, and exit with its status."""
    as_json = "--json" in sys.argv
    try:
        _check_arguments(sys.argv[1:])
        outcome: Any = tree(prog_name="dispatcher", standalone_mode=False)
    except DispatcherError as error:
        _explain(error, as_json)
        is_ours = type(error) is DispatcherError
        found = next(status for kind, status in _STATUS if isinstance(error, kind))
        sys.exit(1 if is_ours else found)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        _explain(_usage(error), as_json)
        sys.exit(2)
    except Exception as error:  # noqa: BLE001 - the last net: nobody is shown a stack trace
        from dispatcher.app.config import wants_trace

        if wants_trace():
            traceback.print_exc()
        _explain(_own_fault(error), as_json)
        sys.exit(1)
    sys.exit(outcome if isinstance(outcome, int) else 0)


def _check_arguments(arguments: Sequence[str]) -> None:
    for place, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InvalidInput(
                "an argument is not UTF-8 text",
                where=f"argument {place}",
                fix="write it in UTF-8",
                code="usage",
            ) from None


def _usage(error: click.ClickException) -> InvalidInput:
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "dispatcher"
    return InvalidInput(
        error.format_message(), where=command, fix=f"see '{command} --help'", code="usage"
    )


def _own_fault(error: Exception) -> DispatcherError:
    # The text of an unforeseen error may hold anything, a payload's value too: its kind does not.
    return DispatcherError(
        f"something unforeseen went wrong ({type(error).__name__})",
        where=" ".join(sys.argv[1:2]),
        fix="this is a fault of dispatcher: please report it; "
        "set DISPATCHER_DEBUG=1 to see the trace",
    )


def _explain(error: DispatcherError, as_json: bool) -> None:
    if as_json:
        document = {
            "code": error.reason,
            "why": error.why,
            "where": error.where,
            "fix": error.fix,
        }
        click.echo(json.dumps({"error": document}), err=True)
        return
    click.echo(f"{click.style(error.reason, fg='red', bold=True)}: {error.why}", err=True)
    if error.where:
        click.echo(f"  where: {error.where}", err=True)
    if error.fix:
        click.echo(f"  fix:   {error.fix}", err=True)
