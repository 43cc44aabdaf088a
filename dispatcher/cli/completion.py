"""`completion`: what a shell needs to complete commands, options and their values."""

from typing import Final

import click
from click.shell_completion import get_completion_class

SHELLS: Final = ("bash", "zsh", "fish")
_VARIABLE: Final = "_DISPATCHER_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash, in ~/.bashrc: eval "$(dispatcher completion bash)"; for zsh the same with zsh in
    ~/.zshrc; for fish: dispatcher completion fish > ~/.config/fish/completions/dispatcher.fish
    """
    kind = get_completion_class(shell)
    if kind is None:  # click knows all three
        raise click.UsageError(f"no completion for {shell}", context)
    root = context.find_root()
    click.echo(kind(root.command, {}, "dispatcher", _VARIABLE).source())
