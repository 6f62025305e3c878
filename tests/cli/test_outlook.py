"""``tollkeeper forecast`` and ``tollkeeper why`` on a real ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from command_line import Ended
from ledger_entries import START_US, ledger_entry
from tollkeeper.cli import forecast, why
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis
from tollkeeper.ports import Position, ReportSource
from tollkeeper.reports.source import LedgerReports
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

DAY_US = 86_400_000_000
NOW_US = START_US + 60_000_000
USD = 10**9


@pytest.fixture(scope="module")
def source() -> Iterator[ReportSource]:
    """Seventy days of one dollar a day, two of them in the last week; a bit without a price."""
    ledger = DuckDbLedger(Path(":memory:"))
    entries = [
        ledger_entry(started_at_us=START_US - day * DAY_US, cost_nanos=USD * (1 + (day < 7)))
        for day in range(70)
    ]
    entries.append(
        ledger_entry(
            started_at_us=START_US,
            cost_nanos=None,
            basis=Basis.UNPRICED,
            team="evil\x1b[31m",
        )
    )
    ledger.append(entries, Position("a", 1))
    yield LedgerReports(ledger, Scope("acme"), lambda: NOW_US)
    ledger.close()


def run(source: ReportSource, app: Typer, *arguments: str) -> Ended:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def ask(source: ReportSource, module: object, *arguments: str) -> Ended:
    @contextmanager
    def opened(data: Path | None) -> Iterator[ReportSource]:
        yield source

    return run(source, module.commands(opened), *arguments)  # type: ignore[attr-defined]


def test_forecast_says_where_the_month_ends_and_how_that_came_about(source: ReportSource) -> None:
    done = ask(source, forecast)
    assert done.code == 0
    for part in (
        "2026-09",
        "So far",
        "At the end",
        "Not below",
        "Not above",
        "half of their trend",
    ):
        assert part in done.out
    assert "1 entries of this month and 0 of the weeks before have no price" in done.out
    document = json.loads(ask(source, forecast, "--json", "--filter", "team:core").out)
    assert document["state"] == "known"
    assert document == source.forecast({"tz": "UTC", "filter": "team:core"})
    nothing = ask(source, forecast, "--filter", "team:nobody")
    assert "14 full days with calls are needed before a forecast; 0 are there." in nothing.out


def test_why_says_what_changed_and_by_what(source: ReportSource) -> None:
    done = ask(source, why, "--since", "7d")
    assert done.code == 0
    lines = done.out.splitlines()
    for parts in (("Before", "$7.00"), ("Price", "+$7.00"), ("Now", "$14.00")):
        assert any(all(part in line for part in parts) for line in lines), parts
    assert "Higher prices +$7.00." in done.out
    assert "evil\\u001b[31m" in done.out
    assert "unpriced: 1 entries" in done.out
    document = json.loads(ask(source, why, "--since", "7d", "--by", "model", "--json").out)
    assert document["total"]["causes"]["price"] == "7.000000000"


def test_why_compares_with_any_other_days(source: ReportSource) -> None:
    days = ("--before-since", "2026-08-01", "--before-until", "2026-08-01")
    done = ask(source, why, "--since", "2026-09-20", "--until", "2026-09-20", *days, "--json")
    total = json.loads(done.out)["total"]
    assert (total["before"]["requests"], total["now"]["requests"]) == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [("--by", "colour"), ("--tz", "Mars"), ("--since", "never"), ("--before-since", "2026-01-01")],
)
def test_what_cannot_be_understood_ends_with_2(source: ReportSource, arguments: str) -> None:
    assert ask(source, why, *arguments).code == 2
    assert ask(source, forecast, "--tz", "Mars").code == 2
