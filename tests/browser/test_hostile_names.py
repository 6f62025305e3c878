"""Names that callers choose are text on every page, whatever they contain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browsers import Visitor, expect
from budget_desks import budget
from companies import Company, company
from ledger_entries import ledger_entry
from tollkeeper import bootstrap, clock
from tollkeeper.domain.alerts import Alert, AlertKey, AlertState
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.domain.price_rules import PriceRule, StoredRule
from tollkeeper.services import people

pytestmark = pytest.mark.browser

HOSTILE = (
    "<script>window.broken=1</script>",
    "<img src=x onerror=window.broken=1>",
    '"><svg onload=window.broken=1>',
    "' onmouseover='window.broken=1",
    "javascript:window.broken=1",
    "{{ 7*7 }}{% set x = 1 %}",
    "</textarea></title></style><iframe srcdoc='<script>parent.broken=1</script>'>",
    "<!--<base href=//evil.example>",
    "&lt;b&gt;&#60;script&#62;",
    '<a hx-get="/keys" hx-on:click="window.broken=1" data-hx-post="/logout" data-swap="#x">x</a>',
    'a,b:"c" -d',
    "\u202eevil\u2066 \u0007\u2028 name",
    "x" * 400,
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A company whose callers named everything as an attacker would."""
    folder = tmp_path_factory.mktemp("attacked")
    with company(folder, list(entries()), TOLLKEEPER_PRIVACY__MASK_PEOPLE="false") as made:
        for number, name in enumerate(HOSTILE):
            if len(name) <= 64 and name.isprintable():
                made.issue(f"{name}{number}"[:64], "olive@acme.com")
        fill(made)
        yield made


def fill(made: Company) -> None:
    """Name teams, people, budgets, rules and alerts in the same way."""
    store, now_us = bootstrap.open_store(made.data), clock.now_us()
    try:
        for number, name in enumerate(each for each in HOSTILE if len(each) <= 100):
            if not name.isprintable():
                continue
            people.add_team(store, name, now_us)
            email = f"person-{number}@acme.com"
            people.add_user(store, email, now_us, name=name, team=name)
            limited = budget(f"budget-{number}", name=name)
            store.add_budget(limited, now_us, name)
            rule = StoredRule(f"rule-{number}", PriceRule(name, discount_bp=1), now_us, name)
            store.add_price_rule(rule)
            key = AlertKey("budget", limited.budget_id, "", now_us, 8_000)
            alert = Alert(
                *(f"alert-{number}", key, AlertState.FIRED, now_us, 80, 100, name, name),
                *(now_us, now_us),
            )
            store.add_alert(alert)
    finally:
        store.close()


def entries() -> Iterator[LedgerEntry]:
    mint, now_us = IdMint(mark=5), clock.now_us()
    for number, name in enumerate(HOSTILE):
        at_us = now_us - (number + 1) * 60_000_000
        identifier = mint.next(at_us // 1_000)
        yield ledger_entry(
            entry_id=identifier,
            call_id=identifier,
            org="acme",
            started_at_us=at_us,
            team=name,
            user_name=name,
            key_name=name,
            tool=name,
            tool_version=name,
            model_requested=name,
            model_served=name,
            provider=name,
            session_id=name,
            end_customer=name,
            error_code=name,
            endpoint=name,
            price_key=name,
            usage_raw=f'{{"note": "{number}"}}' if number % 2 else name,
            tags={"feature": name},
            basis=Basis.MEASURED,
            cost_nanos=1_000_000 * (number + 1),
        )


@pytest.fixture(scope="module")
def victim(attacked: Company, browser: Browser) -> Iterator[Visitor]:
    visitor = Visitor(browser, attacked).sign_in()
    yield visitor
    visitor.context.close()


def require_inert(visitor: Visitor) -> None:
    page = visitor.page
    assert page.evaluate("() => window.broken") is None
    assert (
        page.locator("main script, main iframe, main img, main [onload], main [onerror]").count()
        == 0
    )
    assert page.locator("main [onmouseover], a[href^='javascript'], [hx-get]").count() == 0
    visitor.require_calm()


@pytest.mark.parametrize("by", ["model", "team", "provider", "tool", "user", "key", "tag:feature"])
def test_on_the_first_page(victim: Visitor, by: str) -> None:
    page = victim.page
    page.goto(f"/?by={by}&rows=all")
    expect(page.locator("#parts")).to_contain_text("<script>window.broken=1</script>")
    box = page.locator("#plot").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 20)
    expect(page.locator("#tip")).to_be_visible()
    require_inert(victim)


def test_in_the_list_and_on_every_call(victim: Visitor) -> None:
    page = victim.page
    page.goto("/calls")
    require_inert(victim)
    calls = page.locator("#rows a.cover").evaluate_all("ns => ns.map(n => n.getAttribute('href'))")
    assert len(calls) == len(HOSTILE)
    for address in calls:
        page.goto(address)
        require_inert(victim)


@pytest.mark.parametrize("name", HOSTILE[:4])
def test_as_a_filter(victim: Visitor, name: str) -> None:
    page = victim.page
    page.goto("/calls")
    page.locator("#filter").click()
    page.get_by_label("Model").fill(name)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".chip b")).to_have_text(name)
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    require_inert(victim)


def test_on_the_keys(victim: Visitor) -> None:
    page = victim.page
    page.goto("/keys")
    expect(page.locator("#list")).to_contain_text("<script>window.broken=1</script>")
    require_inert(victim)
    page.goto("/keys?done=%3Cscript%3Ewindow.broken=1%3C/script%3E&show=all")
    require_inert(victim)
    page.goto(
        "/login?token=%22%3E%3Cscript%3Ewindow.broken=1%3C/script%3E&next=javascript:alert(1)"
    )
    require_inert(victim)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/people?show=all", "main"),
        ("/budgets", "main"),
        ("/budget/budget-0", "main"),
        ("/budgets/ask?budget=budget-0", "main"),
        ("/models", "main"),
        ("/alerts", "main"),
        ("/settings/audit", "main"),
        ("/adoption", ""),
        ("/me", ""),
        ("/account", ""),
    ],
)
def test_on_every_other_page(victim: Visitor, path: str, place: str) -> None:
    victim.page.goto(path)
    if place:
        shown = victim.page.locator(place)
        expect(shown).to_contain_text("<script>window.broken=1</script>")
    require_inert(victim)
