"""``tollkeeper providers``: keep the providers' own keys in the store, encrypted."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import moments, output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.clock import now_us, second_text
from tollkeeper.domain.errors import BadRequest
from tollkeeper.services import secrets

app = typer.Typer(
    help="Keep the providers' own keys, encrypted.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
NameArgument = Annotated[str, typer.Argument(metavar="PROVIDER", help="E.g. openai, anthropic.")]
_INPUT_CHARS_MAX = 2 * secrets.SECRET_CHARS_MAX


@app.command(
    "set",
    epilog="[bold]Examples[/bold]\n\ntollkeeper providers set openai\n\n"
    "tollkeeper providers set anthropic < key.txt",
)
def set_key(
    name: NameArgument,
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration that names the provider.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Store a provider's key. It is asked for, or read from standard input; never an argument."""
    base_url = bootstrap.provider_base_url(name, config)
    secret = _read_secret(name)
    with opened(data, create=True) as (store, vault):
        secrets.set_secret(store, vault, name, base_url, secret, now_us())
    output.print_line(f"Stored the key of {name}, for {base_url} only.")


@app.command("list")
def list_keys(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List which providers have a key in the store. The keys themselves are never shown."""
    with opened(data) as (store, _):
        stored = secrets.list_secrets(store)
    if as_json:
        output.print_json(
            [{"provider": item.provider, "set_at": second_text(item.set_at_us)} for item in stored]
        )
        return
    output.print_table(
        (output.Column("Provider"), output.Column("Key", whole=True)),
        [(item.provider, f"set on {moments.local(item.set_at_us)}") for item in stored],
        "No provider keys are stored. Add one with: tollkeeper providers set NAME",
    )


@app.command("rm")
def remove(name: NameArgument, data: DataOption = None) -> None:
    """Forget a provider's key."""
    with opened(data) as (store, _):
        secrets.remove_secret(store, name)
    output.print_line(f"Removed the key of {name}.")


def _read_secret(name: str) -> str:
    if sys.stdin.isatty():
        # Unlike Typer's prompt, this one turns the echo off before it asks.
        return getpass.getpass(f"Key of {name}: ")
    text = sys.stdin.read(_INPUT_CHARS_MAX).strip()
    if not text:
        raise BadRequest("no key came on standard input")
    return text
