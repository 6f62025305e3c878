"""The first page's context: where numbers lead, how they are written, what the chart shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consoles import RunningConsole, running_console
from stores import DAY, NOW
from tollkeeper.console.access import viewer_of_user
from tollkeeper.console.charts.axes import day_labels
from tollkeeper.console.charts.call_timeline import Span, call_timeline
from tollkeeper.console.charts.scale import STEPS_MAX, ticks
from tollkeeper.console.charts.stacked_bars import (
    DAY_WIDTH,
    HEIGHT,
    Expected,
    Series,
    stacked_bars,
)
from tollkeeper.console.pages.calls import calls
from tollkeeper.console.pages.me import me
from tollkeeper.console.pages.overview import OverviewPage, overview
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.repricing import RepricingQuestion
from tollkeeper.services.repricing import CurrentPrices

MODELS = [f"model-{number}" for number in range(9)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """Nine models, each cheaper than the one before, on three days."""
    with running_console(tmp_path_factory.mktemp("overview")) as made:
        made.load(
            *(
                made.entry_of(
                    "member" if place % 2 else "other member",
                    model_served=name,
                    started_at_us=NOW - day * DAY - 60_000_000,
                    cost_nanos=(10 - place) * 1_000_000_000,
                )
                for place, name in enumerate(MODELS)
                for day in (0, 1, 40)
            )
        )
        yield made


def show(running: RunningConsole, who: str = "admin", **query: str) -> OverviewPage:
    viewer = viewer_of_user("acme", running.users[who])
    return overview(running.console, viewer, {"tz": "UTC", **query})


def of_calls(running: RunningConsole, href: str) -> dict[str, str]:
    """Follow an address to the list of calls, and give its totals as texts."""
    reply = running.get(href, running.sign_in("admin"))
    assert reply.status == 200, reply.text
    return {
        part.partition('"')[0]: part.partition(">")[2].partition("<")[0]
        for part in reply.text.split('data-num="')[1:]
    }


def test_every_amount_of_the_breakdown_leads_to_calls_that_cost_it(
    running: RunningConsole,
) -> None:
    page = show(running)
    assert [row.name for row in page.rows] == [*MODELS[:6], "3 other models"]
    for row in (*page.rows[:-1], page.total):
        assert of_calls(running, row.calls_href)["Cost"] == row.cost
    assert page.total.cost == "$108.00"
    assert page.rows[-1].cost == "$18.00"
    assert [row.name for row in show(running, rows="all").rows] == MODELS


def test_every_amount_of_the_chart_leads_to_the_calls_of_its_day(running: RunningConsole) -> None:
    page = show(running)
    day = page.chart.table[-1]
    assert day.name.endswith("(so far)")
    assert day.costs[0].text == of_calls(running, day.costs[0].href)["Cost"] == "$10.00"
    assert day.total == of_calls(running, day.href)["Cost"] == "$54.00"
    assert not page.chart.table[0].costs[0].is_something


def test_figures_lead_to_both_stretches_that_they_compare(running: RunningConsole) -> None:
    for figure in show(running).figures:
        assert of_calls(running, figure.href)["Cost"] == f"${figure.now.cost_usd:.2f}"
        assert of_calls(running, figure.before_href)["Cost"] == f"${figure.before.cost_usd:.2f}"


def test_a_member_gets_their_own_and_me_equals_it(running: RunningConsole) -> None:
    page = show(running, "member")
    viewer = viewer_of_user("acme", running.users["member"])
    mine = me(running.console, viewer, {"tz": "UTC"})
    assert page.total.cost == "$48.00"
    assert [figure.now for figure in mine.figures] == [figure.now for figure in page.figures]
    assert [row.name for row in mine.rows] == MODELS[1::2]
    assert all("user" in row.calls_href for row in mine.rows)


def test_me_is_about_oneself_even_for_an_admin(running: RunningConsole) -> None:
    viewer = viewer_of_user("acme", running.users["admin"])
    mine = me(running.console, viewer, {"tz": "UTC"})
    assert mine.rows == ()
    assert mine.figures[0].now.cost_usd == 0


def test_the_file_of_calls_has_more_than_a_page(running: RunningConsole) -> None:
    running.load(
        *(running.entry_of("member", started_at_us=NOW - 9 * DAY - place) for place in range(60))
    )
    viewer = viewer_of_user("acme", running.users["admin"])
    query = {"tz": "UTC", "period": "30d"}
    assert len(calls(running.console, viewer, query).table().rows) == 50
    found = calls(running.console, viewer, {**query, "format": "csv"}).table().rows
    assert len(found) == 60 + 2 * len(MODELS)


# ------------------------------------------------------------------ charts


@given(st.decimals("0.000000001", "1e12", allow_nan=False))
def test_an_axis_holds_what_is_drawn_on_it(largest: Decimal) -> None:
    axis = ticks(largest)
    steps = {after - before for before, after in pairwise(axis)}
    assert axis[0] == 0
    assert axis[-1] >= largest > axis[-1] / 4 - max(steps)
    assert len(steps) == 1
    assert 2 <= len(axis) - 1 <= STEPS_MAX


@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.decimals(-1, 1_000, places=4)), min_size=4, max_size=4),
        min_size=1,
        max_size=7,
    ),
    st.lists(
        st.tuples(*[st.decimals(0, 500, places=4)] * 3)
        .map(sorted)
        .map(lambda three: Expected(three[1], three[0], three[2])),
        max_size=5,
    ),
)
def test_bars_stay_within_the_picture(
    rows: list[list[Decimal | None]], ahead: list[Expected]
) -> None:
    drawn = stacked_bars([Series(slot, row) for slot, row in enumerate(rows)], 4, 3, ahead)
    totals = [sum(max(row[day] or Decimal(0), Decimal(0)) for row in rows) for day in range(4)]
    floors = [totals[3], *[Decimal(0)] * len(ahead)]
    highest = [floor + each.high for floor, each in zip(floors, ahead, strict=False) if each.high]
    assert drawn.axis[0] >= max([*totals, *highest])
    wide = (4 + max(0, len(ahead) - 1)) * DAY_WIDTH
    assert f'viewBox="0 0 {wide} {HEIGHT}"' in drawn.svg
    for left, floor, across, height in re.findall(r"M(\d+) (\d+)h(\d+)v-(\d+)h", drawn.svg):
        assert 0 <= int(floor) - int(height) < int(floor) <= HEIGHT
        assert int(left) + int(across) <= wide


@pytest.mark.parametrize("count", [1, 7, 8, 10, 11, 30, 45, 90, 120, 200, 366, 400])
def test_days_are_labelled_sparsely_and_the_last_of_few_always(count: int) -> None:
    days = [date.fromordinal(date(2025, 9, 1).toordinal() + place) for place in range(count)]
    labels = day_labels(days)
    assert 1 <= len(labels) <= 14
    assert any(not label.wide for label in labels)
    if count <= 120:
        assert labels[-1].place == count - 1
        assert not labels[-1].wide


def test_a_timeline_shows_when_each_attempt_waited_and_received() -> None:
    first, second = call_timeline(
        [Span(0, None, 400, failed=True), Span(500, 750, 1_000, failed=False)]
    )
    assert 'class="waits" x="0" width="400"' in first
    assert 'class="failed" x="394" width="6"' in first
    assert 'class="waits" x="500" width="250"' in second
    assert 'class="arrives" x="750" width="250"' in second
    (nothing,) = call_timeline([Span(0, None, 0, failed=False)])
    assert 'width="6"' in nothing


# ------------------------------------------------------------------ how well it is known


def test_shares_lead_to_exactly_the_calls_that_they_count(running: RunningConsole) -> None:
    """A call of which only a further model has no price counts as one, and is found."""
    at_us = NOW - 20 * DAY
    unknown: dict[str, Any] = {
        "cost_nanos": None,
        "list_cost_nanos": None,
        "basis": "unpriced",
        "unpriced_reason": "unknown_model",
        "price_key": "openai/new rule=none",
        "started_at_us": at_us,
        "team": "shares",
    }
    whole = running.entry_of("admin", **unknown)
    main = running.entry_of("admin", started_at_us=at_us, team="shares", cost_nanos=10**9)
    part = main._replace(entry_id=f"{main.entry_id}.1", part=1, **unknown)
    guessed = running.entry_of(
        "admin", started_at_us=at_us, team="shares", basis="estimated", cost_nanos=3 * 10**9
    )
    running.load(whole, main, part, guessed)
    page = show(running, filter="team:shares")
    estimated, unpriced = page.measures[-2:]
    assert (estimated.name, estimated.text) == ("Estimated", "75%")
    assert estimated.detail == "$3.00 in 1 call"
    assert (unpriced.name, unpriced.text) == ("Unpriced", "2")
    assert unpriced.detail == "67% of requests, 124 tokens"

    def listed(href: str) -> list[str]:
        reply = running.get(f"{href}&format=json", running.session("admin"))
        return sorted(row["call_id"] for row in reply.json()["calls"])

    assert listed(unpriced.href) == sorted([whole.call_id, main.call_id])
    assert listed(estimated.href) == [guessed.call_id]
    assert listed("/calls?basis=unpriced&filter=team:shares") == listed(unpriced.href)
    assert listed("/calls?reason=unknown_model&filter=team:shares") == listed(unpriced.href)
    html = running.get("/calls?filter=team:shares", running.session("admin")).text
    assert "calls, 124 tokens" in html
    # Priced now: they are counted, and found, no more.
    later = RepricingQuestion(at_us, at_us + 1, team="shares", unpriced_only=True)
    prices: Any = [{"usd": {"input": "1", "output": "1"}}]
    models: Any = [{"model": "gpt-4.1-2025-04-14", "prices": prices}]
    known = {"openai": {"provider": "openai", "name": "OpenAI", "models": models}}
    running.prices = CurrentPrices(PriceBook("later", known), {})  # type: ignore[arg-type]
    step = running.console.repricer.step(later, write=True, by="test")
    assert step.corrected == 2
    assert listed(unpriced.href) == []
    assert show(running, filter="team:shares").measures[-1].text == "0"
    assert show(running, filter="team:shares").total.requests == 3
