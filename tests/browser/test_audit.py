"""The audit log in a browser, and people who stand under pseudonyms until somebody says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from browsers import NARROW, WIDE, Visitor, expect
from companies import Company

pytestmark = pytest.mark.browser

WHY = "to find the script that spends at night"
Visits = Callable[..., Visitor]


def test_what_was_done_is_found_and_checked(acme: Company, olive: Visitor) -> None:
    acme.issue("audited laptop", "olive@acme.com")
    page = olive.page
    page.goto("/settings/audit")
    expect(page.locator("h1")).to_have_text("Audit log")
    page.locator("#verify").click()
    expect(page.locator(".badge.good")).to_have_text("Whole")
    page.locator("#filter").click()
    page.get_by_label("What", exact=True).fill("key")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("tbody")).not_to_contain_text("session.begin")
    expect(page.locator("tbody tr").first).to_contain_text("key.issue")
    expect(page.locator("tbody tr").first.locator("td").nth(1)).to_contain_text("audited laptop")
    olive.require_calm()


def test_how_all_is_set_up_is_one_step_away(olive: Visitor) -> None:
    page = olive.page
    page.goto("/settings/audit")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", name="Signing in")).to_be_visible()
    expect(page.locator("main")).to_contain_text("DuckDB, in the data folder")
    assert olive.faint_texts() == {}
    olive.require_calm()


def test_names_are_shown_for_a_reason_and_hidden_again(olive: Visitor) -> None:
    page = olive.page
    page.goto("/calls")
    expect(page.locator("#rows tbody")).to_contain_text("person ")
    page.locator("#unmask").click()
    page.get_by_label("Why").fill(WHY)
    page.get_by_role("button", name="Show names for an hour").click()
    expect(page.locator(".notice.warn")).to_contain_text(WHY)
    expect(page.locator("#rows tbody")).not_to_contain_text("person ")
    page.goto("/me")
    expect(page.locator("#seen")).to_contain_text(WHY)
    page.get_by_role("button", name="Hide names").click()
    page.goto("/calls")
    expect(page.locator("#rows tbody")).to_contain_text("person ")
    olive.require_calm()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_it_can_be_read_everywhere(
    acme: Company, visit: Visits, theme: str, viewport: dict[str, int]
) -> None:
    visitor = visit(acme, viewport=viewport, color_scheme=theme).sign_in()
    for path in ("/settings/audit", "/calls"):
        visitor.page.goto(path)
        visitor.require_calm()
        assert visitor.faint_texts() == {}
