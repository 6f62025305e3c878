"""Budgets by clicking through: made, tried, changed, ended; a call that a budget refuses."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from browsers import NARROW, Page, Visitor, expect
from companies import MEMBER, Company

pytestmark = pytest.mark.browser

REFUSED = 402


def make(page: Page, name: str, limit: str, **fields: str) -> str:
    """Make a budget on the page, and give its address."""
    page.goto("/budgets")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Limit", exact=True).fill(limit)
    for label, text in fields.items():
        field = page.get_by_label(label.replace("_", " "), exact=True)
        if field.evaluate("(node) => node.tagName") == "SELECT":
            field.select_option(text)
        else:
            field.fill(text)
    page.get_by_role("button", name="Make budget").click()
    expect(page.get_by_role("status").filter(has_text="The budget is made")).to_be_visible()
    return page.url.partition("?")[0]


def until_called(company: Company, key: str, status: int) -> None:
    """Call until a change has arrived at the gateway."""
    deadline_s = time.monotonic() + 30
    while (answer := company.call(key)).status != status:
        assert time.monotonic() < deadline_s, answer
        time.sleep(0.2)


def test_an_empty_installation_says_how_to_make_one(
    newcomer: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(newcomer, viewport=NARROW).sign_in()
    visitor.page.goto("/budgets")
    expect(visitor.page.get_by_text("Nothing is capped yet")).to_be_visible()
    visitor.require_calm()
    assert visitor.faint_texts() == {}


def test_a_budget_is_made_refuses_is_raised_and_ended(olive: Visitor) -> None:
    page, company = olive.page, olive.company
    key = company.issue("capped", MEMBER)
    key_id = key.split("_")[2]
    address = make(page, "Three calls", "3 requests", Whose_calls="key", Which_one=key_id)
    olive.require_calm()
    time.sleep(2.5)  # from then on it counts
    until_called(company, key, REFUSED)

    page.goto("/budgets")
    row = page.locator("#budgets tbody tr").filter(has_text="Three calls")
    expect(row).to_contain_text("0 requests")
    row.get_by_role("link", name="Three calls", exact=True).click()
    expect(page.get_by_role("heading", name="Three calls", level=1)).to_be_visible()
    expect(page.locator("#figures")).to_contain_text("Used up")
    olive.require_calm()

    page.get_by_label("Limit", exact=True).fill("1000 requests")
    page.get_by_role("button", name="Change budget").click()
    expect(page.get_by_role("status").filter(has_text="The budget is changed")).to_be_visible()
    until_called(company, key, 200)
    page.get_by_role("link", name="Calls that counted").click()
    expect(page.locator("#rows tbody tr").first).to_contain_text("echo")

    page.goto(address)
    page.locator("#change summary").click()
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("status").filter(has_text="The budget has ended")).to_be_visible()
    page.goto("/budgets")
    expect(page.locator("#budgets").get_by_text("Three calls")).to_have_count(0)
    olive.require_calm()


def test_a_budget_is_tried_before_it_is_made(olive: Visitor) -> None:
    page = olive.page
    page.goto("/budgets")
    page.get_by_label("Whose calls").select_option("each user")
    page.get_by_label("Limit", exact=True).fill("0.10 USD")
    page.get_by_label("For how long").select_option("day")
    page.get_by_role("button", name="Try on the last 30 days").click()
    trial = page.locator("#trial")
    expect(trial).to_contain_text(re.compile(r"It would have refused [\d,]+ calls?"))
    expect(trial.get_by_role("table")).to_have_count(2)
    assert page.get_by_label("Limit", exact=True).input_value() == "0.10 USD"
    olive.require_calm()
    assert page.locator("#budgets").get_by_text("0.10 USD").count() == 0


def test_the_past_is_tried_from_a_budgets_own_page(olive: Visitor) -> None:
    page = olive.page
    address = make(page, "Month of all", "1 USD", What_it_does="observe")
    time.sleep(2.5)  # from then on it counts
    page.get_by_role("link", name="Last 90 days").click()
    expect(page.locator("#trial")).to_contain_text("It would have refused")
    assert page.url.startswith(address)
    expect(page.locator("#observed")).to_contain_text("Dry run")
    olive.require_calm()


def test_two_admins_do_not_overwrite_each_other(
    acme: Company, olive: Visitor, visit: Callable[..., Visitor]
) -> None:
    address = make(olive.page, "Contested", "50 USD", For_how_long="lifetime")
    other = visit(acme).sign_in()
    other.page.goto(address)
    olive.page.get_by_label("Limit", exact=True).fill("60 USD")
    olive.page.get_by_role("button", name="Change budget").click()
    expect(olive.page.get_by_role("status").filter(has_text="is changed")).to_be_visible()
    other.page.get_by_label("Limit", exact=True).fill("70 USD")
    other.page.get_by_role("button", name="Change budget").click()
    expect(other.page.get_by_role("alert")).to_contain_text("Somebody else has changed")
    assert other.page.get_by_label("Limit", exact=True).input_value() == "70 USD"
    assert [fault for fault in other.faults if "409" not in fault] == []
    other.page.get_by_role("button", name="Change budget").click()
    expect(other.page.get_by_role("status").filter(has_text="is changed")).to_be_visible()


def test_what_is_wrong_is_said_where_it_is_typed(olive: Visitor) -> None:
    page = olive.page
    page.goto("/budgets")
    page.get_by_label("Limit", exact=True).fill("-5 USD")
    page.get_by_role("button", name="Make budget").click()
    expect(page.get_by_role("alert")).to_contain_text("The limit is 0 or more.")
    assert page.get_by_label("Limit", exact=True).input_value() == "-5 USD"


def test_it_works_without_scripts(acme: Company, visit: Callable[..., Visitor]) -> None:
    visitor = visit(acme, java_script_enabled=False)
    page = visitor.page
    page.goto(acme.link())
    page.get_by_role("button", name="Sign in").click()
    make(page, "Without scripts", "5000 USD")
    page.get_by_label("Limit", exact=True).fill("6000 USD")
    page.get_by_role("button", name="Change budget").click()
    expect(page.get_by_role("status").filter(has_text="is changed")).to_be_visible()
    page.get_by_role("link", name="Last 30 days").click()
    expect(page.locator("#trial")).to_be_visible()


def test_what_is_spent_moves_while_the_page_is_open(olive: Visitor) -> None:
    page, company = olive.page, olive.company
    key = company.issue("watched", MEMBER)
    make(page, "Watched", "5000 requests", Whose_calls="key", Which_one=key.split("_")[2])
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    time.sleep(2.5)
    deadline_s = time.monotonic() + 60
    spent = page.locator("#figures [data-num=spent]")
    while spent.inner_text().startswith("0 "):
        assert time.monotonic() < deadline_s, "the page did not follow"
        assert company.call(key).status == 200
        time.sleep(1)
    olive.require_calm()


def test_a_member_sees_their_own_only(
    acme: Company, olive: Visitor, visit: Callable[..., Visitor]
) -> None:
    make(olive.page, "Everybody apart", "40 USD", Whose_calls="each user")
    visitor = visit(acme).sign_in(MEMBER)
    page = visitor.page
    page.goto("/budgets")
    expect(page.get_by_text("Everybody apart")).to_be_visible()
    assert page.get_by_role("button", name="Make budget").count() == 0
    page.goto("/me")
    visitor.require_calm()
    page.get_by_text("In Claude Code, below the prompt").click()
    expect(page.get_by_role("region", name="Claude Code's setting")).to_contain_text("statusLine")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_it_can_be_read_and_nothing_sticks_out(
    acme: Company, visit: Callable[..., Visitor], theme: str, width: int
) -> None:
    visitor = visit(acme, color_scheme=theme, viewport={"width": width, "height": 900}).sign_in()
    page = visitor.page
    one = make(page, f"Looked at in {theme}, {width} wide", "1 USD")
    for address in ("/budgets?show=all", one, f"{one}?replay=90"):
        page.goto(address)
        visitor.require_calm()
        page.evaluate(
            "() => document.querySelectorAll('details').forEach((n) => { n.open = true; })"
        )
        assert visitor.faint_texts() == {}, address


def test_the_keyboard_reaches_everything(olive: Visitor) -> None:
    page = olive.page
    address = make(page, "By keyboard", "10 USD")
    page.goto("/budgets")
    link = page.get_by_role("link", name="By keyboard", exact=True)
    link.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(address)
    page.locator("#change summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="End it")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="End it")).to_be_hidden()
