"""Asking and deciding on the pages and over the API, as browsers and programs do it."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from budget_desks import DAILY, DOLLAR, budget
from consoles import OPERATOR_TOKEN, RunningConsole, running_console
from stores import DAY
from tollkeeper.console.access import FORM_HEADER, OPERATOR_HEADER
from tollkeeper.domain.budgets import BudgetScope
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.services import budget_requests, overdrafts
from tollkeeper.services.budget_requests import Given
from tollkeeper.services.keys import OPERATOR

USERS = budget("b-users", 5 * DOLLAR, scope=BudgetScope.USER, each=True, window=DAILY)
SHARED = budget("b-org", 100 * DOLLAR, name="All <of> us", window=DAILY)
CUSTOMERS = budget("b-cust", DOLLAR, scope=BudgetScope.END_CUSTOMER, each=True, window=DAILY)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path / "console") as made:
        for each in (USERS, SHARED, CUSTOMERS):
            made.store.add_budget(each, made.now_us, "test")
        yield made


def ask(console: RunningConsole, who: str = "member", of: str = "b-org", entity: str = "") -> str:
    """Ask on the page; give the request's id."""
    form = {"budget": of, "for": entity, "amount": "20", "until": "", "reason": "a release"}
    reply = console.post("/budgets/ask", form, console.session(who))
    assert reply.status == 303, reply.text
    return reply.header("location").partition("done=")[2]


def test_a_link_of_a_refusal_leads_over_the_sign_in_to_the_form(console: RunningConsole) -> None:
    asked = f"/budgets/ask?budget=b-users&for={console.users['member'].user_id}"
    away = console.get(asked)
    assert away.status == 303
    assert quote(asked, safe="") in away.header("location")
    page = console.get(asked, console.session("member"))
    assert page.status == 200
    assert "alice@acme.com" in page.text
    assert "of $5.00" in page.text
    assert console.get(asked, console.session("other member")).status == 404
    assert console.get("/budgets/ask?budget=none", console.session("admin")).status == 404


def test_names_of_budgets_are_texts(console: RunningConsole) -> None:
    ask(console)
    for path in ("/budgets/ask?budget=b-org", "/budgets/requests"):
        page = console.get(path, console.session("member")).text
        assert "All &lt;of&gt; us" in page
        assert "<of>" not in page


def test_figures_of_customers_are_for_who_looks_after_them(console: RunningConsole) -> None:
    path = "/budgets/ask?budget=b-cust&for=zeta"
    assert "$1.00" not in console.get(path, console.session("member")).text
    assert "$1.00" in console.get(path, console.session("admin")).text


def test_ask_and_approve_on_the_pages(console: RunningConsole) -> None:
    request_id = ask(console, of="b-users", entity=console.users["member"].user_id)
    mine = console.get(f"/budgets/requests?done={request_id}", console.session("member")).text
    assert "You have asked for <b>$20.00</b>" in mine
    path = f"/budgets/requests/{request_id}"
    assert "Approve" not in console.get(path, console.session("member")).text
    page = console.get(path, console.session("lead")).text
    assert "a release" in page
    assert "Approve" in page
    form = {"amount": "$7.50", "until": "", "note": "until the release"}
    done = console.post(f"{path}/approve", form, console.session("lead"))
    assert (done.status, done.header("location")) == (
        303,
        f"/budgets/requests?done={request_id}",
    )
    (given,) = console.store.budget_raises("b-users")
    assert (given.amount, given.made_by) == (7_500_000_000, "lena@acme.com")
    shown = console.get(path, console.session("member")).text
    assert "until the release" in shown
    assert "lena@acme.com" in shown
    again = console.post(f"{path}/approve", form, console.session("admin"))
    assert again.status == 409
    assert "has approved it meanwhile" in html.unescape(again.text)


def test_the_link_in_the_notification_shows_and_its_form_decides(console: RunningConsole) -> None:
    request_id = ask(console)
    (told,) = console.store.untold(10)
    assert console.get(told.path).status == 303, "it still wants a sign-in"
    assert console.get(told.path, console.session("other member")).status == 404
    admin = console.session("admin")
    page = console.get(told.path, admin).text
    assert console.store.budget_raises() == [], "looking decides nothing"
    token = budget_requests.link_token(console.vault, request_id)
    assert token in page
    forged = told.path.replace(token, "0" * len(token))
    assert console.get(forged, admin).status == 404
    path = f"/budgets/requests/{request_id}"
    form = {"amount": "20", "until": "", "t": token}
    foreign = console.post(f"{path}/approve", form, admin, sec_fetch_site="cross-site")
    assert foreign.status == 403
    without = console.post(f"{path}/approve", {**form, "form_token": "x"}, admin)
    assert without.status == 403
    assert console.store.budget_raises() == []
    assert console.post(f"{path}/approve", form, admin).status == 303
    asked = console.store.budget_request(request_id)
    assert asked is not None
    assert asked.decision is not None
    assert asked.decision.via == "link"
    spent = console.get(told.path, admin).text
    assert "Approved" in spent
    assert 'value="Approve"' not in spent
    assert "/approve" not in spent


def test_decline_is_a_button_of_the_same_form(console: RunningConsole) -> None:
    request_id = ask(console)
    form = {"amount": "", "until": "", "note": "next month"}
    path = f"/budgets/requests/{request_id}/decline"
    assert console.post(path, form, console.session("finance")).status == 303
    page = console.get(f"/budgets/requests?done={request_id}", console.session("member")).text
    assert "Declined" in page


def test_what_was_typed_wrong_stays_in_the_form(console: RunningConsole) -> None:
    form = {"budget": "b-org", "amount": "-3", "until": "2026-09-30", "reason": "it's <b>"}
    reply = console.post("/budgets/ask", form, console.session("member"))
    assert reply.status == 400
    assert 'value="-3"' in reply.text
    assert "it&#39;s &lt;b&gt;" in reply.text
    assert "<b>" not in reply.text.partition('name="reason"')[2].partition(">")[0]
    request_id = ask(console)
    path = f"/budgets/requests/{request_id}/approve"
    wrong = console.post(path, {"amount": "5 tokens", "until": ""}, console.session("admin"))
    assert wrong.status == 400
    assert "counts usd, not tokens" in wrong.text


def test_what_was_given_is_taken_back_on_the_pages(console: RunningConsole) -> None:
    request_id = ask(console)
    path = f"/budgets/requests/{request_id}"
    form = {"amount": "20", "until": "2026-12-31", "note": ""}
    admin, finance = console.session("admin"), console.session("finance")
    budget_requests.approve(
        console.store,
        request_id,
        Given(20 * DOLLAR, console.now_us + DAY, "", "page"),
        OPERATOR,
        console.now_us,
    )
    (given,) = console.store.budget_raises()
    for shown in (path, "/budget/b-org"):
        assert "End this raise now" in console.get(shown, finance).text
        assert "End this raise now" not in console.get(shown, console.session("auditor")).text
    assert "End this raise now" not in console.get(path, console.session("member")).text
    end = f"/budgets/raises/{given.raise_id}/end"
    assert console.post(end, form, console.session("member")).status == 403
    assert console.post(end, form, console.session("other lead")).status == 404
    done = console.post(end, {"note": "too much", "back": "request"}, finance)
    assert (done.status, done.header("location")) == (303, path)
    assert console.store.balances("b-org", console.now_us) == []
    for page in (path, "/budget/b-org"):
        text = console.get(page, admin).text
        assert "fred@acme.com" in text
        assert "too much" in text
        assert "End this raise now" not in text
    again = console.post(end, {}, admin)
    assert again.header("location") == "/budget/b-org?done=taken_back#raises"
    assert console.post("/budgets/raises/none/end", {}, admin).status == 404


def test_what_was_given_is_taken_back_over_the_api(console: RunningConsole) -> None:
    key = console.as_admin_key
    overdrafts.allow(console.store, "b-org", "5%", OPERATOR, console.now_us)
    taken = overdrafts.take(console.store, "b-org", "", OPERATOR, console.now_us)
    (listed,) = console.send("GET", "/api/v1/budgets/b-org/raises", headers=key).json()["raises"]
    assert (listed["id"], listed["kind"], listed["ended"]) == (taken.raise_id, "overdraft", None)
    end = f"/api/v1/budgets/raises/{taken.raise_id}/end"
    ended = console.send("POST", end, {"note": "enough"}, headers=key).json()
    assert (ended["ended"]["via"], ended["ended"]["note"]) == ("api", "enough")
    assert console.send("POST", end, {}, headers=key).json() == ended
    operator = {OPERATOR_HEADER: OPERATOR_TOKEN}
    late = console.send("POST", end, {}, headers=operator, direct=True)
    assert (late.status, late.json()["code"]) == (409, "raise_ended")
    gone = console.send("POST", "/api/v1/budgets/raises/none/end", {}, headers=key)
    assert (gone.status, gone.json()["code"]) == (404, "raise_not_found")
    raises = console.send("GET", "/api/v1/budgets/b-org/raises", headers=key).json()["raises"]
    assert raises == [ended]


def test_who_may_overdraws_with_one_button(console: RunningConsole) -> None:
    alice = console.users["member"].user_id
    path, form = f"/budgets/ask?budget=b-users&for={alice}", {"budget": "b-users", "for": alice}
    assert "/overdraft" not in console.get(path, console.session("member")).text
    overdrafts.allow(console.store, "b-users", "20%", OPERATOR, console.now_us)
    assert "Take $1.00" in console.get(path, console.session("member")).text
    taken = console.post("/budgets/ask/overdraft", form, console.session("member"))
    assert taken.status == 200
    assert "overdrawn by $1.00" in taken.text
    assert "/overdraft" not in console.get(path, console.session("member")).text
    refused = console.post("/budgets/ask/overdraft", form, console.session("other member"))
    assert refused.status == 404
    assert len(console.store.budget_raises()) == 1


# ------------------------------------------------------------------ the API


def test_ask_and_approve_over_the_api(console: RunningConsole) -> None:
    member, admin = console.session("member"), console.session("admin")
    body = {"budget": "b-org", "amount": "20 USD", "until": "2026-09-30", "reason": "a release"}
    headers = member.headers | {FORM_HEADER: member.form_token, "idempotency-key": "one"}
    made = console.send("POST", "/api/v1/budgets/requests", body, headers=headers)
    assert made.status == 201, made.text
    again = console.send("POST", "/api/v1/budgets/requests", body, headers=headers)
    assert again.json() == made.json()
    request_id = made.json()["id"]
    assert made.json()["until"] == "2026-10-01T00:00:00.000000Z"
    listed = console.get("/api/v1/budgets/requests", member).json()
    assert [each["state"] for each in listed["requests"]] == ["asked"]
    path = f"/api/v1/budgets/requests/{request_id}"
    mine = member.headers | {FORM_HEADER: member.form_token}
    assert console.send("POST", f"{path}/approve", {}, headers=mine).status == 403
    approved = console.send("POST", f"{path}/approve", {}, headers=console.as_admin_key)
    assert approved.status == 200, approved.text
    assert approved.json()["decision"]["amount"] == "20 USD"
    headers = admin.headers | {FORM_HEADER: admin.form_token}
    late = console.send("POST", f"{path}/decline", {"note": "no"}, headers=headers)
    assert (late.status, late.json()["code"]) == (409, "request_decided")
    assert console.get(path, member).json()["state"] == "approved"


def test_the_holder_of_a_key_asks_with_it(console: RunningConsole) -> None:
    token = {"authorization": f"Bearer {console.virtual_key.token}"}
    body = {
        "budget": "b-users",
        "for": console.users["member"].user_id,
        "amount": "5 USD",
        "reason": "the agent has more to do",
    }
    made = console.send("POST", "/api/v1/budgets/requests", body, headers=token)
    assert made.status == 201, made.text
    key_id = console.virtual_key.record.key.key_id
    assert made.json()["asked_by"] == f"key {key_id}"
    assert console.virtual_key.token not in made.text
    seen = console.get("/api/v1/budgets/requests", console.session("member")).json()
    assert len(seen["requests"]) == 1, "whose key it is sees it too"
    other = {**body, "for": console.users["other member"].user_id}
    assert console.send("POST", "/api/v1/budgets/requests", other, headers=token).status == 404


def test_overdrafts_over_the_api(console: RunningConsole) -> None:
    path = "/api/v1/budgets/b-org/overdraft"
    key = console.as_admin_key
    assert console.send("POST", path, {}, headers=key).json()["code"] == "no_overdraft"
    allowed = console.send("POST", f"{path}/allow", {"amount": "10 %"}, headers=key)
    assert allowed.json() == {"budget": "b-org", "overdraft": "10%"}
    taken = console.send("POST", path, {}, headers=key)
    assert (taken.status, taken.json()["amount"]) == (200, "10 USD")
    assert console.send("POST", path, {}, headers=key).json() == taken.json()


# ------------------------------------------------------------------ refusals in the list of calls


def test_a_line_that_stands_for_many_refusals_says_so(console: RunningConsole) -> None:
    refused = console.entry_of(
        "member",
        outcome=Outcome.REFUSED,
        error_code="budget_exceeded",
        basis=Basis.FREE,
        cost_nanos=0,
        repeats=498,
    )
    console.load(refused)
    page = console.get("/calls", console.session("member")).text
    assert "Refused \N{MULTIPLICATION SIGN}499" in page
    assert "498 more like it are counted here" in page
    (row,) = console.get("/api/v1/calls", console.session("member")).json()["calls"]
    assert row["repeats"] == 498
    usage = console.get("/api/v1/usage?metrics=refusals,requests", console.session("member"))
    assert usage.json()["totals"].items() >= {"refusals": 499, "requests": 0}.items()
