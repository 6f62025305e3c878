"""Refused by a budget, asked for more on the page of the link, approved, and the call goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from browsers import NARROW, WIDE, Visitor, expect
from budget_desks import DAILY, budget
from companies import ADMIN, MEMBER, Company, company, demo_company_entries
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budgets import BudgetScope, Unit
from tollkeeper.services import overdrafts
from tollkeeper.services.keys import OPERATOR

pytestmark = pytest.mark.browser

Visits = Callable[..., Visitor]
LINK = re.compile(r"https?://[^/ ]+(/budgets/ask\?\S+)")
ONE_CALL = budget(
    "b-ada",
    1,
    name="Each person, by calls",
    scope=BudgetScope.USER,
    unit=Unit.REQUESTS,
    each=True,
    window=DAILY,
)


@pytest.fixture(scope="module")
def capped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company in which everybody may make one call a day."""
    entries = demo_company_entries(200)
    with company(tmp_path_factory.mktemp("capped"), entries) as made:
        with closing(bootstrap.open_store(made.data)) as store:
            store.add_budget(ONE_CALL, clock.now_us(), "test")
        yield made


def until_status(made: Company, key: str, status: int) -> bytes:
    """Call until the gateway answers so; give what it says."""
    deadline_s = clock.monotonic_s() + 30
    while (answer := made.call(key)).status != status:
        assert clock.monotonic_s() < deadline_s, answer
    return answer.body


def test_ask_approve_and_the_call_goes_through(capped: Company, visit: Visits) -> None:
    key = capped.issue("laptop", MEMBER)
    said = until_status(capped, key, 402).decode()
    found = LINK.search(said)
    assert found is not None, said

    ada = visit(capped)
    ada.page.goto(found[1].replace("\\u0026", "&"))
    expect(ada.page).to_have_url(re.compile(r"/login\?next="))
    ada.sign_in(MEMBER)
    ada.page.goto(found[1])
    expect(ada.page.get_by_role("heading", level=1)).to_contain_text("Each person, by calls")
    expect(ada.page.locator("main")).to_contain_text("of 1 request")
    ada.require_calm()
    ada.page.get_by_label("Amount").fill("2")
    ada.page.get_by_label("Reason").fill("The release on Thursday <b>must</b> go out")
    ada.page.get_by_role("button", name="Ask", exact=True).click()
    expect(ada.page.get_by_role("status").first).to_contain_text("You have asked for 2 requests")
    ada.require_calm()
    ada.page.get_by_role("link", name="Waiting").click()
    expect(ada.page.get_by_role("button", name="Approve")).to_have_count(0)

    olive = visit(capped).sign_in()
    olive.page.goto("/budgets/requests")
    olive.page.get_by_role("row").filter(has_text=MEMBER).get_by_role("link").first.click()
    expect(olive.page.locator("main")).to_contain_text("<b>must</b>")
    olive.require_calm()
    olive.page.get_by_label("Give").fill("1")
    olive.page.get_by_label("Note").fill("One more today")
    olive.page.get_by_role("button", name="Approve").click()
    expect(olive.page.get_by_role("status").first).to_contain_text("1 request more of Each person")
    olive.require_calm()

    until_status(capped, key, 200)
    assert b"2 requests spent, of 2 requests" in until_status(capped, key, 402)
    ada.page.reload()
    expect(ada.page.locator("main")).to_contain_text("One more today")
    expect(ada.page.locator("main")).to_contain_text(ADMIN)
    ada.require_calm()


def test_an_overdraft_is_one_button(capped: Company, visit: Visits) -> None:
    with closing(bootstrap.open_store(capped.data)) as store:
        user = store.user_with_email(MEMBER)
        overdrafts.allow(store, "b-ada", "5 requests", OPERATOR, clock.now_us())
    assert user is not None
    ada = visit(capped).sign_in(MEMBER)
    ada.page.goto(f"/budgets/ask?budget=b-ada&for={user.user_id}")
    ada.page.get_by_role("button", name="Take 5 requests").click()
    expect(ada.page.get_by_role("status").first).to_contain_text("overdrawn by 5 requests")
    expect(ada.page.get_by_role("button", name="Take 5 requests")).to_have_count(0)
    ada.require_calm()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_what_was_given_is_taken_back_where_it_is_shown(
    capped: Company, visit: Visits, size: dict[str, int]
) -> None:
    each = budget(f"b-{size['width']}", 1_000, name="All of us", unit=Unit.REQUESTS, window=DAILY)
    with closing(bootstrap.open_store(capped.data)) as store:
        store.add_budget(each, clock.now_us(), "test")
        overdrafts.allow(store, each.budget_id, "5 requests", OPERATOR, clock.now_us())
        overdrafts.take(store, each.budget_id, "", OPERATOR, clock.now_us())
    olive = visit(capped, viewport=size).sign_in()
    olive.page.goto(f"/budget/{each.budget_id}")
    row = olive.page.locator("#raises tbody tr")
    expect(row).to_contain_text("Counts")
    olive.require_calm()
    assert olive.faint_texts() == {}
    row.locator("summary").click()
    row.get_by_label("Why").fill("The release is out")
    row.get_by_role("button", name="End this raise now").click()
    expect(olive.page.get_by_role("status").first).to_contain_text("It is taken back")
    expect(row).to_contain_text("Taken back")
    expect(row).to_contain_text(ADMIN)
    expect(row.get_by_role("button")).to_have_count(0)
    olive.require_calm()
    assert olive.faint_texts() == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_how_the_pages_look(
    capped: Company, visit: Visits, theme: str, size: dict[str, int], tmp_path: Path
) -> None:
    with closing(bootstrap.open_store(capped.data)) as store:
        user = store.user_with_email(ADMIN)
        overdrafts.allow(store, "b-ada", "5 requests", OPERATOR, clock.now_us())
    assert user is not None
    olive = visit(capped, viewport=size, color_scheme=theme).sign_in()
    form = f"/budgets/ask?budget=b-ada&for={user.user_id}"
    for name, path in (("ask", form), ("requests", "/budgets/requests")):
        olive.page.goto(path)
        olive.require_calm()
        assert olive.faint_texts() == {}
        olive.page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
    olive.page.goto(form)
    if olive.page.get_by_label("Amount").count():
        olive.page.get_by_label("Amount").fill("3")
        olive.page.get_by_label("Reason").fill("A long reason " * 20)
        olive.page.get_by_role("button", name="Ask", exact=True).click()
    olive.page.goto("/budgets/requests")
    olive.page.get_by_role("row").filter(has_text=ADMIN).get_by_role("link").first.click()
    olive.require_calm()
    assert olive.faint_texts() == {}
    olive.page.screenshot(path=tmp_path / "request.png", full_page=True)
