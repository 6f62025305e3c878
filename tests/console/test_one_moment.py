"""Pages that are opened while calls are loaded: all that one says is of one moment.

The ledger grows after every single query. So whatever asks it twice, and not for one state of it,
says two things that do not fit together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from ledgers import open_duckdb
from page_figures import amount, cells, last_cells, section, tiles, total
from tollkeeper.domain.ledger import LedgerEntry


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
            return console.entry_of(
                "member",
                started_at_us=console.now_us - 1 - number,
                model_served=f"m{number % 3}",
                cost_nanos=10**9 + number,
                input_tokens=number,
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
