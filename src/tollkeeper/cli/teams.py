"""``tollkeeper teams``: add, list, rename and switch off teams."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from tollkeeper.cli import moments, output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.clock import now_us, second_text
from tollkeeper.ports import Team
from tollkeeper.services import people

app = typer.Typer(
    help="Add, list, rename and switch off teams.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
TakeOverOption = Annotated[
    bool,
    typer.Option(
        "--take-over",
        help="Take a name that another team had before, and see its calls of then.",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="TEAM", help="The team's name.")]


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper teams add engineering\n\n"
    "tollkeeper teams add search --parent engineering"
)
def add(
    name: NameArgument,
    parent: Annotated[
        str, typer.Option("--parent", metavar="TEAM", help="The team that it is part of.")
    ] = "",
    take_over: TakeOverOption = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Add a team. A lead of its parent sees both."""
    with opened(data, create=True) as (store, _):
        team = people.add_team(store, name, now_us(), parent=parent, take_over=take_over)
    _print_done(team, f"Added team {_with_parent(team)}.", as_json)


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper teams nest search engineering\n\n"
    "tollkeeper teams nest search ''"
)
def nest(
    name: NameArgument,
    parent: Annotated[
        str, typer.Argument(metavar="PARENT", help="The team that it is part of, '' for none.")
    ],
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Make a team part of another one. Teams are nested one level."""
    with opened(data) as (store, _):
        team = people.nest_team(store, name, parent)
    place = f"part of team {team.parent}" if team.parent else "part of no other team"
    _print_done(team, f"Team {team.name} is now {place}.", as_json)


@app.command("list")
def list_teams(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the teams and how many people are in each."""
    with opened(data) as (store, _):
        teams = store.teams()
        sizes = Counter(user.team for user in store.users() if user.active)
    if as_json:
        output.print_json([_row(team) | {"people": sizes[team.name]} for team in teams])
        return
    output.print_table(
        (
            output.Column("Team"),
            output.Column("Part of"),
            output.Column("State", whole=True),
            output.Column("People", whole=True, right=True),
            output.Column("Created", whole=True),
        ),
        [
            (
                team.name,
                team.parent,
                _state(team),
                str(sizes[team.name]),
                moments.local(team.created_at_us),
            )
            for team in teams
        ],
        "No teams yet. Add one with: tollkeeper teams add NAME",
    )


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper teams rename core platform")
def rename(
    name: NameArgument,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    take_over: TakeOverOption = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Rename a team. What it has spent so far keeps the old name in the ledger."""
    with opened(data) as (store, _):
        team = people.rename_team(store, name, new_name, now_us(), take_over=take_over)
    _print_done(team, f"Renamed team {name} to {team.name}.", as_json)


@app.command()
def deactivate(name: NameArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Switch a team off: no key that it pays for works until it is switched on again."""
    with opened(data) as (store, _):
        team = people.set_team_active(store, name, active=False)
    _print_done(team, f"Switched off team {team.name}.", as_json)


@app.command()
def activate(name: NameArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Switch a team on again."""
    with opened(data) as (store, _):
        team = people.set_team_active(store, name, active=True)
    _print_done(team, f"Switched on team {team.name}.", as_json)


def _print_done(team: Team, sentence: str, as_json: bool) -> None:
    if as_json:
        output.print_json(_row(team))
    else:
        output.print_line(sentence)


def _row(team: Team) -> dict[str, Any]:
    return {
        "id": team.team_id,
        "name": team.name,
        "parent": team.parent or None,
        "state": _state(team),
        "created_at": second_text(team.created_at_us),
    }


def _with_parent(team: Team) -> str:
    return f"{team.name}, part of {team.parent}" if team.parent else team.name


def _state(team: Team) -> str:
    return "active" if team.active else "off"
