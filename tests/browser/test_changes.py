"""Where the month will end, and why it changed, as people find it from the first page."""

from __future__ import annotations

import re

import pytest

from browsers import Visitor, expect

pytestmark = pytest.mark.browser


def test_from_the_first_page_to_what_changed_and_why(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    ahead = page.locator("#figures .ahead")
    expect(ahead).to_have_text(re.compile(r"^about \$[\d.,]+ by \w{3} \d+ \(\$.+ to \$.+\)$"))
    page.locator("#figures summary").first.click()
    expect(page.locator("#figures .pop").first).to_contain_text("day of the week")
    page.keyboard.press("Escape")
    page.locator("#movers").get_by_role("link", name="Why?").click()
    expect(page.get_by_role("heading", name="What changed")).to_be_visible()
    expect(page.get_by_role("heading", name="By model")).to_be_visible()
    expect(page.locator(".falls .fall").last).to_be_visible()
    assert page.locator(".falls tbody tr").count() >= 5
    page.get_by_role("link", name="Team", exact=True).click()
    expect(page.get_by_role("heading", name="By team")).to_be_visible()
    assert "by=team" in page.url
    page.locator("#rows tbody a").filter(has_text="Search").first.click()
    expect(page.locator(".chip")).to_contain_text("Search")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    expect(page.locator("#rows .only-s").first).to_be_visible()
    olive.require_calm()
