"""Savings in a browser: findings, their calls, a what-if without scripts, phones, both themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from browsers import Visitor, expect
from companies import Company, company, demo_company_entries
from savings_desks import DAY_US, MINUTE_US, call
from tollkeeper import clock
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.providers.price_data import shipped_price_book

pytestmark = pytest.mark.browser


def waste(now_us: int) -> Iterator[LedgerEntry]:
    """A job that ran away two days ago, and a session that comes back too late."""
    book = shipped_price_book()
    minute = (now_us - 2 * DAY_US) // MINUTE_US * MINUTE_US
    job = {"provider": "openai", "team": "Search", "key_id": "kbIndexr", "key_name": "indexer"}
    tokens = {"input": 3_000, "output": 40}
    for at in range(60):
        yield call(minute + at * 4_000_000, "gpt-6.1-sol", tokens, book=book, tool="cron", **job)
    written = {"input": 50, "cache_write": 60_000, "output": 300}
    for at in range(3):
        back_us = minute + at * 20 * MINUTE_US
        yield call(back_us, "claude-opus-5-5", written, book=book, team="Platform")


@pytest.fixture(scope="module")
def wasteful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    entries = [*demo_company_entries(600), *waste(clock.now_us())]
    with company(tmp_path_factory.mktemp("wasteful"), entries) as made:
        yield made


def test_findings_lead_to_calls_and_a_what_if_answers(
    wasteful: Company, visit: Callable[..., Visitor]
) -> None:
    visitor = visit(wasteful).sign_in()
    page = visitor.page
    page.get_by_role("link", name="Savings", exact=True).click()
    expect(page.locator("#figures")).to_contain_text("Caches saved")
    visitor.require_calm()
    page.get_by_label("As calls of").fill("openai/gpt-5.4-mini")
    page.get_by_label("Calls of", exact=True).select_option("openai/*")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#answer")).to_contain_text("less")
    page.locator("#retry-storms").get_by_role("link", name="indexer").click()
    expect(page.locator("#rows tbody tr").first).to_contain_text("gpt-6.1-sol")
    visitor.require_calm()


@pytest.mark.parametrize(("theme", "width"), [("light", 360), ("dark", 1440)])
def test_it_can_be_read_and_nothing_sticks_out(
    wasteful: Company, visit: Callable[..., Visitor], theme: str, width: int
) -> None:
    visitor = visit(wasteful, color_scheme=theme, viewport={"width": width, "height": 900})
    page = visitor.sign_in().page
    page.goto("/savings?to_model=openai/gpt-5.4-mini")
    visitor.require_calm()
    page.evaluate("() => document.querySelectorAll('details').forEach((n) => { n.open = true; })")
    assert visitor.faint_texts() == {}
