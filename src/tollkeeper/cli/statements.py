"""``tollkeeper statements``: what is booked for each team, shown, saved as files, and issued."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tollkeeper import bootstrap
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption, data_folder, opened
from tollkeeper.cli.questions import plain_failures
from tollkeeper.domain.audit import Action, Target
from tollkeeper.domain.errors import NotFound, TollkeeperError
from tollkeeper.reports import formatting
from tollkeeper.services import audit

if TYPE_CHECKING:
    from tollkeeper.bootstrap.statements import StatementSource

NO_TEAM: Final = "(no team)"
_SHOW: Final = (
    "[bold]Examples[/bold]\n\ntollkeeper statements show 2026-10"
    "\n\ntollkeeper statements show 2026-10 --team core"
)
_EXPORT: Final = (
    "[bold]Examples[/bold]\n\ntollkeeper statements export 2026-10 --output october.csv"
    "\n\ntollkeeper statements export 2026-10 --format focus_parquet --output october.parquet"
)
_CLOSE: Final = "[bold]Example[/bold]\n\ntollkeeper statements close 2026-10"


class Format(StrEnum):
    """How a statement is written to a file."""

    CSV = "csv"
    PARQUET = "parquet"
    FOCUS_CSV = "focus_csv"
    FOCUS_PARQUET = "focus_parquet"


app = typer.Typer(
    help="Show and issue what is booked for each team and month.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
MonthArgument = Annotated[str, typer.Argument(metavar="MONTH", help="A month: 2026-10")]
TeamOption = Annotated[
    str, typer.Option("--team", help='This team alone; "(no team)" is what belongs to none.')
]


@app.command("list")
def list_months(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the months: what is booked, and which statements are issued."""
    with _open_source(data) as source, plain_failures():
        answer = source.statements()
    if as_json:
        output.print_json(answer)
        return
    output.print_table(
        (
            output.Column("Month", whole=True),
            output.Column("State", whole=True),
            output.Column("Booked", whole=True, right=True),
            output.Column("Corrections", whole=True, right=True),
            output.Column("Seats, apart", whole=True, right=True),
            output.Column("No price", whole=True, right=True),
            output.Column("Issued", whole=True),
        ),
        [
            (
                *(row["month"], row["state"], _money(row["cost_usd"])),
                *(_money(row["corrected_usd"]), _money(row["seats_usd"])),
                str(row["unpriced"] or ""),
                row["issued"]["at"] if row["issued"] else "",
            )
            for row in answer["months"]
        ],
        "Nothing was called yet, so there is nothing to book.",
    )


@app.command(epilog=_SHOW)
def show(
    month: MonthArgument,
    team: TeamOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show a month: every team, or one team's lines."""
    with _open_source(data) as source, plain_failures():
        answer = _part(source.statement(month), team)
    if as_json:
        output.print_json(answer)
        return
    output.print_line(f"{answer['month']}, {answer['tz']}: {answer['state']}")
    if team:
        _print_lines(answer)
    else:
        _print_teams(answer)
    waiting = answer["waiting"]
    if waiting:
        for reason, count in waiting["unpriced"].items():
            output.print_line(f"Without a price: {count} ({reason.replace('_', ' ')}).")
        if waiting["not_loaded"]:
            output.print_line(f"Not loaded yet: {waiting['not_loaded']} calls.")
    if answer["issued"]:
        output.print_line(f"SHA-256 of the month: {answer['issued']['sha256']}")


@app.command(epilog=_EXPORT)
def export(
    month: MonthArgument,
    form: Annotated[Format, typer.Option("--format", help="What the file is.")] = Format.CSV,
    target_file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where to. Default: standard output."),
    ] = None,
    team: TeamOption = "",
    data: DataOption = None,
) -> None:
    """Write a month's lines to a file. That it was exported stands in the audit log."""
    if target_file is None and form in {Format.PARQUET, Format.FOCUS_PARQUET}:
        raise typer.BadParameter("Parquet is not for a terminal: say where to with --output FILE")
    with _open_source(data) as source, plain_failures():
        answer = _part(source.statement(month), team)
    body = _file(answer, form)
    with opened(data) as (store, _):
        said = {"format": form.value, "month": month, **({"team": team} if team else {})}
        audit.record(store, Action.EXPORT, Target("file", f"statement {month}"), said)
    if target_file is not None:
        target_file.write_bytes(body)
        return
    sys.stdout.write(body.decode())


@app.command(epilog=_CLOSE)
def close(
    month: MonthArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Issue a month's statement and close the month. It never changes afterwards."""
    if as_json and not yes:
        raise typer.BadParameter("with --json say --yes: nothing is asked")
    with _open_source(data) as source, plain_failures():
        if not yes:
            _print_teams(source.statement(month))
            if not typer.confirm(f"Issue the statement of {month}? It cannot be taken back"):
                raise TollkeeperError("nothing was issued", code="not_confirmed")
        answer = source.issue_statement(month)
    if as_json:
        output.print_json({name: answer[name] for name in ("month", "state", "issued", "totals")})
    else:
        output.print_line(
            f"Issued {month}: {_money(answer['totals']['cost_usd'])}, "
            f"SHA-256 {answer['issued']['sha256']}"
        )


def _part(answer: dict[str, Any], team: str) -> dict[str, Any]:
    """Give the part of a month that is one team's. Raises NotFound where it has none."""
    if not team:
        return answer
    documents = import_module("tollkeeper.services.statement_documents")
    found = documents.statement_of(answer)
    name = "" if team == NO_TEAM and team not in found.teams else team
    if name not in found.teams:
        raise NotFound(f"there is no statement for {team!r} in {answer['month']}")
    part = documents.statement_document(found.of(frozenset({name})))
    return {**part, **{key: answer[key] for key in ("state", "issued", "waiting")}}


def _file(answer: Mapping[str, Any], form: Format) -> bytes:
    found = import_module("tollkeeper.services.statement_documents").statement_of(answer)
    if form in {Format.FOCUS_CSV, Format.FOCUS_PARQUET}:
        shape = import_module("tollkeeper.reports.focus")
        issued = answer["issued"]
        rows = shape.focus_rows(found, answer["state"], issued["sha256"] if issued else "")
    else:
        shape = import_module("tollkeeper.reports.statement_lines")
        rows = shape.statement_rows(found)
    if form in {Format.CSV, Format.FOCUS_CSV}:
        lines = import_module("tollkeeper.reports.export").csv_lines(shape.COLUMNS, rows)
        return "".join(lines).encode("utf-8", "replace")
    parquet = import_module("tollkeeper.bootstrap.statements").parquet_bytes
    body: bytes = parquet(shape.COLUMNS, rows, shape.KINDS)
    return body


def _print_teams(answer: Mapping[str, Any]) -> None:
    totals = answer["totals"]
    names = ("use_usd", "shared_usd", "corrected_usd", "cost_usd", "seats_usd")
    titles = ("Usage", "Shared", "Corrections", "Booked", "Seats, apart")
    output.print_table(
        (
            output.Column("Team"),
            *(output.Column(title, whole=True, right=True) for title in titles),
            output.Column("No price", whole=True, right=True),
        ),
        [
            (
                row["team"] or "No team",
                *(_money(row[name]) for name in names),
                str(row["unpriced"] or ""),
            )
            for row in answer["teams"]
        ],
        "Nothing was used in this month.",
        totals=("Together", *(_money(totals[name]) for name in names), str(totals["unpriced"]))
        if answer["teams"]
        else None,
    )


def _print_lines(answer: Mapping[str, Any]) -> None:
    output.print_table(
        (
            output.Column("Line"),
            output.Column("What"),
            output.Column("By"),
            output.Column("Requests", whole=True, right=True),
            output.Column("Cost", whole=True, right=True),
        ),
        [_cells(line, answer["month"]) for line in answer["lines"]],
        "Nothing was used in this month.",
        totals=("Booked", "", "", "", _money(answer["totals"]["cost_usd"])),
    )


def _cells(line: Mapping[str, Any], month: str) -> tuple[str, ...]:
    cost = _money(line["cost_usd"])
    if line["kind"] == "seats":
        return ("seats, apart", line["plan"], f"{line['seats']} seats", "", cost)
    if line["kind"] == "shared":
        part = "given to all"
        if not line["given"]:
            part = formatting.share(Decimal(line["weight"]) / Decimal(line["weights"])) + " of it"
        return ("shared cost", part, "", "", cost)
    kind = "usage" if line["month"] == month else f"correction of {line['month']}"
    what = f"{line['provider']}/{line['model']}"
    return (kind, what, line["feature"] or line["basis"], f"{line['requests']:,}", cost)


def _money(amount: str | None) -> str:
    return formatting.UNKNOWN if amount is None else formatting.money_exact(Decimal(amount))


@contextmanager
def _open_source(data: Path | None) -> Iterator[StatementSource]:
    """Ask the running server of a data folder, or read its ledger where none runs."""
    found = import_module("tollkeeper.bootstrap.statements").open_statements
    with found(data_folder(data), bootstrap.configuration(None), _tell) as source:
        yield source


def _tell(sentence: str) -> None:
    typer.echo(f"tollkeeper: {sentence}", err=True)
