"""``tollkeeper budgets replay``: what a budget would have refused of calls that were made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from tollkeeper.cli import output
from tollkeeper.cli.budget_options import (
    ExemptOption,
    LimitOption,
    RolloverOption,
    ScopeOption,
    WindowOption,
    ZoneOption,
    configured_zone,
    known,
    plainly,
    said,
)
from tollkeeper.cli.budget_tables import print_replay
from tollkeeper.cli.context import DataOption, JsonOption, data_folder, opened
from tollkeeper.cli.questions import plain_failures
from tollkeeper.services import budget_changes

if TYPE_CHECKING:
    from tollkeeper.bootstrap.budget_replays import Told

DAYS_MAX = 400


def replay(
    name: Annotated[
        str, typer.Argument(metavar="[BUDGET]", help="A budget that is there; or describe one.")
    ] = "",
    days: Annotated[
        int, typer.Option("--days", min=1, max=DAYS_MAX, help="How far back: 30 or 90 days.")
    ] = 30,
    scope: ScopeOption = None,
    limit: LimitOption = None,
    window: WindowOption = None,
    zone: ZoneOption = None,
    rollover: RolloverOption = None,
    exempt: ExemptOption = None,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show what a budget would have refused: how many calls, whose, and from when on."""
    words = said(
        scope=scope,
        limit=limit,
        window=window,
        timezone=zone,
        rollover=rollover,
        exempt_models=exempt,
    )
    if bool(name) == bool(words):
        raise typer.BadParameter("name a budget, or describe one with --limit and --scope")
    with opened(data) as (store, _):
        with plainly():
            if name:
                budget = known(store, name)
            else:
                words = {"scope": "org", "timezone": configured_zone(), **words}
                budget = budget_changes.wanted_budget(store, words, configured_zone())
        opens = import_module("tollkeeper.bootstrap.budget_replays").open_replays
        with (
            opens(data_folder(data), store, _tell) as source,
            plain_failures(),
            _progress(quiet=as_json) as tell,
        ):
            found = source.replay_budget(budget, words, days, tell)
    if as_json:
        output.print_json(found)
    else:
        print_replay(found)


def add_to(app: typer.Typer) -> None:
    """Add the verb to ``tollkeeper budgets``."""
    app.command(
        epilog="[bold]Examples[/bold]\n\ntollkeeper budgets replay 'All of us' --days 90\n\n"
        "tollkeeper budgets replay --scope 'each user' --limit '$20' --window day"
    )(replay)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Told]:
    """Show how far it is, on a terminal's standard error."""
    if quiet:
        yield lambda done, of: None
        return
    progress = import_module("rich.progress")
    console = import_module("rich.console").Console(stderr=True)
    with progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Replaying", total=None)

        def tell(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        yield tell


def _tell(sentence: str) -> None:
    typer.echo(f"tollkeeper: {sentence}", err=True)
