"""``tollkeeper adoption``: how teams take to their tools, as a table or as the API's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final

import typer

from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption
from tollkeeper.cli.questions import plain_failures
from tollkeeper.cli.sources import open_source
from tollkeeper.reports import formatting

EVERYBODY: Final = "Everybody"
_HIDDEN: Final = "hidden"
_LAST_DAY: Final = timedelta(days=6)

app = typer.Typer(rich_markup_mode="rich", add_completion=False)


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper adoption\n\ntollkeeper adoption --team core --json"
)
def adoption(
    team: Annotated[str, typer.Option("--team", help="This team alone, week by week.")] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show who takes to their tools: by team, and nobody by name."""
    with open_source(data) as source, plain_failures():
        answer = source.adoption({"team": team} if team else {})
    if as_json:
        output.print_json(answer)
        return
    weeks = answer["weeks"]
    if team:
        rows = [
            (each["week"], figures)
            for each in weeks
            for figures in (each["teams"][0] if each["teams"] else {"people": 0},)
        ]
        _print("Week of", rows)
    else:
        last = weeks[-1]
        rows = [(EVERYBODY, last["company"])]
        rows += [(each["team"] or "No team", each) for each in last["teams"]]
        first = date.fromisoformat(last["week"])
        output.print_line(f"Week of {formatting.days(first, first + _LAST_DAY)}, {answer['tz']}")
        _print("Team", rows)
    output.print_line(
        f"Hidden is what would tell of fewer than {answer['group_min']} people, and what it could"
        " be worked out from."
    )


def _print(title: str, rows: list[tuple[str, Mapping[str, Any]]]) -> None:
    titles = ("People", "Active", "Of them", "Four weeks", "Average day", "Stickiness", "Two days+")
    output.print_table(
        [output.Column(title), *(output.Column(each, whole=True, right=True) for each in titles)],
        [
            (
                name,
                str(figures["people"]),
                _count(figures.get("active")),
                _share(figures.get("active_rate")),
                _count(figures.get("monthly")),
                _count(figures.get("daily_average")),
                _share(figures.get("stickiness")),
                _share(figures.get("repeat_rate")),
            )
            for name, figures in rows
        ],
        "Nobody is in a team yet.",
    )


def _count(number: float | None) -> str:
    if number is None:
        return _HIDDEN
    return f"{number:,}" if isinstance(number, int) else f"{number:,.1f}"


def _share(share: float | None) -> str:
    return _HIDDEN if share is None else f"{share:.0%}"
