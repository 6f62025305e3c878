"""Adoption in a browser: the company, a team, a lead, phones, both themes, and without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from adopters import LEAD, adopters
from browsers import NARROW, Visitor, expect
from companies import Company, company
from tollkeeper import clock

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def adopting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    colleagues, entries = adopters(clock.now_us())
    with company(tmp_path_factory.mktemp("adopting"), entries, colleagues=colleagues) as made:
        yield made


def test_the_company_then_one_team(adopting: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(adopting).sign_in()
    page = visitor.page
    page.get_by_role("link", name="Adoption", exact=True).click()
    expect(page.get_by_role("heading", name="Adoption", level=1)).to_be_visible()
    expect(page.locator("#figures")).to_contain_text("Active this week")
    expect(page.locator("#cohorts svg.heat rect").first).to_be_visible()
    legal = page.locator("#teams tbody tr").filter(has_text="Legal")
    expect(legal).to_contain_text("hidden")
    assert page.locator("main").get_by_text("@acme.com").count() == 0
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("region", name="Cohorts")).to_be_visible()
    visitor.require_calm()
    page.locator("#teams").get_by_role("link", name="Engineering").click()
    expect(page.locator("#head")).to_contain_text("Engineering")
    expect(page.locator("#teams")).to_have_count(0)
    expect(page.locator("#cohorts")).to_have_count(0)
    visitor.require_calm()
    page.goto("/adoption?team=Legal")
    expect(page.locator("#small")).to_contain_text("4 people are too few")
    visitor.require_calm()


def test_a_lead_sees_the_own_team_and_a_member_none(
    adopting: Company, visit: Callable[..., Visitor]
) -> None:
    page = visit(adopting).sign_in(LEAD).page
    page.goto("/adoption")
    expect(page.locator("#head")).to_contain_text("Engineering")
    assert page.locator("#head select").count() == 0
    assert page.goto("/adoption?team=Design").status == 422
    page = visit(adopting).sign_in("sales1@acme.com").page
    expect(page.get_by_role("link", name="Adoption", exact=True)).to_have_count(0)
    assert page.goto("/adoption").status == 403


def test_it_works_without_scripts(adopting: Company, visit: Callable[..., Visitor]) -> None:
    page = visit(adopting, java_script_enabled=False).page
    page.goto(adopting.link())
    page.get_by_role("button", name="Sign in").click()
    page.goto("/adoption")
    page.locator("#head summary").click()
    page.get_by_label("Team", exact=True).select_option("Design")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#head")).to_contain_text("Design")
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    assert "Design" in saved.value.path().read_text()


def test_a_new_installation_says_who_is_counted(
    newcomer: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(newcomer, viewport=NARROW).sign_in()
    visitor.page.goto("/adoption")
    expect(visitor.page.locator("#small")).to_contain_text("10 people are needed")
    visitor.require_calm()


@pytest.mark.parametrize(("theme", "width"), [("light", 360), ("dark", 1440)])
def test_it_can_be_read_and_nothing_sticks_out(
    adopting: Company, visit: Callable[..., Visitor], theme: str, width: int
) -> None:
    visitor = visit(adopting, color_scheme=theme, viewport={"width": width, "height": 900})
    page = visitor.sign_in().page
    for address in ("/adoption", "/adoption?team=Engineering", "/adoption?team=Legal"):
        page.goto(address)
        visitor.require_calm()
        page.evaluate(
            "() => document.querySelectorAll('details').forEach((n) => { n.open = true; })"
        )
        assert visitor.faint_texts() == {}, address
