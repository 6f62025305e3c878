"""What do I book for team X? From the menu to a team's statement, which is then issued."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from browsers import NARROW, Visitor, expect
from companies import Company, company, demo_company_entries

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def booking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("booking"), demo_company_entries(600)) as made:
        yield made


def test_a_team_is_charged_and_the_month_is_issued(
    booking: Company, visit: Callable[..., Visitor]
) -> None:
    last = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    name = f"{last:%B %Y}"
    visitor = visit(booking).sign_in()
    page = visitor.page
    page.get_by_role("link", name="Statements", exact=True).click()
    expect(page.get_by_role("heading", name="Statements", level=1)).to_be_visible()
    visitor.require_calm()
    page.locator("#months").get_by_role("link", name=name).click()
    expect(page.locator("#close")).to_contain_text("Before it is issued")
    total = page.locator("#figures .v").first.get_attribute("title")
    visitor.require_calm()
    page.get_by_role("button", name=f"Issue and close {name}").click()
    expect(page.locator("#issued")).to_contain_text("unchanged since")
    assert page.locator("#figures .v").first.get_attribute("title") == total
    assert visitor.faint_texts() == {}
    page.locator("#teams tbody a").first.click()
    expect(page.locator("#booked")).to_contain_text("Booked for")
    with page.expect_download() as saved:
        page.get_by_text("Files").click()
        page.get_by_role("link", name="FOCUS 1.2, CSV").click()
    assert saved.value.path().read_text().startswith("BilledCost,")
    visitor.require_calm()
    page.emulate_media(media="print")
    expect(page.locator("#booked")).to_be_visible()
    expect(page.locator(".side")).to_be_hidden()
    page.emulate_media(media="screen")
    page.set_viewport_size(NARROW)
    visitor.require_calm()
