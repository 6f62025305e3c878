"""``tollkeeper doctor``: is everything in order, and if not, what to do."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption

app = typer.Typer(rich_markup_mode="rich", add_completion=False)

_COLOURS: Final = {
    "ok": typer.colors.GREEN,
    "warn": typer.colors.YELLOW,
    "fail": typer.colors.RED,
}
_NAME_CHARS: Final = 20


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper doctor\n\n"
    "tollkeeper doctor --offline --json | jq '.checks[] | select(.state != \"ok\")'"
)
def doctor(
    online: Annotated[
        bool,
        typer.Option(
            "--online/--offline",
            help="Whether to connect to the providers and to look up the hosts of channels.",
        ),
    ] = True,
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration. Default: tollkeeper.yaml.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Check everything, and say what to do. Changes nothing; exit code 1 if anything fails.

    Looks at the configuration, the data folder, the disk, the key file, the store, the
    ledger, the journal, the port, the running server, the providers, the clock and the channels
    of alerts. Sends no message: 'tollkeeper alerts test CHANNEL' does.
    """
    found = []
    for check in import_module("tollkeeper.bootstrap.doctor").examine(config, data, online=online):
        found.append(check)
        if not as_json:
            _print(check)
    failed = [check for check in found if check.state == "fail"]
    if as_json:
        output.print_json({"ok": not failed, "checks": [_document(check) for check in found]})
    else:
        output.print_line(_verdict(found))
    if failed:
        raise typer.Exit(1)


def _print(check: Any) -> None:
    """Print one line, and a second one with what to do."""
    state = f"{check.state.value:<5}"
    if sys.stdout.isatty():
        state = typer.style(state, fg=_COLOURS[check.state.value], bold=True)
    name, finding = output.visible(check.name), output.visible(check.finding)
    print(f"{state} {name:<{_NAME_CHARS}} {finding}")
    if check.remedy:
        print(f"{'':<5} {'':<{_NAME_CHARS}} → {output.visible(check.remedy)}")
    sys.stdout.flush()


def _document(check: Any) -> dict[str, Any]:
    return {
        "name": check.name,
        "state": check.state.value,
        "finding": check.finding,
        "remedy": check.remedy or None,
    }


def _verdict(found: list[Any]) -> str:
    failed = sum(check.state == "fail" for check in found)
    warned = sum(check.state == "warn" for check in found)
    if failed:
        return f"{failed} of {len(found)} checks failed."
    return "All is well." if not warned else f"It works; {warned} of {len(found)} checks warn."
