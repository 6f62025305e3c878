"""Eight questions that people come with, answered from the first page within a few clicks.

Each begins on Overview and uses what anybody sees there. What the page says is held against
SQL on the ledger itself, and against what was planted in the made-up company.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator

from browsers import Page, Visitor, expect
from demo_companies import DemoCompany
from tollkeeper.demo.prices import price_book
from tollkeeper.demo.services import RUNAWAY
from tollkeeper.demo.stories import DAY_US

pytestmark = pytest.mark.browser

CENT = Decimal("0.01")
MONEY = re.compile(r"(-?)\$([\d,]+(?:\.\d+)?)")
GROWN = {
    "model": """
        WITH new AS (SELECT model_served, sum(cost_usd) AS cost FROM last_30_days GROUP BY 1),
        old AS (SELECT model_served, sum(cost_usd) AS cost FROM thirty_days_before GROUP BY 1)
        SELECT model_served FROM new LEFT JOIN old USING (model_served)
        ORDER BY new.cost - coalesce(old.cost, 0) DESC NULLS LAST LIMIT 1""",
    "team": """
        WITH new AS (SELECT team, sum(cost_usd) AS cost FROM last_30_days GROUP BY 1),
        old AS (SELECT team, sum(cost_usd) AS cost FROM thirty_days_before GROUP BY 1)
        SELECT team FROM new LEFT JOIN old USING (team)
        ORDER BY new.cost - coalesce(old.cost, 0) DESC NULLS LAST LIMIT 1""",
}
"""Who costs most more than in the thirty days before, up to the same point."""


@pytest.fixture(scope="module")
def visitor(browser: Browser, meridian: DemoCompany) -> Iterator[Visitor]:
    """The demo's admin, signed in once for all questions."""
    made = Visitor(browser, meridian).sign_in("")
    yield made
    made.context.close()


@pytest.fixture
def page(visitor: Visitor) -> Iterator[Page]:
    """The first page, as somebody finds it who comes with a question."""
    visitor.page.goto("/")
    yield visitor.page
    assert visitor.faults == []


def amounts_of(text: str | None) -> list[Decimal]:
    """Read all amounts of money in a text."""
    found = MONEY.findall(text or "")
    return [Decimal(sign + digits.replace(",", "")) for sign, digits in found]


def amount_of(node: Locator) -> Decimal:
    """Read the exact amount behind a figure: its title says every digit."""
    return amounts_of(node.get_attribute("title"))[0]


def day_of(at_us: int) -> date:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).date()


def named(rows: list[tuple[Any, ...]]) -> str:
    [(name,)] = rows
    return str(name)


def written(day: date) -> str:
    """Write a day as tables do."""
    return f"{day:%b} {day.day}"


def go(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
    page.wait_for_load_state()  # the navigation may be there before the page itself


def cut_by(page: Page, name: str) -> None:
    found = page.get_by_role("navigation", name="Break down by")
    found.get_by_role("link", name=name, exact=True).click()
    expect(page.locator("#parts thead th").first).to_have_text(name)


# ------------------------------------------------------------------ the questions


def test_what_did_we_spend_this_month_and_where_will_it_end(
    page: Page, meridian: DemoCompany
) -> None:
    month = page.locator(".tiles.big .tile").first
    [(spent,)] = meridian.ask("SELECT sum(cost_usd) FROM this_month")
    assert amount_of(month.locator(".v a")) == spent
    about, low, high = amounts_of(month.locator(".ahead").inner_text())
    assert spent.quantize(CENT) <= low <= about <= high
    plain = spent + rest_of_month(meridian)
    # A trend and what ran wild weigh most on the first of a month: 24 % was the most of 22 days.
    assert abs(about - plain) <= plain / 3, "another method comes to something else altogether"
    page.get_by_text("Show as table").click()
    rows = page.locator("#days tfoot tr")
    days = [amounts_of(text)[0] for text in rows.locator("td:last-child").all_inner_texts()]
    assert abs(sum(days) + spent - about) <= CENT * (len(days) + 1)
    page.get_by_role("link", name="Month", exact=True).click()
    expect(page.locator("#days tbody tr")).to_have_count(datetime.now(UTC).day)
    assert page.locator("#plot .ahead").count() == 1
    assert page.locator("#days tfoot tr").count() == len(days)


def rest_of_month(meridian: DemoCompany) -> Decimal:
    """Guess plainly: each day that is left costs what its weekday did in the last four weeks."""
    today = datetime.now(UTC).date()
    found: dict[int, Decimal] = dict(
        meridian.ask(
            "SELECT isodow(started_at), sum(cost_usd) / 4 FROM entries WHERE started_at::DATE"
            " BETWEEN ?::DATE - 28 AND ?::DATE - 1 GROUP BY 1",
            *(today, today),
        )
    )
    left, day = Decimal(0), today
    while day.month == today.month:
        left += Decimal(found.get(day.isoweekday(), 0))
        day += timedelta(days=1)
    return left


def test_which_team_and_model_grew_most_and_why(page: Page, meridian: DemoCompany) -> None:
    movers = page.locator("#movers tbody tr")
    expect(movers.filter(has_text="+").first.locator("th")).to_have_text(
        named(meridian.ask(GROWN["model"]))
    )
    page.locator("#movers").get_by_role("link", name="Why?").click()
    expect(page.get_by_role("heading", name="What changed", level=1)).to_be_visible()
    page.get_by_role("navigation", name="Break down by").get_by_text("Team", exact=True).click()
    expect(page.locator("#h-rows")).to_have_text("By team")
    team = named(meridian.ask(GROWN["team"]))
    row = page.locator("#rows tbody tr").filter(has_text="+").filter(has_text=team).first
    before, now, difference = (
        amount_of(row.locator(where))
        for where in ("td:nth-child(2) a", "td:nth-child(3) a", "td:nth-child(4)")
    )
    assert now - before == difference > 0
    assert (now,) in meridian.ask("SELECT sum(cost_usd) FROM last_30_days WHERE team = ?", team)
    every = page.locator("#rows tbody td:nth-child(4)")
    assert difference == max(amount_of(each) for each in every.all())
    causes = amounts_of(row.locator("td").last.inner_text())
    assert causes, "and why"
    assert max(causes) > 0


def test_which_customer_costs_most_per_conversation(page: Page, meridian: DemoCompany) -> None:
    go(page, "Explore")
    page.get_by_role("navigation", name="Views").get_by_text("Cost per conversation").click()
    expect(page.locator("#h-picture")).to_have_text("Cost per session by customer")
    expect(page.locator("#parts summary")).to_have_text("Largest first")
    first = page.locator("#parts tbody tr").filter(has_not_text="No customer").first
    [(customer, cost)] = meridian.ask(
        "SELECT end_customer, sum(cost_usd) / count(DISTINCT nullif(session_id, '')) AS each"
        " FROM last_30_days WHERE end_customer != '' GROUP BY 1 ORDER BY 2 DESC NULLS LAST LIMIT 1"
    )
    expect(first.locator("th")).to_contain_text(customer)
    assert amount_of(first.locator("td").last.locator("[title]")) == pytest.approx(Decimal(cost))


def test_which_key_ran_away_on_a_tuesday(page: Page, meridian: DemoCompany) -> None:
    tuesday = day_of(meridian.told.stories.runaway.from_us)
    assert tuesday.isoweekday() == 2
    plot = page.locator("#plot")
    box, bars = plot.bounding_box(), int(plot.get_attribute("aria-valuemax") or 0)
    assert box
    place = 29 - (datetime.now(UTC).date() - tuesday).days
    plot.click(position={"x": box["width"] * (place + 0.5) / bars, "y": box["height"] / 2})
    expect(page.locator("#head .sub")).to_contain_text(written(tuesday))
    page.get_by_role("link", name="Break down").click()
    page.get_by_role("navigation", name="Lenses").get_by_text("Key", exact=True).click()
    first = page.locator("#parts tbody tr").first
    expect(first.locator("th")).to_contain_text(RUNAWAY)
    [(key, cost)] = meridian.ask(
        "SELECT key_name, sum(cost_usd) FROM entries WHERE started_at::DATE = ?"
        " GROUP BY key_id, key_name ORDER BY 2 DESC NULLS LAST LIMIT 1",
        tuesday,
    )
    assert key == RUNAWAY
    assert amount_of(first.locator("td").last.locator("a")) == cost


def test_is_the_support_team_still_using_claude_code(page: Page, meridian: DemoCompany) -> None:
    cut_by(page, "Team")
    page.locator("#parts").get_by_role("link", name="Support", exact=True).click()
    expect(page.locator(".chip")).to_contain_text("Support")
    cut_by(page, "Tool")
    row = page.locator("#parts tbody tr").filter(has=page.get_by_text("claude-code", exact=True))
    expect(row).to_contain_text("down 100%")
    expect(row.locator("td:nth-child(3)")).to_have_text("0")
    page.get_by_role("link", name="90 days").click()
    expect(row).not_to_contain_text("down 100%")
    page.get_by_text("Show as table").click()
    heads = page.locator("#days thead th").all_inner_texts()
    column = heads.index("claude-code") + 1
    used = page.locator("#days tbody tr").filter(has=page.locator(f"td:nth-child({column}) a"))
    [(last,)] = meridian.ask(
        "SELECT max(started_at::DATE) FROM entries"
        " WHERE team = 'Support' AND tool = 'claude-code' AND cost_usd > 0"
    )
    expect(used.last.locator("th")).to_contain_text(written(last))
    assert last < day_of(meridian.told.stories.support_stops_day * DAY_US)


def test_how_much_did_caching_save(page: Page, meridian: DemoCompany) -> None:
    tile = page.locator(".tiles.rest .tile").filter(
        has=page.get_by_text("Cache savings", exact=True)
    )
    [(saved,)] = meridian.ask("SELECT sum(saved_usd) FROM last_30_days")
    assert amount_of(tile.locator(".v a")) == saved
    tile.locator(".v a").click()
    told = page.locator("#prompt-caches .pad b").last
    assert amount_of(told) == saved


def test_what_would_last_month_have_cost_on_the_cheaper_model(
    page: Page, meridian: DemoCompany
) -> None:
    go(page, "Savings")
    page.get_by_label("Other dates").click()
    page.get_by_role("link", name="Last month").click()
    expect(page.get_by_label("Other dates")).to_have_text("Last month")
    page.get_by_role("link", name="what would it have cost on another model?").click()
    page.get_by_label("Calls of", exact=True).select_option("openai/gpt-5.4-mini")
    page.get_by_label("As calls of").fill("openai/gpt-5.4-nano")
    page.get_by_role("button", name="Compare").click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("less")
    now, then, less = amounts_of(answer.inner_text())
    cost, *tokens = meridian.ask(
        "SELECT sum(cost_usd), sum(input_tokens), sum(cache_read_tokens),"
        " sum(output_tokens), sum(reasoning_tokens) FROM last_month"
        " WHERE provider = 'openai' AND model_served = 'gpt-5.4-mini'"
    )[0]
    assert abs(now - cost) <= CENT
    prices = prices_of(meridian, "openai", "gpt-5.4-nano")
    per_token = (prices["input"], prices["cache_read"], prices["output"], prices["output"])
    exact = sum(count * price for count, price in zip(tokens, per_token, strict=True)) / 1_000_000
    assert abs(then - exact) <= CENT
    assert abs(now - then - less) <= CENT


def prices_of(meridian: DemoCompany, provider: str, model: str) -> dict[str, Decimal]:
    """Read a model's prices for a million tokens from the shipped price book."""
    listed = price_book(meridian.told.stories).show(provider, model, meridian.now_us)
    assert listed is not None
    row = next(row for row in listed.rows if not row.condition and not row.above_tokens)
    return {name: Decimal(price[0]) for name, price in row.prices.items()}


def test_what_do_i_book_for_a_team(page: Page, meridian: DemoCompany) -> None:
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    go(page, "Statements")
    heads = page.locator("#teams thead th").all_inner_texts()
    row = page.locator("#teams tbody tr").filter(has=page.get_by_text("Growth", exact=True))
    cell = row.locator("td").nth(heads.index(f"{last:%B %Y}") - 1).locator("a")
    [(booked,)] = meridian.ask("SELECT sum(cost_usd) FROM last_month WHERE team = 'Growth'")
    assert amount_of(cell) == booked
    cell.click()
    expect(page.locator("#h-booked")).to_have_text("Booked for Growth")
    assert amount_of(page.locator("#booked b")) == booked


def test_the_copy_of_the_ledger_is_the_ledger(meridian: DemoCompany) -> None:
    found: list[tuple[Any, ...]] = meridian.ask(
        "SELECT count(*), count(DISTINCT entry_id) FROM entries"
    )
    assert found == [(meridian.entries, meridian.entries)]
