"""The page Alerts in a browser: a budget fires, a real receiver is told, and somebody sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator

from browsers import NARROW, WIDE, Page, Visitor, expect
from budget_desks import DOLLAR, budget, charge
from companies import Company, company
from loopback import HOST
from receivers import Reply, WebhookReceiver, webhook_receiver
from tollkeeper import bootstrap, clock
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.budgets import Amounts
from tollkeeper.services.alerts import acknowledge
from tollkeeper.services.outbox import enqueue, message_of
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

pytestmark = pytest.mark.browser

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Visits = Callable[..., Visitor]


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as made:
        yield made


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, receiver: WebhookReceiver) -> Iterator[Company]:
    """A company with a webhook, one that refuses, and a budget that is four fifths spent."""
    receiver.answer = lambda got: Reply(500 if got.path == "/refuses" else 204)
    hooks = ", ".join(
        f'{{url: "{receiver.url(path=path)}", secret: {SECRET}, name: {name}}}'
        for name, path in (("ops", "/hook"), ("broken", "/refuses"))
    )
    alerts = f"{{webhooks: [{hooks}], allow_private: [{HOST}]}}"
    folder = tmp_path_factory.mktemp("told")
    with company(folder, TOLLKEEPER_ALERTS=alerts) as made:
        spend(made)
        yield made


def spend(made: Company) -> None:
    """Spend of a budget as a gateway does, and wait until it was told."""
    now_us = clock.now_us()
    store = bootstrap.open_store(made.data)
    each = budget(name="Core team, all of its models and tools", since_us=now_us - 1)
    store.add_budget(each, now_us, "test")
    authority = open_sqlite_budgets(made.data.store)
    authority.hold("e1", "g1", [charge(each, 4 * DOLLAR, at_us=now_us)], now_us)
    authority.settle("e1", Amounts(4 * DOLLAR, 1), now_us)
    deadline_s = time.monotonic() + 30
    while not any(it.delivery.state == "delivered" for it in store.deliveries(10)):
        assert time.monotonic() < deadline_s, "nobody was told"
        time.sleep(0.1)
    authority.close()
    store.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_page_can_be_read_and_is_calm(
    told: Company, visit: Visits, theme: str, viewport: dict[str, int], tmp_path: Path
) -> None:
    visitor = visit(told, color_scheme=theme, viewport=viewport).sign_in()
    visitor.page.goto("/alerts?show=all")
    expect(visitor.page.get_by_role("heading", name="Alerts")).to_be_visible()
    expect(visitor.page.locator("#fired")).to_contain_text("80% spent")
    assert visitor.faint_texts() == {}
    visitor.require_calm()
    visitor.page.screenshot(path=tmp_path / "alerts.png", full_page=True)


def test_nobody_and_nothing_yet(newcomer: Company, visit: Visits) -> None:
    visitor = visit(newcomer, viewport=NARROW).sign_in()
    visitor.page.get_by_role("link", name="Alerts").click()
    expect(visitor.page.get_by_text("Nobody is told.")).to_be_visible()
    expect(visitor.page.get_by_text("Nothing has fired.")).to_be_visible()
    assert visitor.faint_texts() == {}
    visitor.require_calm()


def test_a_test_reaches_the_receiver_and_a_failing_one_says_why(
    told: Company, visit: Visits, receiver: WebhookReceiver
) -> None:
    visitor = visit(told).sign_in()
    page = visitor.page
    page.goto("/alerts")
    page.get_by_role("button", name="Test ops").click()
    expect(page.get_by_role("status").filter(has_text="has reached ops")).to_be_visible()
    assert receiver.received[-1].headers["webhook-signature"].startswith("v1,")
    page.get_by_role("button", name="Test broken").click()
    expect(page.get_by_role("alert")).to_contain_text("answered with status 500")
    visitor.require_calm()


def fire(made: Company, title: str) -> str:
    """Fire an alert as another process on the same store would, and give its id."""
    store, now_us = bootstrap.open_store(made.data), clock.now_us()
    alert_id = f"a{now_us}"
    key = AlertKey("budget", alert_id, "", now_us, 8_000)
    ends_us = now_us + 86_400_000_000
    fired = AlertState.FIRED
    store.add_alert(Alert(alert_id, key, fired, ends_us, 8, 10, "Core", title, now_us, now_us))
    message = message_of("budget.threshold", title, "", now_us, message_id=f"msg_{alert_id}_fired")
    enqueue(store, message._replace(alert_id=alert_id))
    store.close()
    return alert_id


def see(made: Company, alert_id: str) -> None:
    store = bootstrap.open_store(made.data)
    acknowledge(store, alert_id, "fred@acme.com", clock.now_us())
    store.close()


def until_live(page: Page) -> Locator:
    """Wait until the page hears of changes; from now on it must not be loaded again."""
    pill = page.locator("#live")
    expect(pill).to_have_attribute("data-state", "on")
    page.evaluate("() => { window.stayed = true; }")
    return pill


def test_what_fires_is_brought_and_is_seen_shows_up_by_itself(told: Company, visit: Visits) -> None:
    visitor = visit(told).sign_in()
    page = visitor.page
    page.goto("/alerts?show=all")
    until_live(page)
    alert_id = fire(told, "Search: 80% spent")
    row = page.locator(f"#alert-{alert_id}")
    expect(row).to_contain_text("Fired")
    expect(row).to_contain_text("ops: delivered")
    expect(page.locator("#deliveries tbody tr").filter(has_text="Search: 80% spent")).to_have_count(
        2
    )
    see(told, alert_id)
    expect(row).to_contain_text("fred@acme.com")
    expect(row.get_by_role("button")).to_have_count(0)
    assert page.evaluate("() => window.stayed")
    assert visitor.faults == []


def test_a_pause_holds_and_nothing_moves_under_the_pointer(told: Company, visit: Visits) -> None:
    visitor = visit(told).sign_in()
    page = visitor.page
    page.goto("/alerts?show=all")
    pill = until_live(page)
    pill.click()
    expect(pill).to_have_text("Paused")
    first = fire(told, "Paused: 80% spent")
    page.wait_for_timeout(2_500)
    expect(page.locator(f"#alert-{first}")).to_have_count(0)
    page.locator("#rules tbody tr").first.hover()
    page.keyboard.press("Tab")  # not with the pointer: it stays on the rules
    pill.focus()
    page.keyboard.press("Enter")
    deliveries = page.locator("#deliveries tbody tr").filter(has_text="Paused: 80% spent")
    expect(deliveries).to_have_count(2)  # below the pointer: nothing there would move it
    expect(page.locator(f"#alert-{first}")).to_have_count(0)
    page.mouse.move(5, 5)
    expect(page.locator(f"#alert-{first}")).to_be_visible()
    assert page.evaluate("() => window.stayed")
    assert visitor.faults == []


def test_somebody_says_that_they_saw_it(told: Company, visit: Visits, browser: Browser) -> None:
    visitor = visit(told).sign_in()
    page = visitor.page
    page.goto("/alerts")
    row = page.locator("#fired tbody tr").filter(has_text="Core team")
    row.get_by_role("button", name="Seen").click()
    expect(page.get_by_role("status").filter(has_text="Seen: Core team")).to_be_visible()
    expect(row).to_contain_text("olive@acme.com")
    expect(row.get_by_role("button", name="Seen")).to_have_count(0)
    visitor.require_calm()
