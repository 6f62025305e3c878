"""``tollkeeper forecast``: where this month will end, and how far that may be off."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import typer

from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption
from tollkeeper.cli.questions import (
    FilterOption,
    OpenSource,
    ZoneOption,
    moment,
    parameters,
    plain_failures,
    zone_of,
)
from tollkeeper.cli.sources import open_source as open_source_of
from tollkeeper.reports import formatting

_ROWS: Final = (
    ("So far", "so_far_usd"),
    ("At the end", "end_usd"),
    ("Not below", "low_usd"),
    ("Not above", "high_usd"),
)


def commands(open_source: OpenSource) -> typer.Typer:
    """Build the verb."""
    app = typer.Typer(rich_markup_mode="rich", add_completion=False)

    @app.command(
        epilog="[bold]Examples[/bold]\n\ntollkeeper forecast\n\n"
        "tollkeeper forecast --filter team:core --tz Europe/Berlin",
    )
    def forecast(
        zone: ZoneOption = "",
        filters: FilterOption = None,
        as_json: JsonOption = False,
        data: DataOption = None,
    ) -> None:
        """Show where this month will end."""
        asked = parameters(zone=zone, filters=filters)
        with open_source(data) as source, plain_failures():
            answer = source.forecast(asked)
        if as_json:
            output.print_json(answer)
        else:
            _print(answer)

    return app


def _print(answer: dict[str, Any]) -> None:
    month = answer["month"]
    first = moment(month["from"]).astimezone(zone_of(month["tz"])).date()
    shown = [(title, answer[name]) for title, name in _ROWS if answer[name] is not None]
    amounts = formatting.money_column([Decimal(amount) for _, amount in shown])
    output.print_table(
        [output.Column(f"{first:%Y-%m}", whole=True), output.Column("USD", whole=True, right=True)],
        [(title, amount) for (title, _), amount in zip(shown, amounts, strict=True)],
        "No cost of this month is known.",
    )
    for sentence in answer["how"]:
        output.print_line(sentence)


app = commands(open_source_of)
