"""The page Adoption and its API: who sees which part, and what is hidden from everybody."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal

import pytest

from consoles import RunningConsole, running_console
from stores import add_person
from tollkeeper.console.charts.heat_map import heat_map, level_of
from tollkeeper.domain.access import Role
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.seat_plans import SeatPlan

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("adoption")) as made:
        made.now_us += 90 * DAY
        week = made.now_us - 7 * DAY
        for number in range(30):
            team = "core" if number < 20 else "other"
            user = add_person(made.store, f"p{number}@acme.com", team, Role.MEMBER)
            if number % 2:
                made.load(
                    made.entry_of(
                        "member",
                        user_id=user.user_id,
                        team=team,
                        tool="codex" if number < 15 else "claude-code",
                        started_at_us=week,
                    )
                )
        yield made


def test_everybody_and_each_team(console: RunningConsole) -> None:
    answer = console.get("/api/v1/adoption", console.session("admin")).json()
    last = answer["weeks"][-1]
    assert (last["company"]["active"], answer["group_min"], answer["tz"]) == (15, 5, "UTC")
    teams = {each["team"]: each["active"] for each in last["teams"]}
    assert teams["core"] == 10
    text = console.get("/adoption", console.session("finance")).text
    assert "15 of " in text
    assert "p1@acme.com" not in text


def test_a_lead_sees_one_team_and_asks_for_no_other(console: RunningConsole) -> None:
    answer = console.get("/api/v1/adoption", console.session("lead")).json()
    assert [each["team"] for each in answer["weeks"][-1]["teams"]] == ["core"]
    assert answer["weeks"][-1]["company"] is None
    assert console.get("/api/v1/adoption?team=other", console.session("lead")).status == 422
    page = console.get("/adoption", console.session("lead")).text
    assert "other" not in page.partition('id="weeks"')[0].partition('class="stack"')[2]
    assert console.get("/adoption", console.session("member")).status == 403


def test_nothing_can_be_asked_that_would_count_others(console: RunningConsole) -> None:
    for query in ("period=7d", "from=2026-11-01", "tz=Asia/Tokyo", "filter=user:u_1", "order=team"):
        assert console.get(f"/api/v1/adoption?{query}", console.session("admin")).status == 422, (
            query
        )
    before = console.get("/adoption?format=json", console.session("admin")).json()
    assert (
        console.get("/adoption?format=json&tz=Asia/Tokyo", console.session("admin")).json()
        == before
    )


def test_files_have_what_the_page_has(console: RunningConsole) -> None:
    for address in ("/adoption?format=csv", "/api/v1/adoption?format=csv"):
        rows = list(
            csv.DictReader(io.StringIO(console.get(address, console.session("auditor")).text))
        )
        last = [row for row in rows if row["week"] == rows[-1]["week"]]
        assert {row["team"]: row["active"] for row in last}["core"] == "10"
    lead = console.get("/api/v1/adoption?format=csv", console.session("lead")).text
    assert {row["team"] for row in csv.DictReader(io.StringIO(lead))} == {"core"}


def test_a_heat_map_is_darker_where_more_came() -> None:
    assert [level_of(Decimal(each)) for each in ("0", "0.19", "0.2", "0.99", "1")] == [
        1,
        1,
        2,
        5,
        5,
    ]
    svg = heat_map([[Decimal("0.5"), None], [Decimal(1)]], 2)
    assert svg.count("<rect") == 3
    assert 'class="h3"' in svg
    assert 'class="none"' in svg


def test_plans_stand_beside_what_their_use_is_worth(console: RunningConsole) -> None:
    console.plans = (SeatPlan("Team plan", "anthropic", 30, 100 * 10**9),)
    month_ago = console.now_us - 31 * DAY
    values = [2, 3, 4, 5, 6, 30, 40, 50, 60, 70, 100, 200, 300, 400, 500]
    for number, dollars in enumerate(values):
        entry = console.entry_of(
            "member",
            user_id=f"seat{number}",
            provider="anthropic",
            basis=Basis.FLAT_RATE,
            cost_nanos=0,
            list_cost_nanos=dollars * 10**9,
            started_at_us=month_ago,
        )
        console.load(entry)
    text = console.get("/adoption", console.session("finance")).text
    assert "15 idle · 5 light · 5 better on the API · 5 worth it" in text
    assert "$3,000" in text
    assert "$1,770" in text
    assert "What the seats" not in console.get("/adoption", console.session("lead")).text
    console.plans = ()
