"""What happens is on the page at once, without loading it again, and without getting in the way."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator

from browsers import Visitor, expect
from companies import Company, company, demo_company_entries
from tollkeeper.reports.formatting import money_tile

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


def test_stopping_does_not_wait_for_open_pages(browser: Browser, tmp_path: Path) -> None:
    with company(tmp_path, TOLLKEEPER_TIMEOUTS__DRAIN_S="3600") as made:
        visitor = Visitor(browser, made).sign_in()
        until_live(visitor)
    expect(visitor.page.locator("#live")).not_to_have_attribute("data-state", "on")
    visitor.context.close()


AMOUNTS = (
    *("0", "0.000000001", "0.0099", "0.01", "0.0421", "0.9994", "0.9996", "1", "12.346", "184.27"),
    *("999.994", "999.996", "1000", "12216.48", "999999.4", "999999.6", "1240000", "99950000"),
    *("1234567890.12", "-3.5", "-12216.48"),
)


def test_a_figure_ticks_as_the_server_writes_it(watcher: Visitor) -> None:
    page = watcher.page
    events = "".join(
        f'event: figures\ndata: {{"tz":"UTC","today":{{"cost_usd":"{amount}"}}}}\n\n'
        for amount in AMOUNTS
    )
    page.add_init_script(
        "window.seen = []; addEventListener('DOMContentLoaded', () => new MutationObserver(() =>"
        " seen.push(document.querySelector('[data-tick=today]').textContent)).observe("
        " document.querySelector('[data-tick=today]'), {childList: true, characterData: true}))"
    )
    page.route(
        "**/events?*",
        lambda route: route.fulfill(
            status=200, content_type="text/event-stream", body=f"retry: 60000\n\n{events}"
        ),
    )
    page.goto("/?tz=UTC")
    last = money_tile(Decimal(AMOUNTS[-1]))
    expect(page.locator("[data-tick=today]")).to_have_text(last)
    expected = [money_tile(Decimal(amount)) for amount in AMOUNTS]
    changes = [each for each, before in zip(expected[1:], expected, strict=False) if each != before]
    assert page.evaluate("() => seen")[-len(changes) :] == changes
