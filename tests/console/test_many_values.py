"""Thousands of teams, sessions and tags: answers stay bounded, and what is cut off is counted."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consoles import RunningConsole, running_console
from memory import peak_bytes, resident_bytes
from page_figures import amount, cells, last_cells, section, total
from same_files import parquet_rows, require_same
from stores import DAY
from tollkeeper.cli import why
from tollkeeper.domain.access import Scope
from tollkeeper.ports import Position
from tollkeeper.reports.source import LedgerReports

MANY = 2_500
TEAMS = 300
FEATURES = 620
MB = 1 << 20
WHOLE = Decimal(sum(range(MANY))) / 1_000
PAGES = {
    "/?by=session&rows=all": 1.0,
    "/explore?group_by=tag:customer,session,team&view=table&limit=1000": 3.0,
    "/explore?group_by=team,session&view=sankey": 0.5,
    "/why?by=team": 0.6,
    "/savings": 0.3,
}
"""Pages, and the most that each may weigh, in MB before it is compressed."""


def fill(console: RunningConsole, first: int, count: int, values: int) -> None:
    """Load calls of so many sessions, customers and, every so often, the same team again."""
    console.ledger.append(
        [
            console.entry_of(
                "member",
                entry_id=f"call-{number:07}",
                call_id=f"call-{number:07}",
                started_at_us=console.now_us - 1_000 * (number + 1),
                team=f"team {number % TEAMS}",
                session_id=f"s{number % values}",
                tags={"customer": f"c{number % values}"},
                cost_nanos=number * 1_000_000,
            )
            for number in range(first, first + count)
        ],
        Position("many", first + count),
    )


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("many")) as console:
        fill(console, 0, MANY, MANY)
        fill_an_earlier_month(console)
        yield console


def fill_an_earlier_month(console: RunningConsole) -> None:
    """Load calls of one team, each for a feature of its own, to which no other page looks back."""
    console.ledger.append(
        [
            console.entry_of(
                "member",
                started_at_us=console.now_us - 200 * DAY - number,
                team="features",
                tags={"feature": f"f{number}"},
                cost_nanos=number * 1_000,
            )
            for number in range(FEATURES)
        ],
        Position("features", FEATURES),
    )


def get(console: RunningConsole, target: str) -> str:
    reply = console.get(target, console.session("admin"))
    assert reply.status == 200, (target, reply.text)
    return reply.text


def json_of(console: RunningConsole, target: str) -> Any:
    return console.get(target, console.session("admin")).json()


def file_of(console: RunningConsole, target: str) -> list[dict[str, str]]:
    text = get(console, target).removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("rows", ["", "&rows=all"])
def test_rows_of_the_overview_and_the_rest_add_up(many: RunningConsole, rows: str) -> None:
    table = section(get(many, f"/?by=session{rows}"), "parts")
    assert last_cells(table) == (WHOLE, WHOLE)
    shown = 500 if rows else 6
    assert f">{MANY - shown:,} other sessions</a>" in table
    assert ("Only the largest" if rows else f"View 500 of {MANY:,}") in table


def test_files_of_the_overview_count_what_they_leave_out(many: RunningConsole) -> None:
    rows = file_of(many, "/?by=session&format=csv")
    assert (len(rows), rows[-1]["name"], rows[-1]["requests"]) == (2_001, "(other)", "500")
    assert total(row["cost_usd"] for row in rows) == WHOLE
    document = json_of(many, "/?by=session&format=json")
    assert (document["groups"], len(document["parts"])) == (MANY, 2_000)
    parts = [*document["parts"], document["not_listed"]]
    assert total(part["cost_usd"] for part in parts) == WHOLE


def test_calls_as_parquet_are_those_of_the_csv_file(many: RunningConsole) -> None:
    rows = file_of(many, "/calls?format=csv")
    reply = many.get("/calls?format=parquet", many.session("admin"))
    assert len(rows) > 50
    require_same(rows, parquet_rows(reply.body))


def test_what_changed_adds_up_beyond_the_rows_that_are_shown(many: RunningConsole) -> None:
    found = json_of(many, "/api/v1/changes?by=team")
    assert (len(found["rows"]), found["rows_found"]) == (200, TEAMS)
    rows = [*found["rows"], found["other"]]
    assert total(row["difference_usd"] for row in rows) == WHOLE
    for cause, moved in found["total"]["causes"].items():
        assert total(row["causes"][cause] for row in rows) == Decimal(moved)
    assert total(row["requests"] for row in (row["now"] for row in rows)) == MANY
    file = file_of(many, "/why?by=team&format=csv")
    assert file[-1]["name"] == "(other)"
    assert total(row["difference_usd"] for row in file) == WHOLE
    assert "100 other teams" in get(many, "/why?by=team")
    source = LedgerReports(many.ledger, Scope("acme"), lambda: many.now_us)
    app = why.commands(lambda _: nullcontext(source))
    told = CliRunner().invoke(app, ["--by", "team", "--since", "30d", "--tz", "UTC"])
    assert (told.exit_code, "(100 others)" in told.output) == (0, True)


def test_flows_and_steps_add_up_beyond_the_groups_that_are_drawn(many: RunningConsole) -> None:
    page = get(many, "/explore?group_by=session,model&view=sankey")
    flows = cells(section(page, "flow-data", "details"))
    assert total(amount(flow[-1]) for flow in flows) == WHOLE
    steps = file_of(many, "/explore?group_by=streamed,model&limit=1&format=csv")
    assert total(step["cost_usd"] for step in steps) == WHOLE
    teams = file_of(many, "/explore?group_by=team&limit=2&format=csv")
    assert {step["team"] for step in teams} == {"team 98", "team 99", "(other)"}
    assert total(step["cost_usd"] for step in teams) == WHOLE


def test_percentiles_are_those_of_the_groups_that_are_kept(many: RunningConsole) -> None:
    asked = "/api/v1/usage?group_by=session&metrics=cost_usd,duration_p95_ms"
    some, every = (json_of(many, f"{asked}&limit={limit}")["rows"] for limit in (3, 3_000))
    assert (len(some), len(every)) == (3, MANY)
    assert some == every[:3]
    assert some[0]["duration_p95_ms"] == 120


def test_a_statement_of_very_many_lines_stays_small_and_adds_up(many: RunningConsole) -> None:
    (month,) = (row["month"] for row in json_of(many, "/api/v1/statements")["months"][-1:])
    page = get(many, f"/statements/{month}/features")
    rows = cells(section(page, "usage"))
    assert (len(rows), "120 other lines" in page) == (501, True)
    booked = Decimal(sum(range(FEATURES))) / 10**6
    assert total(amount(row[-1]) for row in rows) == booked
    assert len(page.encode()) < 0.7 * MB
    file = file_of(many, f"/api/v1/statements/{month}/features?format=csv")
    lines = [row for row in file if row["kind"] == "usage"]
    assert len(lines) == FEATURES
    assert total(row["cost_usd"] for row in lines) == booked


@pytest.mark.parametrize("target", PAGES)
def test_pages_stay_small(many: RunningConsole, target: str) -> None:
    assert len(get(many, target).encode()) < PAGES[target] * MB


@pytest.mark.long
def test_a_million_values_stay_bounded(tmp_path: Path) -> None:
    """A million calls of as many sessions, with a hundred thousand values of a tag each time."""
    with running_console(tmp_path) as console:
        for first in range(0, 1_000_000, 50_000):
            fill(console, first, 50_000, 1_000_000 if first >= 500_000 else 100_000)
        console.ledger.maintain()
        get(console, "/explore?group_by=tag:customer")
        before = resident_bytes(os.getpid())
        Path("/proc/self/clear_refs").write_text("5")  # starts the peak anew
        for target in (
            *PAGES,
            "/explore?group_by=session&metric=duration_p95_ms&limit=1000",
            "/explore?group_by=session,tag:customer,key&sort=change",
            "/api/v1/usage?group_by=session&metrics=cost_usd,duration_p95_ms&limit=1000",
            "/api/v1/usage?group_by=tag:customer&metrics=error_rate",
        ):
            reply = console.get(target, console.session("admin"))
            assert reply.status in {200, 422}, (target, reply.text)
            assert len(reply.body) < 3 * MB
            grown = peak_bytes(os.getpid()) - before
            assert grown < 600 * MB, (target, grown / MB)
