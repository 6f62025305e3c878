"""The page People in a browser: teams, people, and what an admin does with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from browsers import NARROW, Visitor, expect
from companies import MEMBER, Company

pytestmark = pytest.mark.browser


def test_an_admin_adds_a_team_and_somebody_and_switches_them_off(olive: Visitor) -> None:
    page = olive.page
    page.goto("/people")
    page.get_by_text("Add a team").click()
    page.locator("#team-name").fill("Zebra")
    page.get_by_role("button", name="Add team").click()
    expect(page.get_by_role("status").filter(has_text="Saved")).to_contain_text("Zebra")
    page.get_by_label("E-mail").fill("zoe@acme.com")
    page.locator("#name").fill("Zoe")
    page.locator("#team").select_option("Zebra")
    page.get_by_role("button", name="Add person").click()
    card = page.get_by_role("region", name="Zebra")
    expect(card).to_contain_text("Zoe")
    card.locator("tbody summary").click()
    olive.require_calm()
    card.locator("tbody").get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("region", name="Zebra")).to_contain_text("Nobody is in this team yet")
    page.get_by_role("searchbox").fill("nobody is called so")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nothing found")).to_be_visible()
    olive.require_calm()


def test_a_member_sees_the_own_team_on_a_phone(
    acme: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(acme, viewport=NARROW, java_script_enabled=False).sign_in(MEMBER)
    page = visitor.page
    page.goto("/people")
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    expect(page.get_by_role("button", name="Add person")).to_have_count(0)
    expect(page.locator("section.card")).to_have_count(1)
    expect(page.locator("section.card")).not_to_contain_text("@")
