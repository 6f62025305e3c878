"""How the commands show budgets: a table of all, one with its rows, and what a replay found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from tollkeeper.cli import output
from tollkeeper.domain.budget_words import (
    amount_words,
    is_of_file,
    percent_words,
    window_words,
)
from tollkeeper.domain.budgets import Balance, Budget, Mode, Unit
from tollkeeper.domain.money import nanos_of_usd
from tollkeeper.reports import formatting
from tollkeeper.services.budget_documents import FILE, Names, entity_name, used_percent, whose
from tollkeeper.services.budget_standings import Standing, opens_at_us
from tollkeeper.services.budgets import state_of

NOTHING: Final = (
    "No budgets: nothing is capped. Make one with: "
    "tollkeeper budgets set 'All of us' --limit '5000 USD' --window month"
)
ROWS_SHOWN: Final = 20


def print_budgets(found: Sequence[Standing], names: Names, now_us: int) -> None:
    """Print a table of budgets, each with its fullest row."""
    output.print_table(
        (
            output.Column("Budget"),
            output.Column("Whose calls"),
            output.Column("Window"),
            output.Column("Limit", whole=True, right=True),
            output.Column("Spent", whole=True, right=True),
            output.Column("Held", whole=True, right=True),
            output.Column("Left", whole=True, right=True),
            output.Column("Used", whole=True, right=True),
            output.Column("Until", whole=True),
            output.Column("Mode", whole=True),
            output.Column("Id", whole=True),
        ),
        [_line(each, names, now_us) for each in found],
        NOTHING,
    )
    if any(each.budget.each for each in found):
        output.print_line(
            "A budget that counts each apart shows the one with the least left; "
            "see: tollkeeper budgets show BUDGET"
        )


def _line(found: Standing, names: Names, now_us: int) -> tuple[str, ...]:
    budget, row = found.budget, found.tightest
    state = state_of(budget, now_us)
    of = whose(budget, names)
    if budget.each and row is not None:
        of = f"{of} ({len(found.rows)}): {entity_name(budget, row.key.entity, names)}"
    amounts = ("", "", "", "", "") if row is None else _amounts(budget, row)
    limit = amount_words(row.limit if row else budget.limit, budget.unit)
    return (
        budget.name,
        of,
        window_words(budget.window),
        limit,
        *amounts,
        f"{budget.mode}" if state == "active" else f"{budget.mode}, {state}",
        budget.budget_id,
    )


def _amounts(budget: Budget, row: Balance) -> tuple[str, ...]:
    """Give spent, held, left, the share that is used, and until when."""
    return (
        _short(row.posted, budget.unit),
        _short(row.held, budget.unit),
        _short(row.left, budget.unit),
        f"{used_percent(row).partition('.')[0]}%",
        _until(budget, row),
    )


def print_budget(found: Standing, names: Names, now_us: int) -> None:
    """Print one budget with what is said of it, and its rows."""
    budget = found.budget
    facts = [
        ("Whose calls", whose(budget, names)),
        ("Limit", f"{amount_words(budget.limit, budget.unit)}, {window_words(budget.window)}"),
        ("Time zone", budget.window.zone),
        ("Mode", _mode(budget)),
        ("Holds", str(budget.sizing)),
        ("Told at", ", ".join(f"{percent_words(bp)}%" for bp in budget.thresholds_bp) or "never"),
        (
            "Rolls over",
            amount_words(budget.rollover_max, budget.unit) if budget.rollover_max else "",
        ),
        ("Not counted", ", ".join(budget.exempt_models)),
        ("State", state_of(budget, now_us)),
        ("Stands in", FILE if is_of_file(budget.budget_id) else ""),
    ]
    for title, text in facts:
        if text:
            output.print_line(f"{title:<12} {text}")
    output.print_table(
        (
            output.Column("Whose"),
            output.Column("Limit", whole=True, right=True),
            output.Column("Spent", whole=True, right=True),
            output.Column("Held", whole=True, right=True),
            output.Column("Left", whole=True, right=True),
            output.Column("Used", whole=True, right=True),
            output.Column("Until", whole=True),
        ),
        [
            (
                entity_name(budget, row.key.entity, names),
                amount_words(row.limit, budget.unit),
                *_amounts(budget, row),
            )
            for row in found.rows
        ],
        "Nobody has used it in this window." if budget.each else "It counts no more calls.",
    )


def print_replay(found: Mapping[str, Any]) -> None:
    """Print what a budget would have refused."""
    unit = Unit(found["unit"])

    def amount(text: str) -> str:
        return amount_words(nanos_of_usd(text) if unit is Unit.USD else int(text), unit)

    output.print_line(
        f"{found['name']}, {found['from'][:10]} to {found['to'][:10]}: "
        f"{found['calls']:,} {_calls(found['calls'])}, {amount(found['amount'])}."
    )
    if not found["refused_calls"]:
        output.print_line("It would have refused nothing.")
    else:
        output.print_line(
            f"It would have refused {found['refused_calls']:,} {_calls(found['refused_calls'])} "
            f"({amount(found['refused_amount'])}) in {found['windows_refusing']:,} "
            f"{'window' if found['windows_refusing'] == 1 else 'windows'}."
        )
        _print_windows(found, amount)
    if found["unpriced_calls"]:
        output.print_line(
            f"{found['unpriced_calls']:,} {_calls(found['unpriced_calls'])} have no price: a hard "
            "budget in USD refuses such calls."
        )
    output.print_line(found["method"])


def _print_windows(found: Mapping[str, Any], amount: Any) -> None:
    refused = (
        output.Column("Calls", whole=True, right=True),
        output.Column("Refused", whole=True, right=True),
        output.Column("Amount refused", whole=True, right=True),
    )
    output.print_table(
        (
            output.Column("Window from", whole=True),
            output.Column("Whose"),
            *refused,
            output.Column("First refused", whole=True),
        ),
        [
            (
                each["from"][:16].replace("T", " "),
                each["entity_name"],
                f"{each['calls']:,}",
                f"{each['refused_calls']:,}",
                amount(each["refused_amount"]),
                each["first_refused_at"][:19].replace("T", " "),
            )
            for each in found["windows"][-ROWS_SHOWN:]
        ],
        "",
    )
    output.print_table(
        (output.Column("Who"), *refused[1:]),
        [
            (
                each["name"] or each["id"] or "(nobody)",
                f"{each['refused_calls']:,}",
                amount(each["refused_amount"]),
            )
            for each in found["whom"][:ROWS_SHOWN]
        ],
        "",
    )
    hidden = found["windows_refusing"] - min(len(found["windows"]), ROWS_SHOWN)
    if hidden > 0 or len(found["whom"]) > ROWS_SHOWN:
        output.print_line("Only the last windows and the most refused are shown; see --json.")


def _mode(budget: Budget) -> str:
    return "hard: refuses" if budget.mode is Mode.HARD else "observe: only counts"


def _short(amount: int, unit: Unit) -> str:
    """Write an amount of a table, whose limit says the unit."""
    if unit is Unit.USD:
        return amount_words(amount, unit).removesuffix(" USD")
    return formatting.count_full(amount)


def _until(budget: Budget, row: Balance) -> str:
    ends_us = opens_at_us(budget, row)
    if ends_us is None:
        return "for ever"
    ends = datetime.fromtimestamp(ends_us // 1_000_000, UTC).astimezone(
        ZoneInfo(budget.window.zone)
    )
    return f"{ends:%Y-%m-%d %H:%M}"


def _calls(count: int) -> str:
    return "call" if count == 1 else "calls"
