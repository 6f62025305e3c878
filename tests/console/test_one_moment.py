"""Pages that are opened while calls are loaded: all that one says is of one moment.

The ledger grows after every single query. So whatever asks it twice, and not for one state of it,
says two things that do not fit together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from ledgers import open_duckdb
from page_figures import amount, cells, last_cells, section, tiles, total
from stores import DAY
from tollkeeper.domain.ledger import Basis, LedgerEntry

_UNPRICED = {
    "basis": Basis.UNPRICED,
    "unpriced_reason": "unknown_model",
    "cost_nanos": None,
    "list_cost_nanos": None,
}


class GrowingLedger:
    """A ledger into which one more entry is loaded after every query."""

    def __init__(self, folder: Path) -> None:
        self._ledger = open_duckdb(folder)
        self.next: Callable[[], LedgerEntry] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def run(self, *asked: Any) -> Any:
        found = self._ledger.run(*asked)
        if self.next is not None:
            self._ledger.append([self.next()], None)
        return found


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    made: list[GrowingLedger] = []

    def opened(folder: Path) -> Any:
        made.append(GrowingLedger(folder))
        return made[0]

    with running_console(tmp_path_factory.mktemp("growing"), opened=opened) as console:
        numbers = iter(range(1, 10**6))

        def another() -> LedgerEntry:
            number = next(numbers)
            changes = {"cost_nanos": 10**9 + number} if number % 4 != 2 else _UNPRICED
            away_us = 0 if number % 2 else 40 * DAY  # in August, to which no other page looks back
            return console.entry_of(
                "member",
                started_at_us=console.now_us - 1 - number - away_us,
                model_served=f"m{number % 3}",
                input_tokens=number,
                **changes,
            )

        console.load(another())
        made[0].next = another
        yield console


def page(console: RunningConsole, target: str) -> str:
    reply = console.get(target, console.session("admin"))
    assert reply.status == 200, reply.text
    return reply.text


def test_the_list_and_its_totals(growing: RunningConsole) -> None:
    html = page(growing, "/calls")
    rows = cells(section(html, "rows", "div"))
    assert 0 < len(rows) < 50
    assert total(amount(row[-1]) for row in rows) == amount(tiles(html, "totals")["Cost"])
    assert tiles(html, "totals")["Requests"] == str(len(rows))


@pytest.mark.parametrize("view", ["bars", "heat", "sankey"])
def test_explore(growing: RunningConsole, view: str) -> None:
    html = page(growing, f"/explore?group_by=model,team&view={view}")
    (whole,) = re.findall(r'id="total"[^>]*title="([^"]*)"', html)
    rows, foot = last_cells(section(html, "parts"))
    assert rows == foot == amount(whole)
    if view == "bars":
        steps = cells(section(html, "chart-data", "details"))
        assert total(amount(step[-1]) for step in steps) == amount(whole)
    if view == "sankey":
        flows = cells(section(html, "flow-data", "details"))
        assert total(amount(flow[-1]) for flow in flows) == amount(whole)
    if view == "heat":
        hours = cells(section(html, "week-data", "details"))
        assert total(amount(hour) for day in hours for hour in day if hour) == amount(whole)


def test_the_first_page(growing: RunningConsole) -> None:
    html = page(growing, "/")
    month, today, period = re.findall(r'<dd class="v num"><a[^>]*title="(\$[0-9.,]+)\. ', html)[:3]
    rows, foot = last_cells(section(html, "parts"))
    days = cells(section(html, "chart-data", "details"))
    assert amount(month) == amount(today) == amount(period) == rows == foot
    assert total(amount(day[-1]) for day in days) == foot


def test_what_changed_and_what_is_wasted(growing: RunningConsole) -> None:
    html = page(growing, "/why")
    rows = cells(section(html, "rows"))
    steps = cells(section(html, "bridge"))
    assert total(amount(row[2]) for row in rows) == amount(steps[-2][-1])
    document = growing.get("/api/v1/usage?group_by=model", growing.session("admin")).json()
    rows = document["rows"]
    assert total(row["cost_usd"] for row in rows) == total([document["totals"]["cost_usd"]])
    assert sum(row["requests"] for row in rows) == document["totals"]["requests"]


def test_statements(growing: RunningConsole) -> None:
    """The months and their teams; and what a month waits for is what its sums leave out."""
    html = page(growing, "/statements")
    months = cells(section(html, "months"))
    teams = cells(section(html, "teams"))
    for place, month in enumerate(months):
        assert total(amount(team[place]) for team in teams) == amount(month[-1]) > 0
    document = growing.get("/statements?format=json", growing.session("admin")).json()
    for row in document["months"]:
        assert total(team["cost_usd"] for team in row["teams"]) == Decimal(row["cost_usd"])
    html = page(growing, "/statements/2026-08")
    booked = re.findall(r'<dt><span>Booked</span></dt><dd class="v num" title="([^"]*)"', html)
    assert total(amount(team[-2]) for team in cells(section(html, "teams"))) == amount(*booked)
    waits = re.findall("<li>([0-9,]+) calls have no price: unknown model</li>", html)
    assert waits == re.findall("([0-9,]+) calls have no price and are in no sum", html) != []
    august = growing.get("/api/v1/statements/2026-08", growing.session("admin")).json()
    assert august["waiting"]["unpriced"] == {"unknown_model": august["totals"]["unpriced_now"]}
