"""``tollkeeper calls``: what happened, as it happens, and one call explained line by line."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from time import sleep
from typing import Annotated, Any, Final

import typer

from tollkeeper import clock
from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption
from tollkeeper.cli.explanation import print_call
from tollkeeper.cli.questions import (
    FilterOption,
    OpenSource,
    SinceOption,
    UntilOption,
    ZoneOption,
    moment,
    parameters,
    plain_failures,
    zone_named,
    zone_of,
)
from tollkeeper.cli.sources import open_source as open_source_of
from tollkeeper.ports import ReportSource
from tollkeeper.reports import formatting

POLL_S: Final = 1.0
FOLLOW_LIMIT: Final = 1_000
_OVERLAP: Final = timedelta(seconds=10)
"""A call is loaded a moment after it ended; so far back is looked for what came late."""
_SEEN_MAX: Final = 100_000
NOTHING: Final = "No calls yet, or none that passes the filters."
_COLUMNS: Final = (
    output.Column("Time", whole=True),
    output.Column("Model"),
    output.Column("Team"),
    output.Column("User"),
    output.Column("Tool"),
    output.Column("In", whole=True, right=True),
    output.Column("Out", whole=True, right=True),
    output.Column("Cost", whole=True, right=True),
    output.Column("Took", whole=True, right=True),
    output.Column("Outcome", whole=True),
    output.Column("Call", whole=True),
)
_WIDTHS: Final = (19, 28, 14, 24, 14, 8, 8, 12, 13, 16, 36)


def commands(open_source: OpenSource) -> typer.Typer:
    """Build the verbs ``calls`` and ``calls show``."""
    app = typer.Typer(rich_markup_mode="rich", invoke_without_command=True, add_completion=False)

    @app.callback(
        epilog="[bold]Example[/bold]\n\ntollkeeper calls --follow --filter team:core",
    )
    def list_calls(
        context: typer.Context,
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help="Go on and print calls as they end.")
        ] = False,
        limit: Annotated[int, typer.Option(help="How many calls.")] = 50,
        since: SinceOption = "",
        until: UntilOption = "",
        zone: ZoneOption = "",
        filters: FilterOption = None,
        as_json: JsonOption = False,
        data: DataOption = None,
    ) -> None:
        """List calls, newest first."""
        if context.invoked_subcommand is not None:
            return
        asked = parameters(since=since, until=until, zone=zone, filters=filters, limit=str(limit))
        with open_source(data) as source, plain_failures():
            if follow:
                print_following(follow_calls(source, asked), asked, as_json=as_json)
            else:
                print_calls(source, asked, as_json=as_json)

    @app.command(epilog="[bold]Example[/bold]\n\ntollkeeper calls show CALL_ID")
    def show(
        call_id: Annotated[str, typer.Argument(metavar="CALL_ID", help="A call's id.")],
        zone: ZoneOption = "",
        as_json: JsonOption = False,
        data: DataOption = None,
    ) -> None:
        """Explain one call: its attempts, and quantity times price, line by line."""
        shown_in = zone_named(zone)
        with open_source(data) as source, plain_failures():
            answer = source.call(call_id)
        if as_json:
            output.print_json(answer)
        else:
            print_call(answer, shown_in)

    return app


def print_calls(source: ReportSource, asked: Mapping[str, str], *, as_json: bool) -> None:
    """Ask and print. Raises ValueError for a question that cannot be understood."""
    answer = source.calls(asked)
    if as_json:
        output.print_json(answer)
        return
    zone = zone_of(asked.get("tz", ""))
    output.print_table(_COLUMNS, [_cells(row, zone) for row in answer["calls"]], NOTHING)


def follow_calls(
    source: ReportSource,
    asked: Mapping[str, str],
    *,
    now_us: Callable[[], int] = clock.now_us,
    pause: Callable[[float], object] = sleep,
) -> Iterator[dict[str, Any]]:
    """Give the newest calls, then each further call once, soon after it has ended."""
    # What ended just before the newest that are shown was not asked for, and is not news.
    earlier = _ended_lately(source, asked, now_us())
    rows = source.calls(asked)["calls"]
    seen: deque[str] = deque((row["entry_id"] for row in (*earlier, *rows)), _SEEN_MAX)
    yield from reversed(rows)
    while True:
        pause(POLL_S)
        known = set(seen)
        for row in reversed(_ended_lately(source, asked, now_us())):
            if row["entry_id"] not in known:
                seen.append(row["entry_id"])
                yield row


def _ended_lately(
    source: ReportSource, asked: Mapping[str, str], now_us: int
) -> list[dict[str, Any]]:
    """Give the calls that ended within the overlap, newest first."""
    after = datetime.fromtimestamp(now_us / 1e6, UTC) - _OVERLAP
    question = {name: asked[name] for name in ("tz", "filter") if name in asked}
    question |= {"finished_after": after.isoformat(), "limit": str(FOLLOW_LIMIT)}
    return _all_pages(source, question)


def _all_pages(source: ReportSource, question: Mapping[str, str]) -> list[dict[str, Any]]:
    answer = source.calls(question)
    rows: list[dict[str, Any]] = answer["calls"]
    while answer["next_cursor"]:
        answer = source.calls({**question, "cursor": answer["next_cursor"]})
        rows += answer["calls"]
    return rows


def print_following(
    rows: Iterator[Mapping[str, Any]], asked: Mapping[str, str], *, as_json: bool
) -> None:
    """Print calls one by one until they end or the user stops it."""
    zone = zone_of(asked.get("tz", ""))
    if not as_json:
        output.print_line(_line([column.title for column in _COLUMNS]))
    try:
        for row in rows:
            output.print_line(
                json.dumps(row, ensure_ascii=False) if as_json else _line(_cells(row, zone))
            )
            sys.stdout.flush()  # whoever reads a pipe wants to follow as well
    except KeyboardInterrupt:
        return


def _cells(row: Mapping[str, Any], zone: tzinfo) -> list[str]:
    return [
        f"{moment(row['started_at']).astimezone(zone):%Y-%m-%d %H:%M:%S}",
        row["model_served"] or row["model_requested"],
        row["team"],
        row["user_name"] or row["user_id"],
        row["tool"],
        formatting.count(row["tokens_in"]),
        formatting.count(row["tokens_out"]),
        cost_text(row),
        formatting.duration(row["duration_ms"]),
        row["outcome"],
        row["call_id"],
    ]


def cost_text(row: Mapping[str, Any]) -> str:
    """Write what a call cost: ``~`` marks an estimate, ``+`` that a part has no known price."""
    if row["cost_usd"] is None:
        return formatting.UNKNOWN
    text = formatting.money_exact(Decimal(row["cost_usd"]))
    mark = "~" if row["basis"] == "estimated" else ""
    return f"{mark}{text}{'+' if row['unpriced'] else ''}"


def _line(cells: list[str]) -> str:
    return "  ".join(
        cell[:width].rjust(width) if column.right else cell[:width].ljust(width)
        for cell, width, column in zip(cells, _WIDTHS, _COLUMNS, strict=True)
    ).rstrip()


app = commands(open_source_of)
