"""The first page: what it shows, how it is cut, and how every number leads to its rows."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from browsers import Visitor, expect
from companies import Company

pytestmark = pytest.mark.browser


def days_left_of_month() -> int:
    """Say how many days of the month follow today: the chart goes on into them."""
    today = datetime.now(UTC).date()
    return monthrange(today.year, today.month)[1] - today.day


MONEY = re.compile(r"^<?\$[\d,.]+[KMB]?$")


def test_says_what_is_spent_how_it_compares_and_how_well_it_is_known(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    tiles = page.locator(".tiles.big .tile")
    assert tiles.count() == 3
    for tile in tiles.all():
        assert MONEY.match(tile.locator(".v").inner_text())
        expect(tile.locator(".n").first).to_contain_text("$")
    expect(tiles.last.locator(".n").last).to_contain_text("estimated")
    expect(tiles.last.locator(".n").last).to_contain_text("unpriced")
    assert page.locator(".tiles.rest .tile dt > span").all_inner_texts() == [
        *("Requests", "Cost per request", "Tokens in", "Tokens out", "Cache savings", "Errors"),
        *("Estimated", "Unpriced"),
    ]
    assert page.locator("#plot path.bar").count() >= 7
    assert page.locator("#recent tbody tr").count() == 10
    olive.require_calm()


def test_the_address_is_the_view_and_the_back_button_goes_through_it(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    page.evaluate("() => { window.stayed = true; }")
    page.get_by_role("link", name="Team", exact=True).click()
    expect(page.get_by_role("heading", name="Daily cost by team")).to_be_visible()
    assert "by=team" in page.url
    assert page.title() == "Overview · Tollkeeper"
    page.locator("#parts tbody a").filter(has_text="Search").first.click()
    expect(page.locator(".chip")).to_contain_text("Search")
    expect(page.get_by_role("heading", name="Daily cost by model")).to_be_visible()
    page.get_by_role("link", name="7 days").click()
    expect(page.locator("#days tbody tr")).to_have_count(7)
    expect(page.locator(".chip")).to_contain_text("Search")
    assert page.evaluate("() => document.activeElement.textContent") == "7 days"
    pasted = page.url
    page.go_back()
    expect(page.locator("#days tbody tr")).to_have_count(30)
    page.go_back()
    expect(page.locator(".chip")).to_have_count(0)
    expect(page.get_by_role("heading", name="Daily cost by team")).to_be_visible()
    page.go_forward()
    page.go_forward()
    expect(page.locator("#days tbody tr")).to_have_count(7)
    assert page.url == pasted
    assert page.evaluate("() => window.stayed"), "these were partial loads"
    page.goto(pasted)
    expect(page.locator(".chip")).to_contain_text("Search")
    page.get_by_role("link", name="take away the filter").click()
    expect(page.locator(".chip")).to_have_count(0)
    assert olive.faults == []


@pytest.mark.parametrize("name", ["Provider", "Tool", "User", "feature"])
def test_is_cut_by(olive: Visitor, name: str) -> None:
    page = olive.page
    # The newest calls name the tags that are offered; other tests call the sandbox without any.
    page.goto("/?filter=provider:anthropic")
    page.get_by_role("navigation", name="Break down by").get_by_text(name, exact=True).click()
    expect(page.locator("#parts thead th").first).to_have_text(name)
    total = page.locator("#parts tfoot td").last.inner_text()
    period = page.locator('[data-num="period"]').inner_text()
    assert total == period
    olive.require_calm()


def test_a_tag_can_be_typed_and_dates_chosen(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    page.get_by_text("Tag…").click()
    page.get_by_label("Any tag, by its name").fill("env")
    page.get_by_role("button", name="Break down").click()
    expect(page.locator("#parts thead th").first).to_have_text("env")
    page.get_by_label("Other dates").click()
    last_day = page.get_by_label("To, included").input_value()
    first_day = (date.fromisoformat(last_day) - timedelta(days=6)).isoformat()
    page.get_by_label("From", exact=True).fill(first_day)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#days tbody tr")).to_have_count(7)
    expect(page.locator("#parts thead th").first).to_have_text("env")
    assert f"from={first_day}&to={last_day}" in page.url
    assert olive.faults == []


def test_a_number_leads_to_its_calls_and_a_call_to_its_lines(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    row = page.locator("#parts tbody tr").first
    model = row.locator("th a").first.inner_text()
    requests, cost = row.locator("td.num a").first.inner_text(), row.locator("td a").last
    spent = cost.inner_text()
    cost.click()
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    expect(page.locator(".chip")).to_contain_text(model)
    assert page.locator('[data-num="Requests"]').inner_text() == requests
    assert page.locator('[data-num="Cost"]').inner_text() == spent
    assert set(page.locator("#rows tbody th .names > a").all_inner_texts()) == {model}
    newest = page.locator("#rows tbody tr").filter(has_text="OK").first
    call = newest.locator("td.cost a").get_attribute("href")
    row = page.locator("#rows tbody tr").filter(has=page.locator(f'td.cost a[href="{call}"]'))
    listed = row.locator("td.cost a").get_attribute("title") or ""  # others may arrive above it
    row.locator("td").nth(3).click(force=True)  # anywhere in the row: its link covers it
    expect(page.get_by_role("heading", name=model, exact=True)).to_be_visible()
    costs = page.locator("table.lines tbody td:last-child").all_inner_texts()
    counts = page.locator("table.lines tbody td:nth-child(2)").all_inner_texts()
    assert len(costs) == len(counts) >= 2
    booked = page.locator("table.lines tfoot td").last.inner_text()
    assert sum(float(each.strip("$")) for each in costs) == pytest.approx(float(booked.strip("$")))
    assert listed.startswith(page.locator("dl.tiles dd.v").first.inner_text())  # with corrections
    olive.require_calm()


def test_the_chart_is_read_with_pointer_and_keys(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    plot, tip = page.locator("#plot"), page.locator("#tip")
    box = plot.bounding_box()
    assert box
    bars = int(plot.get_attribute("aria-valuemax") or 0)
    assert bars == 30 + days_left_of_month()
    page.mouse.move(box["x"] + box["width"] * 12.5 / bars, box["y"] + 50)
    expect(tip).to_be_visible()
    day = page.locator("#days tbody tr").nth(12)
    expect(tip.locator(".h")).to_contain_text(day.locator("th").text_content() or "")
    expect(tip.locator(".h")).to_contain_text(day.locator("td").last.text_content() or "")
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()
    plot.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    row = page.locator("#days tbody tr").nth(-2)
    expect(plot).to_have_attribute("aria-valuenow", "29")
    spoken = plot.get_attribute("aria-valuetext") or ""
    assert spoken.startswith(f"{row.locator('th').text_content()}: ")
    page.keyboard.press("End")
    expect(tip).to_contain_text("expected")
    expected = page.locator("#days tfoot tr").last
    amount = expected.locator("td").last.text_content() or ""
    assert (plot.get_attribute("aria-valuetext") or "").split(": ")[1].startswith(
        amount
    ) or bars == 30
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.locator(".legend button").first.click()
    slot = page.locator(".legend button").first.get_attribute("data-slot")
    assert set(page.locator("#plot .on").evaluate_all("ns => ns.map(n => n.classList[1])")) == {
        f"s{slot}"
    }
    plot.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    assert "from=" in page.url
    assert olive.faults == []


def test_how_a_figure_is_computed_opens_and_closes(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    why = page.locator(".tile .why").first
    why.locator("summary").click()
    expect(why.locator(".pop")).to_contain_text("compared with")
    page.keyboard.press("Escape")
    expect(why.locator(".pop")).to_be_hidden()
    assert page.evaluate("() => document.activeElement.tagName") == "SUMMARY"
    why.locator("summary").click()
    page.mouse.click(700, 20)
    expect(why.locator(".pop")).to_be_hidden()


def test_the_breakdown_is_a_file_too(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    with page.expect_download() as download:
        page.locator("#parts").get_by_role("link", name="CSV").click()
    text = download.value.path().read_text()
    assert text.startswith("name,cost_usd,cost_usd_before,requests,unpriced")
    assert "claude-opus-5-5" in text


def test_a_new_installation_says_how_the_first_call_is_made(
    newcomer: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(newcomer).sign_in()
    page = visitor.page
    for address in ("/", "/calls"):
        page.goto(address)
        start = page.locator("#start")
        expect(start.get_by_role("heading", name="No calls yet")).to_be_visible()
        expect(start).to_contain_text("/v1/chat/completions")
        page.get_by_text("Codex", exact=True).click()
        expect(start).to_contain_text("~/.codex/config.toml")
        visitor.require_calm()
    page.goto("/")
    expect(page.locator(".tiles.big .v").first).to_have_text("$0.00")
    page.goto("/me")
    expect(page.get_by_text("You made no calls")).to_be_visible()
    visitor.require_calm()
