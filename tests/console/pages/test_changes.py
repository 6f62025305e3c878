"""The page that says why a cost changed, its API, and the forecast on the first page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from html import unescape
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from json_shapes import faults
from ledger_entries import ledger_entry
from stores import DAY, NOW
from tollkeeper.console.access import viewer_of_user
from tollkeeper.console.charts.waterfall import WIDTH, waterfall
from tollkeeper.console.pages.changes import ChangesPage, changes
from tollkeeper.console.pages.overview import overview
from tollkeeper.domain.ledger import Basis

USD = 10**9
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """Alice of core makes more calls than a month ago, Mallory of other has changed her model."""
    with running_console(tmp_path_factory.mktemp("changes"), mask_people=True) as made:
        made.load(
            *(
                made.entry_of(who, started_at_us=NOW - day * DAY - number, **entry)
                for who, day, times, entry in (
                    ("member", 35, 2, {"cost_nanos": 3 * USD, "model_served": "model-a"}),
                    ("member", 2, 4, {"cost_nanos": 3 * USD, "model_served": "model-a"}),
                    ("other member", 35, 1, {"cost_nanos": 5 * USD, "model_served": HOSTILE}),
                    ("other member", 2, 1, {"cost_nanos": 2 * USD, "model_served": "model-c"}),
                    ("member", 2, 3, {"cost_nanos": None, "basis": Basis.UNPRICED}),
                )
                for number in range(times)
            ),
            ledger_entry(org="elsewhere", started_at_us=NOW - DAY, cost_nanos=99 * USD),
        )
        yield made


def show(running: RunningConsole, who: str = "admin", **query: str) -> ChangesPage:
    viewer = viewer_of_user("acme", running.users[who])
    return changes(running.console, viewer, {"tz": "UTC", **query})


def cost_behind(running: RunningConsole, href: str) -> str:
    text = running.get(href, running.sign_in("admin")).text
    return text.split('data-num="Cost"')[1].partition(">")[2].partition("<")[0]


def test_the_page_is_a_bridge_whose_ends_lead_to_their_calls(running: RunningConsole) -> None:
    page = show(running)
    assert (page.total.before, page.total.now, page.net.amount) == ("$11.00", "$14.00", "+$3.00")
    assert [(line.name, line.amount) for line in page.lines] == [
        *(("Volume", "+$6.00"), ("New", "+$2.00"), ("Ended", "-$5.00")),
    ]
    assert page.summary == (
        "More requests (3 → 5) +$6.00, new use +$2.00; against that use that ended -$5.00."
    )
    for line in (page.total, *page.rows, *page.pairs):
        for href, amount in ((line.before_href, line.before), (line.now_href, line.now)):
            if amount not in {"$0.00", "—"}:
                assert cost_behind(running, href).rstrip("+") == amount
    assert [(row.name, row.difference, row.unpriced) for row in page.rows] == [
        *(("core", "+$6.00", 3), ("other", "-$3.00", 0)),
    ]
    assert {pair.model for pair in page.pairs} >= {HOSTILE, "model-a", "model-c"}


def test_each_viewer_compares_what_they_may_see(running: RunningConsole) -> None:
    assert show(running, "member").total.now == "$12.00"
    assert [row.name for row in show(running, "lead").rows] == ["model-a", "gpt-4.1-2025-04-14"]
    assert show(running, "other lead").total.now == "$2.00"
    assert show(running, "finance", filter="team:core").total.before == "$6.00"


def test_people_stand_under_pseudonyms_and_hostile_names_are_text(running: RunningConsole) -> None:
    for who in ("lead", "finance", "admin"):
        for target in (
            *("/why?by=user", "/why?by=user&format=json", "/why?by=user&format=csv"),
            *("/api/v1/changes?by=user", "/api/v1/changes?by=user&format=csv"),
        ):
            reply = running.get(target, running.session(who))
            assert reply.status == 200, reply.text
            assert "person " in reply.text
            assert "alice@" not in reply.text
            assert "mallory@" not in reply.text
    text = running.get("/why?by=model", running.session("admin")).text
    assert HOSTILE not in text
    assert HOSTILE in unescape(text)
    assert " style=" not in text


def test_nobody_is_ranked_by_name(running: RunningConsole) -> None:
    viewer = viewer_of_user("acme", running.users["admin"])
    assert viewer.sees_names  # as whoever gave a reason does
    page = changes(running.console, viewer, {"tz": "UTC", "by": "user"})
    names = [row.name for row in page.rows]
    assert names == sorted(names)
    assert page.pairs == ()


def test_the_address_is_the_view(running: RunningConsole) -> None:
    session = running.session("admin")
    asked = "/why?by=model&before_from=2026-01-01&before_to=2026-01-31&filter=team%3Acore"
    text = running.get(asked, session).text
    assert "Jan 1 \N{EN DASH} 31, 2026" in text
    assert "The period before" in text
    assert "core</b>" in text
    empty = running.get("/why?from=2020-01-01&to=2020-01-02", session).text
    assert "Nothing was called in either period" in empty
    for wrong in ("by=colour", "before_from=2026-01-01", "period=0d", "before_from=x&before_to=y"):
        assert running.get(f"/why?{wrong}", session).status == 422
        assert running.get(f"/api/v1/changes?{wrong}", session).status == 422


@pytest.mark.parametrize("path", ["/api/v1/changes", "/api/v1/forecast"])
def test_answers_are_what_the_description_says(running: RunningConsole, path: str) -> None:
    session = running.session("finance")
    document: dict[str, Any] = running.get("/api/v1/openapi.json").json()
    found = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    for query in ("", "?filter=team:core", "?filter=team:nobody", "?tz=Asia/Kathmandu"):
        reply = running.get(path + query, session)
        assert faults(document, found["schema"], reply.json()) == []
    assert running.get(f"{path}?colour=red", session).status == 422
    assert running.get(f"{path}?tz=Mars", session).status == 422


def test_the_api_adds_up(running: RunningConsole) -> None:
    answer = running.get("/api/v1/changes?by=tool", running.session("finance")).json()
    for each in (answer["total"], *answer["rows"], *answer["pairs"]):
        causes = sum(map(Decimal, each["causes"].values()))
        assert causes == Decimal(each["difference_usd"])
    lines = running.get("/api/v1/changes?format=csv", running.session("finance")).text.splitlines()
    assert lines[0].startswith("name,cost_usd_before,cost_usd,difference_usd,volume_usd,")
    assert lines[1].startswith("core,6.000000000,12.000000000,6.000000000,6.000000000,")


def test_the_first_page_says_where_the_month_will_end_or_that_nobody_can(
    running: RunningConsole,
) -> None:
    viewer = viewer_of_user("acme", running.users["admin"])
    page = overview(running.console, viewer, {"tz": "UTC"})
    month, *others = page.figures
    assert month.outlook is not None
    assert month.outlook.text.startswith("about $")
    assert all(figure.outlook is None for figure in others)
    text = running.get("/", running.session("admin")).text
    assert month.outlook.text in unescape(text)
    assert 'href="/why?' in text
    nobody = overview(running.console, viewer, {"tz": "UTC", "filter": "team:nobody"})
    assert nobody.figures[0].outlook is not None
    assert nobody.figures[0].outlook.text == "no forecast: not enough history"


def test_the_steps_of_a_waterfall_meet() -> None:
    drawn = waterfall([Decimal(6), Decimal(-2), Decimal(0), Decimal("0.0001")])
    bars = [re.search(r'class="(\w+)" x="(\d+)" y="18" width="(\d+)"', each) for each in drawn]
    assert [bar and bar.groups() for bar in bars] == [
        *(("up", "0", str(WIDTH)), ("down", "667", "333"), None, ("up", "667", "6")),
        ("sum", "0", "667"),
    ]
