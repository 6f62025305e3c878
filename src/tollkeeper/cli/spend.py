"""``tollkeeper spend``: who spent what, as a table or as the API's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption
from tollkeeper.cli.questions import (
    FilterOption,
    OpenSource,
    SinceOption,
    UntilOption,
    ZoneOption,
    parameters,
    plain_failures,
    stretch,
)
from tollkeeper.cli.sources import open_source as open_source_of
from tollkeeper.ports import ReportSource
from tollkeeper.reports import formatting

DEFAULT_METRICS: Final = "cost_usd,requests,tokens_in,tokens_out"
NOTHING: Final = "Nothing was spent in this period, or nothing passes the filters."
_TITLES: Final = {
    "cost_usd": "Cost",
    "list_cost_usd": "List cost",
    "saved_usd": "Saved",
    "cost_per_request_usd": "Per request",
    "cost_per_session_usd": "Per session",
    "cost_per_user_usd": "Per user",
    "cost_per_customer_usd": "Per customer",
}


def commands(open_source: OpenSource) -> typer.Typer:
    """Build the verb."""
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)

    @app.command(
        epilog="[bold]Example[/bold]\n\ntollkeeper spend --by team,model --since month",
    )
    def spend(
        by: Annotated[
            str, typer.Option("--by", help="Group by: team, user, model, day, tag:feature ...")
        ] = "model",
        since: SinceOption = "30d",
        until: UntilOption = "",
        zone: ZoneOption = "",
        filters: FilterOption = None,
        metrics: Annotated[str, typer.Option(help="What to sum up.")] = DEFAULT_METRICS,
        order: Annotated[str, typer.Option(help="Sort by: -cost_usd, day ...")] = "",
        limit: Annotated[int, typer.Option(help="How many rows.")] = 100,
        as_json: JsonOption = False,
        data: DataOption = None,
    ) -> None:
        """Show who spent what."""
        asked = parameters(
            since=since,
            until=until,
            zone=zone,
            filters=filters,
            group_by=by,
            metrics=metrics,
            order=order,
            limit=str(limit),
        )
        with open_source(data) as source, plain_failures():
            print_spend(source, asked, as_json=as_json)

    return app


def print_spend(source: ReportSource, asked: Mapping[str, str], *, as_json: bool) -> None:
    """Ask and print. Raises ValueError for a question that cannot be understood."""
    answer = source.usage(asked)
    if as_json:
        output.print_json(answer)
        return
    groups = [name for name in asked.get("group_by", "").split(",") if name]
    metrics = [name for name in asked.get("metrics", DEFAULT_METRICS).split(",") if name]
    rows: list[dict[str, Any]] = answer["rows"]
    totals: dict[str, Any] = answer["totals"]
    if any(row["unpriced"] for row in rows) and "unpriced" not in metrics:
        metrics.append("unpriced")
    columns = [_written(name, [*rows, totals]) for name in metrics]
    cells = [
        [*(_group(row, name) for name in groups), *(column[number] for column in columns)]
        for number, row in enumerate(rows)
    ]
    output.print_table(
        [
            *(output.Column(name.removeprefix("tag:").capitalize()) for name in groups),
            *(output.Column(_title(name), whole=True, right=True) for name in metrics),
        ],
        cells,
        NOTHING,
        totals=[
            *(("Total", *("" for _ in groups[1:])) if groups else ()),
            *(column[-1] for column in columns),
        ]
        if groups
        else None,
    )
    for line in _footnotes(answer, len(rows)):
        output.print_line(line)


def _group(row: Mapping[str, Any], name: str) -> str:
    """Show a group's value, with the name that people know an id by."""
    value = row[name]
    if value is None or value == "":
        return "(none)"
    known = row.get(f"{name}_name")
    return f"{known} ({value})" if known else str(value)


def _title(metric: str) -> str:
    return _TITLES.get(metric, metric.removesuffix("_ms").replace("_", " ").capitalize())


def _written(metric: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write one column, in the precision of its largest value."""
    values = [row[metric] for row in rows]
    if metric.endswith("_usd"):
        return formatting.money_column(
            [
                formatting.known_money(None if value is None else Decimal(value), row["unpriced"])
                for value, row in zip(values, rows, strict=True)
            ]
        )
    if metric.endswith("_ms"):
        return [formatting.duration(value) for value in values]
    if metric in {"error_rate", "cached_share"}:
        return [
            formatting.share(None if value is None else Decimal(str(value))) for value in values
        ]
    return [formatting.count_full(value) for value in values]


def _footnotes(answer: Mapping[str, Any], rows: int) -> list[str]:
    """Say what the numbers are about, and how far they can be trusted."""
    period = answer["period"]
    notes = [f"{stretch(period)}, {period['tz']}"]
    basis: dict[str, dict[str, Any]] = answer["basis"]
    requests = sum(share["requests"] for share in basis.values())
    estimated = basis.get("estimated", {})
    if estimated.get("requests"):
        cost = Decimal(estimated["cost_usd"] or 0)
        known = sum((Decimal(share["cost_usd"] or 0) for share in basis.values()), Decimal(0))
        money = f"{formatting.share(cost / known)} of the cost, " if known else ""
        notes.append(f"estimated: {money}{_part(estimated, requests)}")
    if basis.get("flat_rate", {}).get("requests"):
        notes.append(f"flat rate: {_part(basis['flat_rate'], requests)}")
    totals = answer["totals"]
    if totals["unpriced"]:
        calls = totals["unpriced_calls"]
        notes.append(
            f"unpriced: {calls:,} {'call' if calls == 1 else 'calls'}, "
            f"{formatting.count(totals['unpriced_tokens'])} tokens; their cost is unknown and in "
            "no sum (tollkeeper calls --filter basis:unpriced)"
        )
    if answer["truncated"]:
        notes.append(f"only the first {rows:,} rows; the totals are of all")
    return notes


def _part(share: Mapping[str, Any], requests: int) -> str:
    return f"{formatting.share(Decimal(share['requests']) / requests)} of the requests"


app = commands(open_source_of)
