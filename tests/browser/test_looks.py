"""How the pages look and behave for everybody: themes, zones, widths, keyboards, paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
from playwright.sync_api import Browser, Page

from browsers import NARROW, Visitor, expect, newest_call
from companies import Company
from demo_companies import DemoCompany
from page_list import SIGNED_OUT, every_page

pytestmark = pytest.mark.browser

FIRST_VISIT_BYTES_MAX = 120_000
LATER_VISIT_BYTES_MAX = 40_000


WIDTHS = (360, 768, 1440, 2560)


@pytest.fixture(scope="module")
def pages(browser: Browser, meridian: DemoCompany) -> list[str]:
    """The addresses of all pages of the table of routes, and of two calls that came to nothing."""
    visitor = Visitor(browser, meridian).sign_in("")
    found = every_page(visitor.page)
    found.append(newest_call(visitor.page, "outcome:upstream_error"))
    found.append(newest_call(visitor.page, "outcome:refused"))
    visitor.context.close()
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(
    meridian: DemoCompany, visit: Callable[..., Visitor], pages: list[str], theme: str
) -> None:
    visitor = visit(meridian, color_scheme=theme).sign_in("")
    page = visitor.page
    for address in pages:
        page.goto(address)
        page.evaluate(
            "() => document.querySelectorAll('details').forEach((n) => { n.open = true; })"
        )
        assert visitor.faint_texts() == {}, address
    page.context.clear_cookies()
    for address in SIGNED_OUT:
        page.goto(address)
        assert visitor.faint_texts() == {}, address


def require_calm(visitor: Visitor, pages: list[str]) -> None:
    visitor.sign_in("")
    for address in pages:
        visitor.page.goto(address)
        visitor.require_calm()


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_and_nothing_moves(
    meridian: DemoCompany, visit: Callable[..., Visitor], pages: list[str], width: int
) -> None:
    """Every other page at each width, so that each is looked at narrow and wide."""
    visitor = visit(meridian, viewport={"width": width, "height": 900})
    require_calm(visitor, pages[WIDTHS.index(width) % 2 :: 2])


@pytest.mark.long
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_of_any_page(
    meridian: DemoCompany, visit: Callable[..., Visitor], pages: list[str], width: int
) -> None:
    require_calm(visit(meridian, viewport={"width": width, "height": 900}), pages)


def test_a_new_installation_fits_a_phone(newcomer: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(newcomer, viewport=NARROW).sign_in()
    for address in ("/", "/calls", "/budgets", "/models", "/keys", "/people", "/me"):
        visitor.page.goto(address)
        visitor.require_calm()


def test_the_theme_is_remembered(olive: Visitor) -> None:
    page = olive.page
    page.goto("/calls?filter=outcome:ok")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert "filter=outcome" in page.url
    dark = page.evaluate(ground)
    assert dark != light
    page.goto("/")
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="System colours").click()
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")
    assert page.evaluate(ground) == light


def test_the_zone_is_remembered_and_moves_the_days(olive: Visitor) -> None:
    page = olive.page
    page.goto("/calls?tz=UTC")
    before = page.locator("#rows a.cover").first.get_attribute("title") or ""
    page.locator(".zone summary").click()
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Use this zone").click()
    expect(page.locator(".zone summary")).to_have_text("Asia/Tokyo")
    after = page.locator("#rows a.cover").first.get_attribute("title") or ""
    assert before.endswith("UTC")
    assert after.endswith("JST")
    page.goto("/")
    expect(page.locator(".zone summary")).to_have_text("Asia/Tokyo")
    page.goto("/?tz=UTC")
    expect(page.locator(".zone summary")).to_have_text("UTC")
    assert olive.faults == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    seen = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "() => { const n = document.activeElement, s = getComputedStyle(n);"
                " return [n.id || n.textContent.trim().slice(0, 20), s.outlineStyle]; }"
            )[0]
        )
        assert page.evaluate(
            "() => { const n = document.activeElement; return n === document.body ||"
            " getComputedStyle(n).outlineStyle !== 'none' || n.matches('.tabs input'); }"
        ), page.evaluate("() => document.activeElement.outerHTML.slice(0, 120)")
        if "plot" in seen:
            break
    assert {"plot", "live", "period-1", "by-1"} <= seen
    page.get_by_role("link", name="Calls", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()


def test_every_page_works_without_scripts(acme: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(acme, java_script_enabled=False).sign_in()
    page = visitor.page
    assert page.locator("#plot path.bar").count() > 6
    page.get_by_role("link", name="Team", exact=True).click()
    expect(page.get_by_role("heading", name="Daily cost by team")).to_be_visible()
    page.get_by_text("Show as table").click()
    expect(page.locator("#days")).to_be_visible()
    page.get_by_label("Other dates").click()
    page.get_by_role("button", name="Show", exact=True).click()
    assert "from=" in page.url
    page.goto("/calls")
    page.locator("#filter").click()
    page.get_by_label("Tool").fill("codex")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".chip")).to_contain_text("codex")
    page.locator("#rows a.cover").first.click()
    expect(page.get_by_role("heading", name="What it cost, line by line")).to_be_visible()
    page.goto("/keys")
    page.get_by_label("Name", exact=True).fill("without scripts")
    page.get_by_role("button", name="Issue key").click()
    expect(page.get_by_role("region", name="The new key")).to_contain_text("tk_live_")
    expect(page.locator("button.copy").first).to_be_hidden()
    page.get_by_role("button", name="Dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_first_visit_is_light(acme: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(acme).sign_in()
    page = visitor.page
    received = {"bytes": 0}
    session = visitor.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on(
        "Network.loadingFinished",
        lambda event: received.update(bytes=received["bytes"] + event["encodedDataLength"]),
    )
    session.send("Network.clearBrowserCache")
    page.goto("/")
    _until_quiet(page, received)
    assert 5_000 < received["bytes"] < FIRST_VISIT_BYTES_MAX
    received["bytes"] = 0
    page.goto("/")
    _until_quiet(page, received)
    assert 1_000 < received["bytes"] < LATER_VISIT_BYTES_MAX


def _until_quiet(page: Page, received: Mapping[str, int]) -> None:
    """Wait until nothing more comes: a page may be there before its bytes are reported."""
    before = -1
    while before != received["bytes"] or not before:
        before = received["bytes"]
        page.wait_for_timeout(500)


def test_motion_is_only_for_those_who_want_it(acme: Company, visit: Callable[..., Visitor]) -> None:
    for wanted, expected in (("no-preference", "tick"), ("reduce", "none")):
        visitor = visit(acme, reduced_motion=wanted).sign_in()
        name = visitor.page.evaluate(
            "() => { const n = document.querySelector('[data-num]'); n.classList.add('ticked');"
            " return getComputedStyle(n).animationName; }"
        )
        assert name == expected


def test_paper_has_the_figures_and_none_of_the_controls(olive: Visitor) -> None:
    page = olive.page
    page.goto("/")
    page.emulate_media(media="print", color_scheme="dark")
    for hidden in (".side", ".controls", "#live", ".switch", ".why"):
        expect(page.locator(hidden).first).to_be_hidden()
    for shown in (".tiles.big", "#plot", "#parts table", "#recent table"):
        expect(page.locator(shown)).to_be_visible()
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert olive.faint_texts() == {}
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF-")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 6


def test_high_contrast_keeps_the_colours_that_mean_something(
    acme: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(acme, forced_colors="active").sign_in()
    fills = visitor.page.locator("#plot path.bar").evaluate_all(
        "ns => [...new Set(ns.map((n) => getComputedStyle(n).fill))]"
    )
    assert len(fills) > 3
    visitor.require_calm()
