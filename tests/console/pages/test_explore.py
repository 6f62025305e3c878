"""Explore's page: figures lead to their calls, files equal the page, people are not ranked."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consoles import RunningConsole, running_console
from stores import DAY, NOW
from tollkeeper.console import metrics
from tollkeeper.console.access import viewer_of_user
from tollkeeper.console.charts.lines import lines
from tollkeeper.console.charts.sankey import Flow, Node, sankey
from tollkeeper.console.charts.stacked_bars import HEIGHT, Series
from tollkeeper.console.pages.explore import ExplorePage, explore
from tollkeeper.domain.audit import AuditQuestion
from tollkeeper.reports.measures import MEASURES, Kind
from tollkeeper.reports.questions import BadQuestion

DOCUMENT = Path(__file__).parents[3] / "docs" / "dashboard.md"
TEAMS = ("core", "other", '<b>"R&D", Berlin</b>')
TOOLS = ("codex", "claude-code", "")
MODELS = tuple(f"model-{number}" for number in range(9))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """Three teams with three tools and nine models, in two months; some calls fail."""
    with running_console(tmp_path_factory.mktemp("explore")) as made:
        made.load(
            *(
                made.entry_of(
                    "member" if number % 2 else "other member",
                    team=TEAMS[number % 3],
                    tool=TOOLS[number % 7 % 3],
                    model_served=MODELS[number % 9],
                    session_id=f"s{number % 4}",
                    end_customer=f"c{number % 5}",
                    started_at_us=NOW - (number % 50) * DAY - number * 3_600_000_000 // 9,
                    cost_nanos=(number + 1) * 1_000_000_000,
                    outcome="upstream_error" if number % 10 == 3 else "ok",
                    status=529 if number % 10 == 3 else 200,
                    duration_ms=100 + number,
                    tags={"feature": f"f{number % 2}"},
                )
                for number in range(90)
            )
        )
        yield made


def show(running: RunningConsole, who: str = "admin", **query: str) -> ExplorePage:
    viewer = viewer_of_user("acme", running.users[who])
    return explore(running.console, viewer, {"tz": "UTC", **query})


def of_calls(running: RunningConsole, href: str) -> dict[str, str]:
    """Follow an address to the list of calls, and give its totals as texts."""
    reply = running.get(href, running.session("admin"))
    assert reply.status == 200, reply.text
    return {
        part.partition('"')[0]: part.partition(">")[2].partition("<")[0]
        for part in reply.text.split('data-num="')[1:]
    }


# ------------------------------------------------------------------ where figures lead


def test_every_row_leads_to_calls_that_cost_it_now_and_before(running: RunningConsole) -> None:
    page = show(running, group_by="team,tool", limit="4")
    assert len(page.lines) == 5
    assert page.lines[-1].is_other
    for line in (*page.lines[:2], page.total):
        assert of_calls(running, line.calls_href)["Cost"] == metrics.text("cost_usd", line.now)
        before = metrics.text("cost_usd", line.before)
        assert of_calls(running, line.before_href)["Cost"] == before
        assert of_calls(running, line.requests_href)["Requests"] == str(line.requests)
    known = [line.now for line in page.lines]
    assert sum(Decimal(each or 0) for each in known) == page.total.now


@pytest.mark.parametrize(("metric", "figure"), [("errors", "Errors"), ("tokens_in", "Tokens in")])
def test_counts_lead_to_just_what_they_count(
    running: RunningConsole, metric: str, figure: str
) -> None:
    page = show(running, metric=metric, group_by="tool")
    for line in (page.lines[0], page.total):
        assert of_calls(running, line.calls_href)[figure] == line.value


def test_steps_and_hours_lead_to_their_calls(running: RunningConsole) -> None:
    page = show(running, group_by="model", grain="week", tz="America/New_York")
    assert page.chart is not None
    assert not page.chart.is_empty
    step = page.chart.table[1]
    assert of_calls(running, step.href)["Cost"] == step.total_full
    assert of_calls(running, step.costs[-1].href)["Cost"] >= step.costs[-1].text
    heat = show(running, group_by="none", view="heat", tz="Asia/Kathmandu")
    assert heat.week is not None
    hour = next(cell for _, cells in heat.week.rows for cell in cells if cell.is_something)
    assert of_calls(running, hour.href)["Cost"] == hour.full


def test_flows_lead_to_their_calls_and_add_up(running: RunningConsole) -> None:
    page = show(running, group_by="team,tool,model", view="sankey", limit="2")
    assert page.sankey is not None
    for bands in page.sankey.levels:
        spent = sum(Decimal(band.full.strip("$").replace(",", "")) for band in bands)
        assert spent == page.total.now
        assert of_calls(running, bands[0].href)["Cost"] == bands[0].full
    assert page.sankey.svg.count("<rect") == 3 + 3 + 9


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"group_by": "team"}, "choose two or three"),
        ({"group_by": "team,tool", "metric": "error_rate"}, "do not add up"),
        ({"group_by": "team,tool", "filter": "team:nobody"}, "Nothing flowed"),
    ],
)
def test_what_cannot_flow_says_why(
    running: RunningConsole, query: dict[str, str], said: str
) -> None:
    page = show(running, view="sankey", **query)
    assert page.sankey is None
    assert said in page.why_not
    assert "team%2Ctool%2Cmodel" in page.flows_href


def test_a_click_keeps_the_other_groups_and_goes_on_from_the_last(running: RunningConsole) -> None:
    line = show(running, group_by="team,tool", metric="requests").lines[0]
    assert "group_by=tool" in line.names[0].href
    assert "metric=requests" in line.names[0].href
    assert "group_by=model" in show(running, group_by="team").lines[0].names[0].href


def test_the_heads_of_columns_order_the_rows(running: RunningConsole) -> None:
    reply = running.get("/explore?group_by=key&sort=requests", running.session("admin"))
    head = reply.text.partition('class="tbl parts')[2].partition("</thead>")[0]
    assert re.findall(r'href="[^"]*sort=(\w+)"', head) == ["name", "change", "value"]
    assert re.search(r'>Requests <span aria-hidden="true">↓</span></th>', head)
    page = show(running, group_by="key")
    assert page.lines[0].names[0].text == "{} ({})".format(*first_key(page))


def first_key(page: ExplorePage) -> tuple[str, str]:
    row = page.report.rows[0]
    return row.names[0], str(row.keys[0])


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    "query",
    [
        "view=table&group_by=team,tool&limit=3",
        "view=table&group_by=key&compare=none&metric=cost_per_request_usd",
        "group_by=model&metric=requests",
        "view=heat&group_by=none&metric=duration_p95_ms",
    ],
)
def test_files_equal_the_page(running: RunningConsole, query: str) -> None:
    session = running.session("admin")
    replies = {
        name: running.get(f"/explore?tz=UTC&{query}&format={name}", session)
        for name in ("json", "csv", "parquet")
    }
    assert {reply.status for reply in replies.values()} == {200}
    from_csv = list(csv.DictReader(io.StringIO(replies["csv"].text)))
    table = pq.read_table(io.BytesIO(replies["parquet"].body))
    assert table.column_names == list(from_csv[0])
    metric = dict(part.split("=") for part in query.split("&")).get("metric", "cost_usd")
    texts = [_number(value) for value in table.column(metric).to_pylist()]
    assert texts == [_number(row[metric] or None) for row in from_csv]
    document = replies["json"].json()
    if document["hours_of_week"]:
        found = [hour[metric] for hour in document["hours_of_week"]]
    elif document["steps"]:
        found = [
            value
            for step in document["steps"]
            for value in (*step["rows"], *([step["other"]] if step["other"] is not None else []))
        ]
    else:
        rest = [document["other"]] if document["other"] else []
        found = [row[metric] for row in (*document["rows"], *rest)]
    assert [_number(value) for value in found] == texts
    assert replies["csv"].header("content-disposition") == 'attachment; filename="explore.csv"'


def _number(value: Any) -> Decimal | None:
    return None if value is None else round(Decimal(str(value)), 9)


def test_who_takes_a_file_is_in_the_log(running: RunningConsole) -> None:
    assert running.get("/explore?format=parquet", running.session("auditor")).status == 200
    entry = running.store.audit(AuditQuestion(action="data.export"))[0]
    assert (entry.actor_name, entry.data["path"]) == ("audrey@acme.com", "/explore")
    assert entry.data["query"] == {"format": "parquet"}


# ------------------------------------------------------------------ who sees what


def test_people_who_are_named_are_not_ranked(running: RunningConsole) -> None:
    object.__setattr__(running.console, "mask_people", True)
    try:
        page = show(running, group_by="user")
        names = [line.names[0].text for line in page.lines]
        assert names == sorted(names)
        assert [choice.text for choice in page.sorts] == ["By name"]
        with pytest.raises(BadQuestion, match="not ranked"):
            show(running, group_by="team,user", sort="value")
        masked = running.get("/explore?group_by=user&sort=value", running.session("admin"))
        assert masked.status == 200
        assert "person " in masked.text
        assert "alice@acme.com" not in masked.text
    finally:
        object.__setattr__(running.console, "mask_people", False)


def test_a_member_sees_their_own(running: RunningConsole) -> None:
    page = show(running, "member", group_by="team")
    everything = show(running, group_by="team")
    assert 0 < (page.total.now or 0) < (everything.total.now or 0)
    assert "By team" not in [view.name for view in page.views]
    assert "mallory" not in running.get("/explore?group_by=key", running.session("member")).text


# ------------------------------------------------------------------ what can be asked


def test_the_named_views_are_one_click_away_and_open(running: RunningConsole) -> None:
    page = show(running)
    names = [view.name for view in page.views]
    assert names == [
        *("Total this month", "30-day trend", "By model", "By team", "By feature"),
        *("Cost per request", "Cost per conversation", "Tokens", "Where it flows"),
        *("Hours of the week", "Budgets"),
    ]
    assert [lens.name for lens in page.lenses] == [
        *("Provider", "Endpoint", "Key", "Model", "Cache savings")
    ]
    for view in (*page.views, *page.lenses):
        reply = running.get(view.href, running.session("admin"))
        assert reply.status == 200
        if view.href.startswith("/explore"):
            assert re.search(rf'aria-current="true">{view.name}</a>', reply.text), view.name
    assert show(running, metric="tokens").kinds


def test_the_documented_addresses_are_those_of_the_views(running: RunningConsole) -> None:
    page = show(running, period="7d", filter="team:core")
    text = DOCUMENT.read_text("utf-8")
    documented = dict(
        re.findall(r"^\| ([^|]+?)(?: \([^|]*\))? \| `(/\S+)` \|$", text, re.MULTILINE)
    )
    for view in (*page.views, *page.lenses):
        asked = dict(parse_qsl(urlsplit(view.href).query))
        assert asked.pop("tz", "UTC") == "UTC"
        assert asked.pop("filter", "team:core") == "team:core"
        known = urlsplit(documented[view.name])
        wanted = dict(parse_qsl(known.query))
        assert urlsplit(view.href).path == known.path
        assert asked == ({"period": "7d"} | wanted if wanted else {})


def test_every_metric_can_be_chosen_and_is_written_in_words(running: RunningConsole) -> None:
    offered = {name for group in metrics.METRICS.values() for name in group}
    assert offered == set(MEASURES) - {"entries", "unpriced"}
    for kind in Kind:
        metric = next(name for name, measure in MEASURES.items() if measure.kind is kind)
        page = show(running, metric=metric, group_by="tool", grain="month", period="90d")
        assert page.total.value not in {"", "—"}
        assert page.chart is not None
        assert page.chart.picture.bars


def test_forms_make_groups_and_filters(running: RunningConsole) -> None:
    query = {"group_by": "team,tool", "tag": "feature", "dim": "tag", "value": "feature=f1"}
    page = show(running, **query)
    assert page.dimensions == ("Team", "Tool", "feature")
    assert [chip.values for chip in page.head.chips] == ["f1"]
    assert page.report.question.filters[0].dimension == "tag:feature"
    assert show(running, group_by="none", tag="feature").dimensions == ("feature",)
    other = show(running, dim="team", value="core", **{"is": "not"})
    assert other.head.chips[0].negated
    hidden = dict(other.form.filter_hidden)
    assert hidden["group_by"] == "model"


@pytest.mark.parametrize(
    "query",
    [
        *("metric=spend", "group_by=nope", "group_by=team,user,key,model", "group_by=tag:a'b"),
        *("view=pie", "grain=year", "grain=hour&period=90d", "limit=0", "limit=1001", "sort=x"),
        *("period=99999d", "period=x", "from=2026-11-02&to=2026-11-01", "compare=x", "dim=x"),
        *("filter=weekday:8", "filter=hour_of_day:x", "unknown=1", "group_by=day", "tz=Mars/X"),
        "tag=" + "x" * 65,
    ],
)
def test_what_cannot_be_asked_is_a_clear_page(running: RunningConsole, query: str) -> None:
    reply = running.get(f"/explore?{query}", running.session("admin"))
    assert reply.status == 422
    assert "cannot be answered" in reply.text


def test_hostile_names_are_shown_as_they_are(running: RunningConsole) -> None:
    for view in ("bars", "sankey", "heat", "table"):
        address = f"/explore?group_by=team,tool&view={view}"
        html = running.get(address, running.session("admin")).text
        assert "<b>" not in html.replace('<b class="num">', "").replace("<b>{", "")
        if view != "heat":
            assert "&lt;b&gt;" in html
    document = json.loads(
        running.get("/explore?group_by=team&format=json", running.session("admin")).body
    )
    assert TEAMS[2] in [row["team"] for row in document["rows"]]


# ------------------------------------------------------------------ charts


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2), st.integers(1, 10**6)),
        min_size=1,
        max_size=20,
    )
)
def test_a_sankey_stays_within_its_picture(rows: list[tuple[int, int, int, int]]) -> None:
    amounts: dict[tuple[int, int, int], Decimal] = {}
    for first, second, third, amount in rows:
        for key in ((0, first, second), (1, second, third)):
            amounts[key] = amounts.get(key, Decimal(0)) + amount
    flows = [Flow(*key, amount, "<words>") for key, amount in amounts.items()]
    levels = [
        [Node(f"n{place}", "full", place, "") for place in range(count)] for count in (4, 5, 3)
    ]
    drawn = sankey(levels, flows)
    height = int(re.findall(r'viewBox="0 0 960 (\d+)"', drawn)[0])
    boxes = re.findall(r'<rect class="s\d" x="(\d+)" y="(\d+)" width="9" height="(\d+)"', drawn)
    assert len(boxes) == len({(level, end) for level, end, _ in amounts}) + len(
        {third for _, _, third, _ in rows}
    )
    for x, y, size in boxes:
        assert 0 <= int(x) <= 960
        assert int(y) >= 0
        assert int(y) + int(size) <= height + 2 * len(boxes)  # the thinnest are two high
    assert "<words>" not in drawn


@given(
    st.lists(
        st.lists(st.none() | st.decimals(0, 1_000, places=3), min_size=5, max_size=5),
        min_size=1,
        max_size=7,
    )
)
def test_lines_stay_within_the_picture_and_show_every_value(
    rows: list[list[Decimal | None]],
) -> None:
    drawn = lines([Series(slot, row) for slot, row in enumerate(rows)], 5)
    places = re.findall(r"[ML](\d+) (\d+)", "".join(re.findall(r'class="bar[^/]*', drawn.svg)))
    assert len(places) == sum(value is not None for row in rows for value in row)
    assert all(0 <= int(y) <= HEIGHT for _, y in places)
