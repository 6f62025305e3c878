"""What happens is on the page at once, without loading it again, and without getting in the way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator

from browsers import Visitor, expect
from companies import Company, company, demo_company_entries

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company that is called while its pages are open."""
    with company(tmp_path_factory.mktemp("busy"), demo_company_entries(300)) as made:
        yield made


@pytest.fixture
def watcher(busy: Company, browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser, busy).sign_in()
    yield visitor
    visitor.context.close()


def newest(visitor: Visitor) -> str:
    """Give the entry that is on top of the list."""
    return visitor.page.locator("tr[data-row]").first.get_attribute("data-row") or ""


def until_live(visitor: Visitor) -> Locator:
    pill = visitor.page.locator("#live")
    expect(pill).to_have_attribute("data-state", "on")
    visitor.page.evaluate("() => { window.stayed = true; }")
    return pill


def test_a_call_shows_up_on_the_open_list(watcher: Visitor) -> None:
    page = watcher.page
    page.goto("/calls")
    until_live(watcher)
    before, requests = newest(watcher), int(page.locator('[data-num="Requests"]').inner_text())
    assert watcher.company.call(headers={"x-tollkeeper-tags": "feature=live"}).status == 200
    expect(page.locator("tr[data-row]").first).not_to_have_attribute("data-row", before)
    expect(page.locator("tr[data-row]").first).to_contain_text("olive@acme.com")
    expect(page.locator('[data-num="Requests"]')).to_have_text(str(requests + 1))
    assert page.evaluate("() => window.stayed")
    watcher.require_calm()


def test_figures_chart_and_breakdown_of_the_first_page_follow(watcher: Visitor) -> None:
    page = watcher.page
    page.goto("/")
    until_live(watcher)
    figure = page.locator('[data-num="Requests"]')
    before, today = int(figure.inner_text()), page.locator('[data-tick="today"]').inner_text()
    for _ in range(3):
        assert watcher.company.call().status == 200
    expect(figure).to_have_text(str(before + 3))
    expect(page.locator("#recent tr[data-row]").first).to_contain_text("echo")
    expect(page.locator("#parts tfoot")).to_contain_text(str(before + 3))
    assert page.evaluate("() => window.stayed")
    assert today.startswith(("$", "<$"))
    watcher.require_calm()


def test_filters_hold_for_what_arrives(watcher: Visitor) -> None:
    page = watcher.page
    page.goto("/calls?filter=tool:claude-code")
    until_live(watcher)
    before = newest(watcher)
    assert watcher.company.call().status == 200
    other = watcher.new_page()
    other.goto("/calls")
    expect(other.locator("tr[data-row]").first).to_contain_text("echo")
    page.wait_for_timeout(1_500)
    assert newest(watcher) == before


def test_pause_stops_it_and_goes_on_where_it_was(watcher: Visitor) -> None:
    page = watcher.page
    page.goto("/calls")
    pill = until_live(watcher)
    pill.click()
    expect(pill).to_have_text("Paused")
    expect(pill).to_have_attribute("aria-pressed", "true")
    before = newest(watcher)
    assert watcher.company.call().status == 200
    page.wait_for_timeout(2_500)
    assert newest(watcher) == before
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Paused")
    page.go_back()
    page.locator("#live").click()
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    expect(page.locator("tr[data-row]").first).not_to_have_attribute("data-row", before)


def test_nothing_moves_under_the_pointer(watcher: Visitor) -> None:
    page = watcher.page
    page.goto("/calls")
    until_live(watcher)
    page.locator("tr[data-row]").nth(2).hover()
    before = newest(watcher)
    requests = page.locator('[data-num="Requests"]')
    count = int(requests.inner_text())
    assert watcher.company.call().status == 200
    expect(requests).to_have_text(str(count + 1))
    assert newest(watcher) == before
    page.mouse.move(5, 5)
    expect(page.locator("tr[data-row]").first).not_to_have_attribute("data-row", before)
    assert watcher.faults == []


def test_a_new_installation_comes_to_life(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with company(tmp_path_factory.mktemp("fresh")) as fresh:
        visitor = Visitor(browser, fresh).sign_in()
        page = visitor.page
        expect(page.locator("#start")).to_be_visible()
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        assert fresh.call().status == 200
        expect(page.locator("#recent tr[data-row]").first).to_contain_text("echo")
        expect(page.locator("#start")).to_have_count(0)
        assert visitor.faults == []
        visitor.context.close()
