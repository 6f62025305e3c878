"""Explore in a browser: chosen by hand and by keyboard, read in both themes, without scripts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from browsers import Visitor, expect
from companies import Company

pytestmark = pytest.mark.browser


def test_a_question_is_asked_by_keyboard_and_its_figures_lead_to_calls(olive: Visitor) -> None:
    page = olive.page
    page.goto("/explore")
    expect(page.get_by_role("heading", name="Cost by model")).to_be_visible()
    page.evaluate("() => { window.stayed = true; }")
    page.locator("#by-1").focus()
    page.keyboard.type("Team")
    page.locator("#by-2").select_option("tool")
    page.locator("#metric").select_option("requests")
    page.locator("#show").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Requests by team, tool")).to_be_visible()
    assert "group_by=team&group_by=tool" in page.url
    plot, tip = page.locator("#plot"), page.locator("#tip")
    plot.focus()
    page.keyboard.press("ArrowLeft")
    expect(tip).to_be_visible()
    last = page.locator("#days tbody tr").last
    expect(tip.locator(".h")).to_contain_text(last.locator("td").last.text_content() or "")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Flows", exact=True).click()
    expect(page.locator("svg.sankey path.flow").first).to_be_visible()
    assert "view=sankey" in page.url
    olive.require_calm()
    page.go_back()
    expect(plot).to_be_visible()
    assert page.evaluate("() => window.stayed"), "these were partial loads"
    row = page.locator("#parts tbody tr").first
    requests = row.locator("td").last.inner_text()
    row.locator("td").last.locator("a").click()
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
    expect(page.locator(".chip")).to_have_count(2)
    assert page.locator('[data-num="Requests"]').inner_text() == requests
    assert olive.faults == []


def test_hours_and_lines_can_be_read_in_the_dark_and_a_file_is_had(
    acme: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(acme, color_scheme="dark", java_script_enabled=True).sign_in()
    page = visitor.page
    page.goto("/explore?metric=duration_p95_ms&group_by=tool")
    assert page.locator("#plot path.line").count() >= 2
    assert visitor.faint_texts() == {}
    page.get_by_role("link", name="Hours of the week").last.click()
    expect(page.locator("svg.heat rect")).to_have_count(7 * 24)
    page.get_by_text("Show as table").click()
    expect(page.locator("#week-data tbody tr")).to_have_count(24)
    assert visitor.faint_texts() == {}
    visitor.require_calm()
    with page.expect_download() as download:
        page.locator("#parts").get_by_role("link", name="CSV").click()
    assert download.value.path().read_text().startswith("weekday,hour_of_day,duration_p95_ms")


def test_without_scripts_forms_and_views_work(acme: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(acme, java_script_enabled=False).sign_in()
    page = visitor.page
    page.goto("/explore")
    page.get_by_label("or by a tag").fill("env")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="Cost by model, env")).to_be_visible()
    page.locator("#filter").click()
    page.get_by_label("What", exact=True).select_option("team")
    page.get_by_label("Value; nothing").fill("Search")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator(".chip")).to_contain_text("Search")
    page.get_by_role("link", name="Cache savings").click()
    expect(page.get_by_role("heading", name="Cache savings by model")).to_be_visible()
    expect(page.locator(".chip")).to_contain_text("Search")
    assert page.locator("#parts tbody tr").count() >= 2
