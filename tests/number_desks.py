"""A console over a ledger in which everything goes wrong, and arbitrary questions to ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from consoles import RunningConsole, running_console
from one_ledger import NOW_US, VALUES, ZONES, Facts, Recount, Wanted, entries, recount
from same_files import csv_rows, parquet_rows, require_same
from tollkeeper.console.access import scope_of
from tollkeeper.ports import ReportSource
from tollkeeper.reports.source import LedgerReports

VIEWERS = ("admin", "lead", "member")
METRICS = {
    "cost_usd": lambda facts: facts.cost,
    "list_cost_usd": lambda facts: facts.listed,
    "requests": lambda facts: facts.requests,
    "refusals": lambda facts: facts.refusals,
    "calls": lambda facts: facts.calls,
    "tokens": lambda facts: facts.tokens,
    "tokens_in": lambda facts: facts.tokens_in,
    "tokens_out": lambda facts: facts.tokens_out,
}


class Stretch(NamedTuple):
    """A period as it is asked for, and its bounds as they are counted here."""

    asked: Mapping[str, str]
    zone: str
    start_us: int
    end_us: int

    @property
    def days(self) -> int:
        return (self.end_us - self.start_us) // 86_400_000_000


class Question(NamedTuple):
    viewer: str
    stretch: Stretch
    filters: tuple[Wanted, ...]
    group_by: tuple[str, ...]
    metric: str
    view: str
    limit: int

    @property
    def parameters(self) -> dict[str, str]:
        text = ",".join(each.text for each in self.filters)
        return {**self.stretch.asked, "tz": self.stretch.zone, "filter": text}


class Desk(NamedTuple):
    """A console with one of these ledgers, and what sums up a copy of its file."""

    console: RunningConsole
    again: Recount

    def facts(self, asked: Question, stretch: Stretch | None = None) -> Facts:
        found = stretch or asked.stretch
        condition = {
            "admin": "true",
            "lead": "team = 'core'",
            "member": f"user_id = '{self.console.users['member'].user_id}'",
        }[asked.viewer]
        return self.again.facts(
            condition, found.start_us, found.end_us, asked.filters, asked.stretch.zone
        )

    def get(self, viewer: str, path: str, **asked: str) -> str:
        target = f"{path}?{urlencode({name: text for name, text in asked.items() if text})}"
        reply = self.console.get(target, self.console.session(viewer))
        assert reply.status == 200, (target, reply.text)
        return reply.text

    def json(self, viewer: str, path: str, **asked: str) -> Any:
        return json.loads(self.get(viewer, path, **asked))

    def file(self, viewer: str, path: str, **asked: str) -> list[dict[str, str]]:
        """Give the rows of a CSV file. The Parquet file of the same says the same."""
        rows = csv_rows(self.get(viewer, path, format="csv", **asked))
        target = f"{path}?{urlencode({**asked, 'format': 'parquet'})}"
        reply = self.console.get(target, self.console.session(viewer))
        assert reply.status == 200, (target, reply.body)
        require_same(rows, parquet_rows(reply.body))
        return rows

    def command(self, viewer: str, app: Any, *arguments: str) -> Any:
        """Run a command as somebody whom the ledger shows what the viewer may see."""
        user = self.console.users[viewer]
        scope = scope_of("acme", user)
        book = self.console.console.terms().book
        source = LedgerReports(self.console.ledger, scope, lambda: NOW_US, book=book)

        @contextmanager
        def opened(data: Path | None) -> Iterator[ReportSource]:
            yield source

        made: Typer = app.commands(opened)
        result = CliRunner().invoke(made, [*arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@contextmanager
def desk_of(folder: Path, seed: int, count: int) -> Iterator[Desk]:
    with running_console(folder) as console:
        console.now_us = NOW_US
        people = {
            console.users[name].user_id: console.users[name].email
            for name in ("member", "lead", "other member")
        }
        console.load(*entries(seed, people, count))
        console.ledger.maintain()
        with recount(console.folder.data.ledger, folder) as again:
            yield Desk(console, again)


# --------------------------------------------------------------------- questions


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    zone_name = draw(st.sampled_from(sorted(ZONES)))
    zone = ZoneInfo(zone_name)
    today = datetime.fromtimestamp(NOW_US / 1e6, zone).date()

    def days(asked: Mapping[str, str], first: date, after: date) -> Stretch:
        bounds = (
            int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000
            for day in (first, after)
        )
        return Stretch(asked, zone_name, *bounds)

    name = draw(st.sampled_from(["today", "7d", "30d", "month", "year", "36h", "day", "from to"]))
    tomorrow = today + timedelta(days=1)
    if name in {"today", "7d", "30d"}:
        count = {"today": 1, "7d": 7, "30d": 30}[name]
        return days({"period": name}, tomorrow - timedelta(days=count), tomorrow)
    if name == "month":
        return days({"period": name}, date(2026, 11, 1), date(2026, 12, 1))
    if name == "year":
        return days({"period": name}, date(2026, 1, 1), date(2027, 1, 1))
    if name == "36h":
        return Stretch({"period": name}, zone_name, NOW_US - 36 * 3_600_000_000, NOW_US)
    first = date.fromisoformat(draw(st.sampled_from(ZONES[zone_name])))
    if name == "day":  # of 23, 24 or 25 hours
        return days({"from": str(first), "to": str(first)}, first, first + timedelta(days=1))
    first -= timedelta(days=draw(st.integers(0, 40)))
    last = first + timedelta(days=draw(st.integers(0, 60)))
    return days({"from": str(first), "to": str(last)}, first, last + timedelta(days=1))


@st.composite
def filters(draw: st.DrawFn) -> tuple[Wanted, ...]:
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=3, unique=True))
    return tuple(
        Wanted(
            name,
            tuple(
                draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=3, unique=True))
            ),
            draw(st.booleans()),
        )
        for name in names
    )


questions = st.builds(
    Question,
    st.sampled_from(VIEWERS),
    stretches(),
    filters(),
    st.lists(
        st.sampled_from([*sorted({*VALUES} - {"weekday", "hour_of_day"})]),
        min_size=1,
        max_size=3,
        unique=True,
    ).map(tuple),
    st.sampled_from(sorted(METRICS)),
    st.sampled_from(["bars", "table", "heat", "sankey"]),
    st.sampled_from([1, 5, 50]),
)
