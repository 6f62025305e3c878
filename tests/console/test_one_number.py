"""One number everywhere: pages, files, the API, the command line and plain SQL say the same.

All in nano-dollars, for any filters, groups, period, zone and viewer, over a ledger with
corrections, flat rates, estimates and calls without a price in it. And what is shown in parts
adds up to the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings

from number_desks import METRICS, Desk, Question, Stretch, desk_of, questions
from one_ledger import Facts
from page_figures import amount, cells, section, tiles, total, written
from tollkeeper.cli import calls, forecast, spend, why
from tollkeeper.domain.bridge import Cause

SAME_FOR_ALL_PARTS = {
    *("team", "user", "key", "tool", "session", "customer", "streamed", "status"),
    *("weekday", "hour_of_day", "tag"),
}
"""Dimensions by which an attempt is found together with all that it billed."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(tmp_path_factory.mktemp("one"), 1, 250) as made:
        yield made


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
    options = ["--limit", "1000", *typed(asked)]
    assert desk.command(asked.viewer, calls, *options) == listed
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
    file = desk.file(asked.viewer, "/api/v1/usage", limit="50000", **asked.parameters, **more)
    for name in names:
        assert total(row[name] for row in file) == Decimal(METRICS[name](facts) or 0)


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
    file = desk.file(asked.viewer, "/why", **parameters)
    assert total(row["difference_usd"] for row in file) == Decimal(whole["difference_usd"])


def require_savings(desk: Desk, asked: Question, facts: Facts) -> None:
    answer = desk.json(asked.viewer, "/api/v1/savings", **asked.parameters)
    assert Decimal(answer["cost_usd"] or 0) == facts.known
    desk.file(asked.viewer, "/savings", **asked.parameters)


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
