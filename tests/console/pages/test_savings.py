"""The page Savings and its API: findings with their calls, a what-if, and who sees what."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from savings_desks import BOOK, DAY_US, MINUTE_US, call
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.services.repricing import CurrentPrices

BIG = "claude-opus-9"


@pytest.fixture(scope="module")
def wasteful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """A console where the member's key ran away, and the other team writes caches in vain."""
    with running_console(tmp_path_factory.mktemp("savings"), mask_people=True) as made:
        made.prices = CurrentPrices(BOOK, {"anthropic": "anthropic", "lab": "lab"})
        made.now_us += 66 * DAY_US
        hour = made.now_us // (60 * MINUTE_US) * 60 * MINUTE_US - 5 * 60 * MINUTE_US
        alice, mallory = made.users["member"], made.users["other member"]
        own = {"user_id": alice.user_id, "user_name": "alice@acme.com", "key_id": "runaway1"}
        other = {"user_id": mallory.user_id, "user_name": "mallory@acme.com", "team": "other"}
        same = {"input": 1_000, "output": 10}
        written = {"cache_write": 10_000, "output": 5}
        made.load(
            *(
                call(hour + at * 1_000_000, "ray-large-2", same, **own, key_name="nightly job")
                for at in range(12)
            ),
            *(call(hour + at, BIG, written, **other) for at in (0, 7 * MINUTE_US)),
        )
        yield made


def _page(console: RunningConsole, query: str = "", who: str = "admin") -> Any:
    reply = console.get(f"/savings?format=json{query}", console.session(who))
    assert reply.status == 200, reply.text
    return reply.json()


def _links(text: str) -> list[str]:
    found = (unescape(each) for each in re.findall(r'href="(/calls\?[^"]+)"', text))
    return list(dict.fromkeys(found))


def test_every_finding_leads_to_its_calls(wasteful: RunningConsole) -> None:
    text = wasteful.get("/savings", wasteful.session("admin")).text
    for title in ("Expired prompt caches", "Retry storms", "look like duplicates", "small calls"):
        assert title in text
    assert "so they are not added up" in text
    storms = text.partition('id="retry-storms"')[2].partition("</section>")[0]
    assert "nightly job" in storms
    assert "12 calls of one size" in storms
    addresses = _links(storms)
    assert len(addresses) == 1
    calls = wasteful.get(f"{addresses[0]}&format=json", wasteful.session("admin")).json()["calls"]
    assert {row["key_id"] for row in calls} == {"runaway1"}
    assert len(calls) == 12
    for each in _links(text):
        assert wasteful.get(each, wasteful.session("admin")).status == 200, each


def test_the_page_and_the_api_say_the_same(wasteful: RunningConsole) -> None:
    page = _page(wasteful, "&to_model=lab/ray-small-2")
    api = wasteful.get("/api/v1/savings?to_model=lab/ray-small-2", wasteful.session("admin"))
    assert api.json() == page
    assert page["what_if"]["calls"] == 14
    stakes = {each["name"]: each["now"] for each in page["findings"]}
    assert stakes["retry_storms"] == {"calls": 11, "usd": "0.022440000", "unknown": 0}
    assert stakes["expired_caches"] == {"calls": 1, "usd": "0.031500000", "unknown": 0}
    rows = list(
        csv.DictReader(
            io.StringIO(wasteful.get("/savings?format=csv", wasteful.session("admin")).text)
        )
    )
    storm = next(row for row in rows if row["finding"] == "retry_storms")
    assert (storm["key"], storm["usd"]) == ("runaway1", "0.022440000")


def test_people_are_not_named_and_each_sees_the_own_part(wasteful: RunningConsole) -> None:
    for who in ("admin", "finance", "lead", "auditor"):
        text = wasteful.get("/savings", wasteful.session(who)).text
        assert "alice@acme.com" not in text.partition("<main")[2]
    assert "other" not in str(_page(wasteful, who="lead")["findings"])
    member = _page(wasteful, who="other member")
    assert [len(each["groups"]) for each in member["findings"]] == [1, 0, 0, 0]
    assert member["prompt_caches"]["written_tokens"] == 20_000


def test_a_what_if_stays_when_the_time_is_changed(wasteful: RunningConsole) -> None:
    address = "/savings?from_model=lab/*&to_model=lab/ray-small-2"
    text = wasteful.get(address, wasteful.session("admin")).text
    answer = text.partition('id="answer"')[2].partition("</p>")[0]
    assert "all of lab" in answer
    assert "less" in answer
    week = next(
        unescape(each) for each in re.findall(r'href="([^"]+)"', text) if "period=7d" in each
    )
    assert "to_model=lab%2Fray-small-2" in week
    assert wasteful.get(week, wasteful.session("admin")).status == 200
    refused = wasteful.get("/savings?to_model=lab/nothing", wasteful.session("admin"))
    assert refused.status == 422


def test_seats_stand_beside_and_in_no_sum(wasteful: RunningConsole) -> None:
    wasteful.plans = (SeatPlan("Team plan", "anthropic", 30, 100 * 10**9),)
    text = wasteful.get("/savings", wasteful.session("admin")).text
    assert "Team plan" in text.partition('id="plans"')[2]
    for who in ("member", "lead"):
        assert "Team plan" not in wasteful.get("/savings", wasteful.session(who)).text


def test_a_new_installation_says_what_to_do(tmp_path: Path) -> None:
    with running_console(tmp_path) as fresh:
        text = fresh.get("/savings", fresh.session("admin")).text
        assert 'id="none"' in text
        assert _page(fresh)["what_if"] is None


def test_filters_that_nothing_passes_can_be_cleared(wasteful: RunningConsole) -> None:
    text = wasteful.get("/savings?filter=model:none&period=7d", wasteful.session("admin")).text
    empty = text.partition('id="none"')[2].partition("</section>")[0]
    assert "Get a key" not in empty
    cleared = re.search(r'href="([^"]+)">Clear filters', empty)
    assert cleared is not None
    assert "filter" not in cleared[1]
    assert "period=7d" in cleared[1]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    with running_console(tmp_path) as attacked:
        attacked.prices = CurrentPrices(BOOK, {})
        attacked.now_us += 66 * DAY_US
        minute = (attacked.now_us - DAY_US) // (10 * MINUTE_US) * 10 * MINUTE_US
        named = dict.fromkeys(("team", "tool", "endpoint", "key_name", "key_id", "provider"), evil)
        attacked.load(
            *(
                call(minute + at, "ray-large-2", {"input": 900, "output": 20})._replace(
                    **named, model_served=evil, model_requested=evil, saved_nanos=7
                )
                for at in range(12)
            )
        )
        attacked.load(
            call(minute, "ray-large-2", {"cache_read": 900, "output": 20})._replace(
                **named, model_served=evil, saved_nanos=7
            )
        )
        text = attacked.get("/savings", attacked.session("admin")).text
        assert evil not in text
        assert text.count("&lt;script&gt;") > 10
        for address in _links(text):
            assert attacked.get(address, attacked.session("admin")).status == 200
        table = attacked.get("/savings?format=csv", attacked.session("admin")).text
        assert table.count("retry_storms") == 1
