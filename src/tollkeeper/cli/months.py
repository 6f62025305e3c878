"""``tollkeeper months``: close a month, so that nothing in it is corrected any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from tollkeeper.cli import moments, output
from tollkeeper.cli.context import DataOption, JsonOption, opened
from tollkeeper.cli.questions import ZoneOption, zone_named
from tollkeeper.clock import now_us, second_text
from tollkeeper.domain.months import ClosedMonth
from tollkeeper.services import months as service
from tollkeeper.telemetry import LogSink

app = typer.Typer(
    help="Close months, so that nothing in them is corrected any more.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
)
MonthArgument = Annotated[str, typer.Argument(metavar="MONTH", help="A month: 2026-10")]
_BY = "command line"


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper months close 2026-10")
def close(
    month: MonthArgument,
    zone: ZoneOption = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Close a month that is over."""
    in_zone = zone_named(zone)
    with opened(data) as (store, _), _logged():
        closed = service.close(store, month, in_zone, now_us(), _BY)
    if as_json:
        output.print_json(_row(closed))
    else:
        output.print_line(f"Closed {closed.month}, as days are counted in {closed.zone}.")


@app.command("list")
def list_months(as_json: JsonOption = False, data: DataOption = None) -> None:
    """List the closed months."""
    with opened(data) as (store, _):
        closed = store.closed_months()
    if as_json:
        output.print_json([_row(each) for each in closed])
        return
    output.print_table(
        (
            output.Column("Month", whole=True),
            output.Column("Zone"),
            output.Column("Closed", whole=True),
            output.Column("By"),
        ),
        [
            (each.month, each.zone, moments.local(each.closed_at_us), each.closed_by)
            for each in closed
        ],
        "No month is closed. Close one with: tollkeeper months close 2026-10",
    )


@app.command(epilog="[bold]Example[/bold]\n\ntollkeeper months reopen 2026-10")
def reopen(month: MonthArgument, as_json: JsonOption = False, data: DataOption = None) -> None:
    """Open a closed month again."""
    with opened(data) as (store, _), _logged():
        service.reopen(store, month, _BY)
    if as_json:
        output.print_json({"month": month, "closed": False})
    else:
        output.print_line(f"{month} is open again.")


@contextmanager
def _logged() -> Iterator[None]:
    """Write what is done as a log line, on standard error."""
    log = LogSink("command line")
    try:
        yield
    finally:
        log.close()


def _row(closed: ClosedMonth) -> dict[str, Any]:
    return {
        "month": closed.month,
        "tz": closed.zone,
        "from": second_text(closed.start_us),
        "to": second_text(closed.end_us),
        "closed_at": second_text(closed.closed_at_us),
        "closed_by": closed.closed_by,
    }
