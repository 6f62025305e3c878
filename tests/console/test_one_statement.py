"""One number of a month everywhere: page, API, command, CSV, Parquet, FOCUS and plain SQL agree.

While months are open, when they are issued, and after the ledger has learned more of them: then
the next open month tells the difference, and all months together are what the ledger has.
"""

from __future__ import annotations

import random
import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import CommandLine
from consoles import OPERATOR_TOKEN, RunningConsole, running_console
from one_ledger import NOW_US, VALUES, ZONES, Recount, entries
from page_figures import amount, cells, section, total, written
from same_files import csv_rows, parquet_rows, require_same
from statement_recount import Booked, Told, recounted, sums
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.domain.money import usd
from tollkeeper.domain.months import month_bounds_us
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.sharing import Sharing, Split

CLOSABLE = [f"2026-{number:02}" for number in range(3, 11)]
"""Months that are over at the ledger's now; it has entries in most of them."""
SEATS = Decimal(300)
ALL = "true"
TEAMS = {team: "team = '{}'".format(team.replace("'", "''")) for team in VALUES["team"]}
SHARINGS = (
    Sharing(),
    Sharing(teams=frozenset({"other"}), tags=(("feature", "chat"),)),
    Sharing(Split.EVEN, frozenset({"other"})),
    Sharing(Split.FIXED, weights={"core": 3, "other": 4, "new": 2}),
)


class History(NamedTuple):
    """What becomes known and is issued, in turn: a seed for the entries, months that are closed."""

    seed: int
    zone: str
    sharing: Sharing
    closed: tuple[tuple[str, ...], tuple[str, ...]]


histories = st.builds(
    History,
    st.integers(0, 10**6),
    st.sampled_from(sorted(ZONES)),
    st.sampled_from(SHARINGS),
    st.permutations(CLOSABLE).flatmap(
        lambda months: st.tuples(st.integers(1, 3), st.integers(0, 3)).map(
            lambda counts: (
                tuple(months[: counts[0]]),
                tuple(months[counts[0] : sum(counts)]),
            )
        )
    ),
)


@settings(max_examples=2, deadline=None)
@given(histories)
def test_one_number_of_a_month_everywhere(history: History) -> None:
    require_one_number(history, 90)


@pytest.mark.long
@settings(max_examples=80, deadline=None)
@given(histories, st.sampled_from([12, 90, 400]))
def test_one_number_of_a_month_everywhere_at_length(history: History, count: int) -> None:
    require_one_number(history, count)


def require_one_number(history: History, count: int) -> None:
    chance = random.Random(history.seed)
    with desk_of(history) as desk:
        people = {user.user_id: user.email for user in (desk.console.users["member"],)}
        parts = in_turn(chance, entries(history.seed, people, count))
        for part, closed in zip(parts, (*history.closed, ()), strict=True):
            desk.console.load(*part)
            desk.console.ledger.maintain()
            with recounted(desk.console.folder.data.ledger) as again:
                require_all_months(desk, again)
                asked = [chance.choice([*CLOSABLE, "2026-11"])]
                for month in closed:
                    desk.close(again, month)
                    asked.append(chance.choice([month, desk.told.next_open(month)]))
                for month in asked[-2:]:
                    require_month(desk, again, month, chance.choice(list(TEAMS)))


def in_turn(chance: random.Random, known: Sequence[LedgerEntry]) -> list[list[LedgerEntry]]:
    """Let entries become known in three parts; both of a pair at once, and not before the first."""
    parts: list[list[LedgerEntry]] = [[], [], []]
    places: dict[tuple[str, int], int] = {}
    for entry in sorted(known, key=lambda each: each.revision):
        name = (entry.corrects or entry.entry_id, entry.revision)
        first = places.get((name[0], entry.revision - 1), 0)
        place = places.setdefault(name, chance.randrange(first, len(parts)))
        parts[place].append(entry)
    return parts


class Desk(NamedTuple):
    """A console, its command line, what was told so far, and what was answered of it."""

    console: RunningConsole
    line: CommandLine
    told: Told
    answers: dict[str, Any]

    def get(self, target: str, who: str = "finance") -> bytes:
        reply = self.console.get(target, self.console.session(who))
        assert reply.status == 200, (target, reply.text)
        return reply.body

    def json(self, target: str, who: str = "finance") -> Any:
        reply = self.console.get(target, self.console.session(who))
        assert reply.status == 200, (target, reply.text)
        return reply.json()

    def close(self, again: Recount, month: str) -> None:
        """Issue a month; that it is issued changes no figure of it."""
        before = self.json(f"/api/v1/statements/{month}")
        self.told.close(again, month, (ALL, *TEAMS.values()))
        self.line("statements", "close", month, "--yes", "--json").json()
        after = self.json(f"/api/v1/statements/{month}")
        changed = {name for name in after if after[name] != before[name]}
        assert changed == {"state", "issued", "waiting"}
        self.answers[month] = after


@contextmanager
def desk_of(history: History) -> Iterator[Desk]:
    told = Told(history.zone, history.sharing)
    with TemporaryDirectory() as place, chdir(place):
        where = {"billing_zone": history.zone, "sharing": history.sharing}
        with running_console(Path(place), **where) as console:
            console.now_us = NOW_US
            console.plans = (SeatPlan("max", "anthropic", 3, 100 * 10**9),)
            console.folder.data.operator_token.write_text(OPERATOR_TOKEN)
            yield Desk(console, CommandLine(console.folder.data.root), told, {})


# --------------------------------------------------------------------- places


def require_all_months(desk: Desk, again: Recount) -> None:
    """The list: each month is what was worked out, and all together are the ledger."""
    answer = desk.json("/api/v1/statements")
    assert desk.json("/statements?format=json") == answer
    assert desk.line("statements", "list", "--json").json() == answer
    for row in answer["months"]:
        assert Decimal(row["cost_usd"]) == _cost(desk.told.booked(again, row["month"], ALL))
        for name in ("cost_usd", "use_usd", "corrected_usd", "requests", "tokens", "unpriced"):
            assert total(team[name] for team in row["teams"]) == Decimal(row[name]), name
    whole = sums(again.facts(ALL, 0, 2 * NOW_US))
    for place, name in enumerate(("cost_usd", "requests", "tokens", "unpriced")):
        assert total(row[name] for row in answer["months"]) == Decimal(whole[place]), name
    page = desk.get("/statements").decode()
    shown = {row[-1] for row in cells(section(page, "months"))}
    assert shown == {_shown(row) for row in answer["months"]}
    teams = cells(section(page, "teams"))
    for place, row in enumerate(answer["months"][:6]):
        assert total(amount(team[place]) for team in teams) == Decimal(row["cost_usd"])


def require_month(desk: Desk, again: Recount, month: str, team: str) -> None:
    booked = desk.told.booked(again, month, ALL)
    answer = desk.json(f"/api/v1/statements/{month}")
    if month in desk.answers:
        assert answer == desk.answers[month]
    require_document(answer, booked)
    assert desk.json(f"/statements/{month}?format=json") == answer
    assert desk.line("statements", "show", month, "--json").json() == answer
    require_shares(desk, again, month, answer)
    require_page(desk, month, answer)
    require_files(desk, month, answer)
    require_use(desk, again, month)
    named = {row["team"]: row for row in answer["teams"]}
    if team in named:
        require_team(desk, again, month, team, named[team])
    if "core" in named:
        seen = desk.json(f"/api/v1/statements/{month}", "lead")
        assert {"team": "core", **seen["totals"]} == named["core"]
        assert {line["team"] for line in seen["lines"]} == {"core"}


def require_document(answer: Mapping[str, Any], booked: Booked) -> None:
    """The totals are what was worked out, and both lines and teams add up to them."""
    totals = answer["totals"]
    assert Decimal(totals["use_usd"]) == booked.use.cost
    assert Decimal(totals["corrected_usd"]) == booked.corrections.cost
    assert Decimal(totals["shared_usd"]) == 0
    assert Decimal(totals["cost_usd"]) == _cost(booked)
    assert Decimal(totals["seats_usd"]) == SEATS
    both = booked.use.plus(booked.corrections)
    assert (totals["requests"], totals["tokens"], totals["unpriced"]) == both[1:]
    assert totals["unpriced_now"] == booked.use.unpriced
    for name, value in totals.items():
        assert total(row[name] for row in answer["teams"]) == Decimal(value), name
    lines = answer["lines"]
    for kind, name in (("usage", "use"), ("correction", "corrected"), ("shared", "shared")):
        of_kind = [line["cost_usd"] for line in lines if line["kind"] == kind]
        assert total(of_kind) == Decimal(totals[f"{name}_usd"]), kind
    for name in ("requests", "unpriced"):
        assert sum(line.get(name, 0) for line in lines) == totals[name], name
    if answer["waiting"]:
        assert sum(answer["waiting"]["unpriced"].values()) == totals["unpriced_now"]


def require_shares(desk: Desk, again: Recount, month: str, answer: Mapping[str, Any]) -> None:
    """Shared cost is given whole, and each part is its share, to less than a nano-dollar."""
    shares = [line for line in answer["lines"] if line["kind"] == "shared"]
    got = [line for line in shares if not line["given"]]
    pot = desk.told.booked(again, month, ALL).shared
    for line in shares:
        if line["given"]:
            own = desk.told.booked(again, month, TEAMS[line["team"]]).shared
            assert -Decimal(line["cost_usd"]) == own
    if not got:
        return
    assert total(line["cost_usd"] for line in got) == pot
    for line in got:
        exact = pot * line["weight"] / line["weights"]
        assert abs(Decimal(line["cost_usd"]) - exact) < usd(1)
    assert sum(line["weight"] for line in got) == got[0]["weights"]


def require_page(desk: Desk, month: str, answer: Mapping[str, Any]) -> None:
    page = desk.get(f"/statements/{month}").decode()
    tiles = dict(
        re.findall(r'<dt><span>([^<]*)</span></dt><dd class="v num" title="([^"]*)"', page)
    )
    totals = answer["totals"]
    names = {"Usage": "use", "Corrections": "corrected", "Seats": "seats", "Discounts": "discount"}
    for title, name in names.items():
        assert tiles[title] == written(Decimal(totals[f"{name}_usd"])), title
    assert tiles["Booked"] == _shown(totals)
    rows = cells(section(page, "teams"))
    for place, name in enumerate(("use", "shared", "corrected", "cost", "seats")):
        assert total(amount(row[place]) for row in rows) == Decimal(totals[f"{name}_usd"]), name


def require_team(desk: Desk, again: Recount, month: str, team: str, row: Mapping[str, Any]) -> None:
    """One team's statement: page, document, command and file."""
    booked = desk.told.booked(again, month, TEAMS[team])
    assert Decimal(row["use_usd"]) == booked.use.cost
    assert Decimal(row["corrected_usd"]) == booked.corrections.cost
    path = f"{month}/{quote(team or '(no team)', safe='')}"
    answer = desk.json(f"/api/v1/statements/{path}")
    assert {"team": team, **answer["totals"]} == row
    said = desk.line("statements", "show", month, "--team", team or "(no team)", "--json").json()
    assert {**said, "waiting": None} == {**answer, "waiting": None}
    page = desk.get(f"/statements/{path}").decode()
    for part, name in (("usage", "use"), ("corrections", "corrected"), ("shared", "shared")):
        rows = cells(section(page, part)) if f'id="{part}"' in page else []
        assert total(amount(each[-1]) for each in rows) == Decimal(row[f"{name}_usd"]), name
    file = csv_rows(desk.get(f"/api/v1/statements/{path}?format=csv").decode())
    cost = total(each["cost_usd"] for each in file if each["kind"] != "seats")
    assert cost == Decimal(row["cost_usd"])


def require_files(desk: Desk, month: str, answer: Mapping[str, Any]) -> None:
    """CSV and Parquet, as downloaded and as the command writes them; and both as FOCUS has it."""
    path, totals = f"/api/v1/statements/{month}", answer["totals"]
    plain, columns = (desk.get(f"{path}?format={kind}").decode() for kind in ("csv", "focus_csv"))
    rows, focus = csv_rows(plain), csv_rows(columns)
    require_same(rows, parquet_rows(desk.get(f"{path}?format=parquet")))
    require_same(focus, parquet_rows(desk.get(f"{path}?format=focus_parquet")))
    require_same(rows, parquet_rows(desk.get(f"/statements/{month}?format=parquet")))
    assert csv_rows(desk.get(f"/statements/{month}?format=csv").decode()) == rows
    assert csv_rows(desk.line("statements", "export", month).out) == rows
    options = ("--format", "focus_parquet", "--output", "focus.parquet")
    assert desk.line("statements", "export", month, *options).code == 0
    require_same(focus, parquet_rows(Path("focus.parquet").read_bytes()))
    kinds = {"usage": "use", "correction": "corrected", "shared": "shared", "seats": "seats"}
    for kind, name in kinds.items():
        cost = Decimal(totals[f"{name}_usd"])
        assert total(row["cost_usd"] for row in rows if row["kind"] == kind) == cost
        assert total(row["BilledCost"] for row in focus if row["x_LineKind"] == kind) == cost
    assert total(row["BilledCost"] for row in focus) == Decimal(totals["cost_usd"]) + SEATS
    assert total(row["EffectiveCost"] for row in focus) == Decimal(totals["cost_usd"]) + SEATS
    assert total(row["discount_usd"] for row in rows) == Decimal(totals["discount_usd"])
    for name, column in (("requests", "x_Requests"), ("unpriced", "x_UnpricedEntries")):
        assert total(row[name] for row in rows) == totals[name]
        assert total(row[column] for row in focus) == totals[name]
    tokens = [row[name] for row in focus for name in ("x_TokensIn", "x_TokensOut")]
    assert total(tokens) == totals["tokens"]


def require_use(desk: Desk, again: Recount, month: str) -> None:
    """Spend over the days of the month is its use, as the ledger has it now."""
    last = monthrange(int(month[:4]), int(month[5:]))[1]
    asked = {"from": f"{month}-01", "to": f"{month}-{last}", "tz": str(desk.told.zone)}
    asked |= {"metrics": "cost_usd,requests,tokens,unpriced"}
    found = desk.json(f"/api/v1/usage?{urlencode(asked)}")["totals"]
    now = sums(again.facts(ALL, *month_bounds_us(month, desk.told.zone)))
    told = (found["cost_usd"] or 0, found["requests"], found["tokens"], found["unpriced"])
    assert tuple(map(Decimal, told)) == tuple(map(Decimal, now))


def _cost(booked: Booked) -> Decimal:
    return booked.use.cost + booked.corrections.cost


def _shown(totals: Mapping[str, Any]) -> str:
    """Write what is booked as pages do: beside calls without a price, nothing is not known."""
    cost = Decimal(totals["cost_usd"])
    return written(None if totals["unpriced"] > 0 and not cost else cost)
