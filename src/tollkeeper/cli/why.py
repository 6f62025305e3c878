"""``tollkeeper why``: by what a cost changed between two periods."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

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
from tollkeeper.domain.bridge import Cause
from tollkeeper.reports import formatting
from tollkeeper.reports.bridge_words import CAUSES, with_sign


def commands(open_source: OpenSource) -> typer.Typer:
    """Build the verb."""
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)

    @app.command(
        epilog="[bold]Examples[/bold]\n\ntollkeeper why --since month\n\n"
        "tollkeeper why --by model --since 2026-11-01 --until 2026-11-07 "
        "--before-since 2026-10-01 --before-until 2026-10-07",
    )
    def why(
        by: Annotated[str, typer.Option("--by", help="Rows: team, model, tool, tag:x.")] = "team",
        since: SinceOption = "30d",
        until: UntilOption = "",
        before_since: Annotated[
            str, typer.Option(help="First day to compare with. Default: the period before.")
        ] = "",
        before_until: Annotated[str, typer.Option(help="Last day to compare with.")] = "",
        zone: ZoneOption = "",
        filters: FilterOption = None,
        as_json: JsonOption = False,
        data: DataOption = None,
    ) -> None:
        """Show why a cost changed."""
        asked = parameters(
            since=since,
            until=until,
            zone=zone,
            filters=filters,
            by=by,
            before_from=before_since,
            before_to=before_until,
        )
        with open_source(data) as source, plain_failures():
            answer = source.changes(asked)
        if as_json:
            output.print_json(answer)
        else:
            _print(answer)

    return app


def _print(answer: dict[str, Any]) -> None:
    """Print the causes, then each value with why it changed."""
    output.print_line(f"{stretch(answer['period'])}, compared with {stretch(answer['before'])}")
    total = answer["total"]
    causes = [(cause, Decimal(total["causes"][cause])) for cause in Cause]
    shown = [(CAUSES[cause].name, amount) for cause, amount in causes if amount]
    ends = [Decimal(total[side]["cost_usd"]) for side in ("before", "now")]
    before, now, *steps = formatting.money_column([*ends, *(amount for _, amount in shown)])
    output.print_table(
        [output.Column("Cause", whole=True), output.Column("USD", whole=True, right=True)],
        [
            ("Before", before),
            *(
                (name, with_sign(text, amount))
                for (name, amount), text in zip(shown, steps, strict=True)
            ),
        ],
        "",
        totals=("Now", now),
    )
    rows = [*answer["rows"]]
    if answer["other"]:
        count = formatting.count_full(answer["rows_found"] - len(rows))
        rows.append({**answer["other"], "name": f"({count} others)", "why": ""})
    differences = [Decimal(row["difference_usd"]) for row in rows]
    costs = formatting.money_column(differences)
    output.print_table(
        [
            output.Column(answer["by"].removeprefix("tag:").capitalize()),
            output.Column("Difference", whole=True, right=True),
            output.Column("Why"),
        ],
        [
            (row["name"] or "(none)", with_sign(cost, difference), row["why"])
            for row, cost, difference in zip(rows, costs, differences, strict=True)
        ],
        "Nothing was called in either period, or nothing passes the filters.",
    )
    unpriced = total["before"]["unpriced"] + total["now"]["unpriced"]
    if unpriced:
        output.print_line(f"unpriced: {unpriced:,} entries, whose cost is in no amount")


app = commands(open_source_of)
