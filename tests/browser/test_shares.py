"""How well the money is known: the figures, the calls behind them, and a call priced again."""

from __future__ import annotations

import re

import pytest

from browsers import Visitor, expect

pytestmark = pytest.mark.browser

COUNT = re.compile(r"[\d,]+")


def shown_of(olive: Visitor) -> int:
    """Give how many calls pass in all."""
    text = olive.page.locator(".pager .muted").inner_text()
    return int(COUNT.findall(text)[-1].replace(",", ""))


@pytest.mark.parametrize("name", ["Estimated", "Unpriced"])
def test_the_share_leads_to_exactly_those_calls(olive: Visitor, name: str) -> None:
    page = olive.page
    page.goto("/")
    tile = page.locator(".tiles.rest .tile").filter(has=page.get_by_text(name, exact=True))
    value = tile.locator(".v a")
    figure = value.inner_text()
    assert "$0" not in figure
    full = value.get_attribute("title") or ""
    value.click()
    expect(page.locator(".chip")).to_contain_text(name)
    rows = page.locator("#rows tbody tr")
    assert rows.count() > 0
    if name == "Unpriced":
        assert shown_of(olive) == int(COUNT.findall(full)[0].replace(",", ""))
        assert set(page.locator("#rows tbody tr .cost").all_inner_texts()) <= {"—"}
        expect(page.locator("#totals")).to_contain_text("tokens")
    else:
        assert all(
            text.startswith("~") for text in page.locator("#rows tbody tr .cost").all_inner_texts()
        )
    olive.require_calm()


def test_calls_are_found_by_basis_and_by_reason(olive: Visitor) -> None:
    page = olive.page
    page.goto("/calls?basis=unpriced")
    everything = shown_of(olive)
    page.locator("#filter").click()
    page.get_by_label("Reason").fill("unknown_model")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".chip")).to_have_count(2)
    assert 0 < shown_of(olive) <= everything
    page.goto("/calls?reason=no_such_reason")
    expect(page.locator("#rows")).to_contain_text("No calls in this period")
    olive.require_calm()
