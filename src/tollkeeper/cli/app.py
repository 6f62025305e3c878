"""The command line's root: which verbs there are, and how their failures end.

A verb's module is imported only when the verb is called, so that each command starts as fast
as its own imports allow. Exit codes: 0 done, 1 refused or failed with one line on standard
error, 2 wrong usage.
"""

from __future__ import annotations

import getpass
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from tollkeeper import __version__
from tollkeeper.acting import acting
from tollkeeper.domain.audit import Actor, ActorKind
from tollkeeper.domain.errors import TollkeeperError


class Verb(NamedTuple):
    """One verb: the module that holds its ``app``, and a line for the overview."""

    module: str
    summary: str


VERBS: Final[Mapping[str, Verb]] = MappingProxyType(
    {
        "serve": Verb("tollkeeper.cli.serve", "Start the gateway, the ledger and the dashboard."),
        "demo": Verb("tollkeeper.cli.demo", "Try it on a made-up company, with no credentials."),
        "doctor": Verb("tollkeeper.cli.doctor", "Check everything, and say what to do."),
        "connect": Verb("tollkeeper.cli.connect", "Point a tool at the gateway, and try it."),
        "import": Verb("tollkeeper.cli.imports", "Take over the configuration of LiteLLM."),
        "keys": Verb("tollkeeper.cli.keys", "Issue, list and revoke virtual keys."),
        "teams": Verb("tollkeeper.cli.teams", "Add, list, rename and switch off teams."),
        "users": Verb("tollkeeper.cli.users", "Add people, give roles, make sign-in links."),
        "providers": Verb("tollkeeper.cli.providers", "Keep the providers' own keys, encrypted."),
        "calls": Verb("tollkeeper.cli.calls", "List calls, follow them, explain one."),
        "spend": Verb("tollkeeper.cli.spend", "Show who spent what."),
        "forecast": Verb("tollkeeper.cli.forecast", "Show where this month will end."),
        "why": Verb("tollkeeper.cli.why", "Show why a cost changed between two periods."),
        "savings": Verb("tollkeeper.cli.savings", "Show what is wasted, and what would save."),
        "adoption": Verb("tollkeeper.cli.adoption", "Show how teams take to their tools."),
        "budgets": Verb("tollkeeper.cli.budgets", "Cap what is spent, and see what is left."),
        "limits": Verb("tollkeeper.cli.limits", "Limit calls and tokens by the minute."),
        "alerts": Verb("tollkeeper.cli.alerts", "See what fired and who was told."),
        "digest": Verb("tollkeeper.cli.digest", "See the weekly digest, and who gets it."),
        "audit": Verb("tollkeeper.cli.audit", "See who changed what, and that it is as written."),
        "statements": Verb("tollkeeper.cli.statements", "Show and issue what teams are charged."),
        "months": Verb("tollkeeper.cli.months", "Close months, list them, open them again."),
        "prices": Verb("tollkeeper.cli.prices", "Show what models cost, fetch newer prices."),
    }
)


class VerbGroup(TyperGroup):
    """The root group. It knows the verbs by name, and loads one when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, verb in VERBS.items():
            self.add_command(TyperCommand(name, help=verb.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the verb that the arguments name, and import its module."""
        name, command, rest = super().resolve_command(ctx, args)
        verb = VERBS.get(name or "")
        if verb is not None:
            command = get_command(importlib.import_module(verb.module).app)
            command.name = name
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the verb. A failure that was meant to be told ends in one line and exit code 1."""
        try:
            with acting(_operator()):
                return super().invoke(ctx)
        except TollkeeperError as error:
            reason = error.message
        except BrokenPipeError:
            raise  # whoever read our output has gone; Typer ends quietly
        except OSError as error:
            reason = str(error) if error.strerror is None else _with_file(error)
        typer.echo(f"tollkeeper: {' '.join(reason.split())}", err=True)
        raise typer.Exit(1)


def command_line() -> typer.Typer:
    """Build the command line."""
    app = typer.Typer(
        cls=VerbGroup,
        name="tollkeeper",
        no_args_is_help=True,
        pretty_exceptions_enable=False,  # a traceback must not print what variables hold
        add_completion=False,
    )
    app.callback()(_root)
    return app


def main() -> None:
    """Run the command line."""
    command_line()(prog_name="tollkeeper")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tollkeeper {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """A self-hosted LLM gateway, cost ledger and dashboard."""


def _operator() -> Actor:
    """Say who acts for the audit log: whoever this machine knows them as."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        name = ""
    return Actor(ActorKind.COMMAND_LINE, f"command line ({name})" if name else "command line")


def _with_file(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
