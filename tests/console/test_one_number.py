"""One number everywhere: pages, files, the API, the command line and plain SQL say the same.

All in nano-dollars, for any filters, groups, period, zone and viewer, over a ledger with
corrections, flat rates, estimates and calls without a price in it. And what is shown in parts
adds up to the whole.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer import Typer
from typer.testing import CliRunner

from consoles import RunningConsole, running_console
from one_ledger import NOW_US, VALUES, ZONES, Facts, Recount, Wanted, entries, recount
from page_figures import amount, cells, section, tiles, total, written
from tollkeeper.cli import forecast, spend, why
from tollkeeper.console.access import scope_of
from tollkeeper.domain.bridge import Cause
from tollkeeper.ports import ReportSource
from tollkeeper.reports.source import LedgerReports

VIEWERS = ("admin", "lead", "member")
SAME_FOR_ALL_PARTS = {
    *("team", "user", "key", "tool", "session", "customer", "streamed", "status"),
    *("weekday", "hour_of_day", "tag"),
}
"""Dimensions by which an attempt is found together with all that it billed."""

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
        text = self.get(viewer, path, format="csv", **asked).removeprefix("\ufeff")
        return list(csv.DictReader(io.StringIO(text, newline="")))

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


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(tmp_path_factory.mktemp("one"), 1, 250) as made:
        yield made


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


@settings(max_examples=2, deadline=None)
@given(questions)
def test_one_number_everywhere(desk: Desk, asked: Question) -> None:
    require_one_number(desk, asked)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 8))
def test_one_number_everywhere_at_length(tmp_path: Path, seed: int) -> None:
    with desk_of(tmp_path, seed, 60 * seed) as desk:

        @settings(max_examples=150, deadline=None)
        @given(questions)
        def ask(asked: Question) -> None:
            require_one_number(desk, asked)

        ask()


def require_one_number(desk: Desk, asked: Question) -> None:
    facts = desk.facts(asked)
    require_calls(desk, asked, facts)
    require_usage(desk, asked, facts)
    require_explore(desk, asked)
    require_changes(desk, asked, facts)
    if asked.stretch.days <= 400:
        require_overview(desk, asked, facts)
    if asked.stretch.days <= 92:
        require_savings(desk, asked, facts)


# --------------------------------------------------------------------- places


def require_calls(desk: Desk, asked: Question, facts: Facts) -> None:
    """The list's totals; and where attempts are found whole, its rows add up to them."""
    page = desk.get(asked.viewer, "/calls", **asked.parameters)
    shown = tiles(page, "totals")
    assert shown["Cost"] == written(facts.cost)
    assert shown["Requests"] == f"{facts.requests:,}"
    assert shown["Refused"] == f"{facts.refusals:,}"
    assert shown["Tokens in"] == f"{facts.tokens_in:,}"
    assert shown["Tokens out"] == f"{facts.tokens_out:,}"
    if not {each.dimension.partition(":")[0] for each in asked.filters} <= SAME_FOR_ALL_PARTS:
        return
    listed = desk.json(asked.viewer, "/api/v1/calls", limit="1000", **asked.parameters)
    assert listed["next_cursor"] is None
    rows = listed["calls"]
    assert total(row["cost_usd"] for row in rows) == facts.known
    assert sum(row["unpriced"] for row in rows) == facts.unpriced
    assert sum(row["tokens_in"] + row["tokens_out"] for row in rows) == facts.tokens
    file = desk.file(asked.viewer, "/calls", **asked.parameters)
    assert total(row["cost_usd"] for row in file) == facts.known


def require_usage(desk: Desk, asked: Question, facts: Facts) -> None:
    names = ("cost_usd", *(name for name in METRICS if name != "cost_usd"))
    more = {"metrics": ",".join(names), "group_by": ",".join((*asked.group_by, "day"))}
    answer = desk.json(asked.viewer, "/api/v1/usage", limit="50000", **asked.parameters, **more)
    for name in names:
        value = answer["totals"][name]
        expected = METRICS[name](facts)
        assert (value if value is None else Decimal(value)) == expected
        assert total(row[name] for row in answer["rows"]) == Decimal(expected or 0)
    assert answer["totals"]["unpriced"] == facts.unpriced
    assert sum(row["unpriced"] for row in answer["rows"]) == facts.unpriced
    shares = answer["basis"]
    assert total(share["cost_usd"] for share in shares.values()) == facts.known
    assert sum(share["tokens"] for share in shares.values()) == facts.tokens
    assert Decimal(shares.get("estimated", {}).get("cost_usd") or 0) == facts.estimated
    options = ["--by", more["group_by"], "--metrics", more["metrics"], "--limit", "50000"]
    assert desk.command(asked.viewer, spend, *options, *typed(asked)) == answer


def require_explore(desk: Desk, asked: Question) -> None:
    """The page, its JSON and its file, now and before."""
    more = {"group_by": ",".join(asked.group_by), "metric": asked.metric, "view": asked.view}
    parameters = asked.parameters | more | {"limit": str(asked.limit)}
    document = desk.json(asked.viewer, "/explore", format="json", **parameters)
    value_of = METRICS[asked.metric]
    sides = {asked.metric: desk.facts(asked)}
    sides[f"{asked.metric}_before"] = desk.facts(asked, stretch_of(document["previous"]))
    rows = [*document["rows"], *filter(None, [document["other"]])]
    for column, facts in sides.items():
        told = document["total"][column]
        assert (told if told is None else Decimal(told)) == value_of(facts)
        assert total(row[column] for row in rows) == Decimal(value_of(facts) or 0)
    assert sum(row["requests"] for row in rows) == sides[asked.metric].requests
    whole = Decimal(value_of(sides[asked.metric]) or 0)
    if asked.view == "bars":
        assert total(step["total"] for step in document["steps"]) == whole
    if asked.view == "heat":
        assert total(hour[asked.metric] for hour in document["hours_of_week"]) == whole
    file = desk.file(asked.viewer, "/explore", **parameters)
    assert total(row[asked.metric] for row in file) == whole
    page = desk.get(asked.viewer, "/explore", **parameters)
    (head,) = re.findall(r'id="total"[^>]*title="([^"]*)"', page)
    assert amount(head) == whole
    *lines, last = cells(section(page, "parts"))
    assert total(amount(line[-1]) for line in lines) == whole == amount(last[-1])
    if asked.view == "sankey" and len(asked.group_by) > 1 and whole:
        for level in re.findall("<table.*?</table>", section(page, "flow-data", "details"), re.S):
            assert total(amount(line[-1]) for line in cells(level)) == whole


def require_overview(desk: Desk, asked: Question, facts: Facts) -> None:
    parameters = asked.parameters | {"by": asked.group_by[0]}
    document = desk.json(asked.viewer, "/", format="json", **parameters)
    told = document["period"]["now"]["cost_usd"]
    assert (told if told is None else Decimal(told)) == facts.cost
    assert total(part["cost_usd"] for part in document["parts"]) == facts.known
    file = desk.file(asked.viewer, "/", **parameters)
    assert total(row["cost_usd"] for row in file) == facts.known
    for rows in ("", "all"):
        page = desk.get(asked.viewer, "/", rows=rows, **parameters)
        *lines, last = cells(section(page, "parts"))
        assert total(amount(line[-1]) for line in lines) == facts.known == amount(last[-1])
    month = document["month"]["now"]["cost_usd"]
    ahead = desk.json(
        asked.viewer,
        "/api/v1/forecast",
        tz=asked.stretch.zone,
        filter=asked.parameters["filter"],
    )
    assert Decimal(ahead["so_far_usd"] or 0) == Decimal(month or 0)
    assert desk.command(asked.viewer, forecast, *typed(asked, period=False)) == ahead


def require_changes(desk: Desk, asked: Question, facts: Facts) -> None:
    parameters = asked.parameters | {"by": asked.group_by[0]}
    answer = desk.json(asked.viewer, "/api/v1/changes", **parameters)
    whole = answer["total"]
    assert Decimal(whole["now"]["cost_usd"]) == facts.known
    assert (
        Decimal(whole["before"]["cost_usd"])
        == desk.facts(asked, stretch_of(answer["before"])).known
    )
    assert whole["now"]["unpriced"] == facts.unpriced
    for name in ("difference_usd", *(f"{cause}_usd" for cause in Cause)):
        cause = name.removesuffix("_usd")
        of_all = whole["difference_usd"] if cause == "difference" else whole["causes"][cause]
        parts = [
            row["difference_usd"] if cause == "difference" else row["causes"][cause]
            for row in (*answer["rows"], *filter(None, [answer["other"]]))
        ]
        assert total(parts) == Decimal(of_all)
    assert total(whole["causes"].values()) == Decimal(whole["difference_usd"])
    assert Decimal(whole["difference_usd"]) == Decimal(whole["now"]["cost_usd"]) - Decimal(
        whole["before"]["cost_usd"]
    )
    options = ["--by", asked.group_by[0], *typed(asked)]
    assert desk.command(asked.viewer, why, *options) == answer


def require_savings(desk: Desk, asked: Question, facts: Facts) -> None:
    answer = desk.json(asked.viewer, "/api/v1/savings", **asked.parameters)
    assert Decimal(answer["cost_usd"] or 0) == facts.known


# --------------------------------------------------------------------- reading


def typed(asked: Question, *, period: bool = True) -> list[str]:
    """Give the options of a command that asks the same."""
    found = ["--tz", asked.stretch.zone]
    if asked.parameters["filter"]:
        found += ["--filter", asked.parameters["filter"]]
    time = asked.stretch.asked
    if period:
        found += ["--since", time.get("period") or time["from"]]
        found += ["--until", time["to"]] if "to" in time else []
    return found


def stretch_of(document: Mapping[str, str]) -> Stretch:
    """Read what is compared with: which stretch that is, other tests hold."""
    first, after = (
        round(datetime.fromisoformat(document[name]).timestamp() * 1_000_000)
        for name in ("from", "to")
    )
    return Stretch({}, document["tz"], first, after)
