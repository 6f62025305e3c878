"""``tollkeeper savings``: what is wasted, as tables or as the API's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from tollkeeper.cli import output
from tollkeeper.cli.context import DataOption, JsonOption
from tollkeeper.cli.questions import (
    FilterOption,
    SinceOption,
    UntilOption,
    ZoneOption,
    parameters,
    plain_failures,
    stretch,
)
from tollkeeper.cli.sources import open_source
from tollkeeper.reports import formatting
from tollkeeper.reports.savings_words import CACHES, FINDINGS, left_words

PARTS: Final = 5
_NOTES: Final = {"small_calls": "cheaper on "}
_OVERLAP: Final = "These overlap, so there is no total; tollkeeper savings --json has all parts."

app = typer.Typer(rich_markup_mode="rich", add_completion=False)


@app.command(
    epilog="[bold]Examples[/bold]\n\ntollkeeper savings --since month\n\n"
    "tollkeeper savings --since last_month --from-model openai/gpt-4.1 --to-model "
    "openai/gpt-4.1-mini"
)
def savings(
    since: SinceOption = "30d",
    until: UntilOption = "",
    zone: ZoneOption = "",
    filters: FilterOption = None,
    from_model: Annotated[
        str,
        typer.Option("--from-model", help="Move calls of: provider/model, or provider/*."),
    ] = "",
    to_model: Annotated[
        str, typer.Option("--to-model", help="What would they have cost as calls of this model?")
    ] = "",
    as_json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Show what is wasted, whose it is, and what another model would have cost."""
    asked = parameters(
        since=since,
        until=until,
        zone=zone,
        filters=filters,
        from_model=from_model,
        to_model=to_model,
    )
    with open_source(data) as source, plain_failures():
        answer = source.savings(asked)
    if as_json:
        output.print_json(answer)
    elif answer["what_if"] is not None:
        _print_what_if(answer["what_if"])
    else:
        _print_findings(answer)
        _print_parts(answer)


def _print_findings(answer: Mapping[str, Any]) -> None:
    caches = answer["prompt_caches"]
    rows = [(CACHES.title, caches)]
    rows += [(FINDINGS[each["name"]].title, each) for each in answer["findings"]]
    output.print_table(
        [
            output.Column("Finding"),
            *(output.Column(each, whole=True, right=True) for each in ("Calls", "Now", "Before")),
        ],
        [
            (
                title,
                formatting.count_full(each["now"]["calls"]),
                _money(each["now"]),
                _money(each["before"]),
            )
            for title, each in rows
        ],
        "",
    )
    period = answer["period"]
    output.print_line(f"{stretch(period)}, {period['tz']}")
    output.print_line(_OVERLAP)


def _print_parts(answer: Mapping[str, Any]) -> None:
    """Print the largest parts of each finding that has some."""
    for finding in answer["findings"]:
        if not finding["groups"]:
            continue
        output.print_line("")
        output.print_line(f"{FINDINGS[finding['name']].title}:")
        for group in finding["groups"][:PARTS]:
            keys = {**group["keys"], "key": group["key_name"] or group["keys"].get("key", "")}
            said = [f"{name} {value}" for name, value in keys.items() if value]
            said += [f"from {group['from']}"] if group["from"] else []
            if group["note"]:
                said.append(_NOTES.get(finding["name"], "") + group["note"])
            output.print_line(f"  {_money(group)} in {group['calls']:,}: {', '.join(said)}")
        output.print_line(f"  {FINDINGS[finding['name']].advice}")


def _print_what_if(found: Mapping[str, Any]) -> None:
    rows = found["lines"]
    whole = {**found, "model": "Total", "provider": ""}
    cells = [
        (
            f"{row['provider']}/{row['model']}".strip("/"),
            formatting.count_full(row["calls"]),
            formatting.money(Decimal(row["now_usd"])),
            formatting.money(Decimal(row["then_usd"])),
            formatting.money(Decimal(row["then_usd"]) - Decimal(row["now_usd"])),
        )
        for row in [*rows, whole]
    ]
    titles = ("Calls", "Cost", "Would have", "Difference")
    output.print_table(
        [
            output.Column("Model"),
            *(output.Column(each, whole=True, right=True) for each in titles),
        ],
        cells[:-1],
        "No calls of this model can be moved.",
        totals=cells[-1] if rows else None,
    )
    output.print_line(
        f"The same tokens as calls of {found['to_model']}, at the prices of their time."
    )
    if found["written_as_input_tokens"]:
        output.print_line(
            f"{found['written_as_input_tokens']:,} tokens written to a cache count as input there."
        )
    for left in found["left_out"]:
        cost = (
            "" if left["cost_usd"] is None else f", {formatting.money(Decimal(left['cost_usd']))}"
        )
        output.print_line(
            f"in neither sum: {left['calls']:,} calls {left_words(left['reason'])}{cost}"
        )


def _money(stake: Mapping[str, Any]) -> str:
    amount = None if stake["usd"] is None else Decimal(stake["usd"])
    return formatting.money(formatting.known_money(amount, stake["unknown"]))
