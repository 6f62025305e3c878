"""The pages of budgets: how they stand, made, changed, ended, tried on the past."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from budget_desks import CENT, DOLLAR, charge
from consoles import PEOPLE, RunningConsole, running_console
from tollkeeper.console.charts.bullet_bar import bullet_bar
from tollkeeper.domain.budget_words import FILE_PREFIX, budget_of
from tollkeeper.domain.budgets import Amounts, Budget
from tollkeeper.domain.ledger import Basis
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

WORDS: dict[str, Any] = {"scope": "org", "limit": "50 USD", "window": "month", "name": "All of us"}
FORM = {"name": "Ours", "scope": "org", "limit": "50 USD", "window": "month", "alert_at": "80"}
HOUR = 3_600_000_000


@pytest.fixture
def console(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


def kept(console: RunningConsole, budget_id: str = "b1", **words: Any) -> Budget:
    made = budget_of({**WORDS, **words})._replace(budget_id=budget_id)
    console.store.add_budget(made, console.now_us, "test")
    return made


def spend(
    console: RunningConsole, of: Budget, posted: int, held: int = 0, entity: str = ""
) -> None:
    with closing(open_sqlite_budgets(console.folder.data.store)) as authority:
        for name, amount in (("posted", posted), ("held", held)):
            if amount:
                taken = charge(of, amount, entity, console.now_us)
                entry = f"{name}-{of.budget_id}-{entity}"
                assert authority.hold(entry, "g1", [taken], console.now_us) is None
        authority.settle(f"posted-{of.budget_id}-{entity}", Amounts(posted, posted), console.now_us)


def load_calls(console: RunningConsole, *cents: int) -> None:
    console.load(
        *(
            console.entry_of(
                "member",
                started_at_us=console.now_us - (len(cents) - number) * HOUR,
                cost_nanos=each * CENT,
                basis=Basis.MEASURED,
            )
            for number, each in enumerate(cents)
        )
    )


def test_the_audit_log_names_a_budget_and_its_amounts(console: RunningConsole) -> None:
    made = kept(console, name="Core team")
    entry = console.get("/settings/audit", console.session("admin")).text
    row = entry.partition("budget.<wbr>add")[2].partition("</tr>")[0]
    assert f'title="Core team ({made.budget_id})">Core team<wbr></span>' in row
    assert re.search(r"limit</span> \$[\d,]+\.\d\d</span>", row)


def test_an_empty_page_says_how_to_make_one(console: RunningConsole) -> None:
    admin = console.get("/budgets", console.session("admin"))
    assert admin.status == 200
    assert "Nothing is capped yet" in admin.text
    assert 'action="/budgets"' in admin.text
    member = console.get("/budgets", console.session("member"))
    assert "No budget concerns you" in member.text
    assert 'action="/budgets"' not in member.text


def test_spent_held_left_and_the_runway_are_shown(console: RunningConsole) -> None:
    made = kept(console)
    spend(console, made, 12_340_000_000, 2 * DOLLAR)
    text = console.get("/budgets", console.session("admin")).text
    for shown in ("All of us", "The organisation", "Each month, UTC", "$35.66", "$12.34", "$2.00"):
        assert shown in text, shown
    assert "35.66 USD of 50 USD" in text
    assert 'class="bullet"' in text
    assert "Not enough history" in text or "Lasts to " in text


@pytest.mark.parametrize(
    ("dollars", "tone"), [(10, "bullet"), (45, "bullet warn"), (50, "bullet bad")]
)
def test_the_bar_says_how_full_it_is(console: RunningConsole, dollars: int, tone: str) -> None:
    spend(console, kept(console), dollars * DOLLAR)
    assert f'class="{tone}"' in console.get("/budgets", console.session("admin")).text


def test_the_fullest_come_first_and_ended_ones_are_asked_for(console: RunningConsole) -> None:
    for budget_id, dollars in (("b1", 5), ("b2", 40), ("b3", 20)):
        spend(console, kept(console, budget_id, name=f"budget {budget_id}"), dollars * DOLLAR)
    session = console.session("admin")
    assert console.post("/budget/b3/end", {}, session).status == 303
    console.now_us += 3_000_000
    text = console.get("/budgets", session).text
    assert text.index("budget b2") < text.index("budget b1")
    assert "budget b3" not in text
    assert "Show 1 ended" in text
    assert "budget b3" in console.get("/budgets?show=all", session).text
    one = console.get("/budget/b3", session).text
    assert "It counts no more calls" in one
    assert 'id="edit"' not in one


def test_a_budget_is_made_on_the_page(console: RunningConsole) -> None:
    session = console.session("finance")
    form = FORM | {"once": "form-1", "timezone": "Europe/Berlin", "rollover": "10%"}
    made = console.post("/budgets", form, session)
    assert made.status == 303
    again = console.post("/budgets", form, session)
    assert again.header("location") == made.header("location")
    (found,) = console.store.budgets()
    assert (found.name, found.limit, found.window.zone) == ("Ours", 50 * DOLLAR, "Europe/Berlin")
    assert found.thresholds_bp == (8_000,)
    shown = console.get(made.header("location"), session)
    assert "The budget is made" in shown.text
    assert "Told at" in shown.text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"limit": "-5 USD"}, "The limit is 0 or more."),
        ({"limit": "1e400 USD"}, "The limit is an amount and its unit"),
        ({"limit": ""}, "The limit is an amount and its unit"),
        ({"scope": "galaxy"}, "Whose calls is one of"),
        ({"scope": "team", "match": "nobody"}, "there is no team"),
        ({"scope": "tag", "match": "x"}, "a budget on a tag needs the tag&#39;s key"),
        ({"window": "aeon"}, "The window is one of"),
        ({"timezone": "Mars"}, "is no IANA time zone"),
        ({"alert_at": "<script>"}, "When somebody is told is in per cent"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    console: RunningConsole, changes: dict[str, str], says: str
) -> None:
    reply = console.post("/budgets", FORM | changes, console.session("admin"))
    assert reply.status == 422
    assert says.lower() in reply.text.lower()
    assert 'value="Ours"' in reply.text
    assert "<script>" not in reply.text.replace("<script defer", "")
    assert console.store.budgets() == []


def test_a_budget_is_changed_under_its_version(console: RunningConsole) -> None:
    kept(console)
    session = console.session("admin")
    form = {"version": "1", "name": "Everybody", "limit": "$60", "mode": "observe", "alert_at": ""}
    form |= {"rollover": "", "sizing": "balanced"}  # as a browser sends what is empty
    assert console.post("/budget/b1", form, session).status == 303
    (found,) = console.store.budgets()
    assert (found.name, found.limit, found.thresholds_bp) == ("Everybody", 60 * DOLLAR, ())
    stale = console.post("/budget/b1", form | {"limit": "$70"}, session)
    assert stale.status == 409
    assert "Somebody else has changed this budget meanwhile" in stale.text
    assert 'value="$70"' in stale.text
    assert 'name="version" value="2"' in stale.text
    for wrong in ({"version": "x"}, {"limit": "-1 USD"}, {"limit": "5 tokens"}):
        assert console.post("/budget/b1", form | {"version": "2"} | wrong, session).status >= 400
    assert [each.version for each in console.store.budgets()] == [2]


def test_a_prepaid_budget_is_paid_into_once(console: RunningConsole) -> None:
    kept(console, window="prepaid")
    session = console.session("admin")
    assert 'id="pay"' in console.get("/budget/b1", session).text
    form = {"amount": "25 USD", "version": "1"}
    assert console.post("/budget/b1/top-up", form, session).status == 303
    assert console.post("/budget/b1/top-up", form, session).status == 409
    assert console.store.budgets()[0].limit == 75 * DOLLAR


def test_a_budget_of_the_file_is_shown_as_such(console: RunningConsole) -> None:
    budget_id = f"{FILE_PREFIX}1"
    kept(console, budget_id)
    session = console.session("admin")
    text = console.get(f"/budget/{budget_id}", session).text
    assert "tollkeeper.yaml" in text
    assert 'id="edit"' not in text
    form = {"version": "1", "limit": "$1"}
    assert console.post(f"/budget/{budget_id}", form, session).status == 409
    assert console.post(f"/budget/{budget_id}/end", {}, session).status == 409


def test_each_one_apart_has_a_row_with_its_calls(console: RunningConsole) -> None:
    alice, mallory = console.users["member"].user_id, console.users["other member"].user_id
    each = kept(console, scope="each user")
    spend(console, each, 45 * DOLLAR, entity=alice)
    spend(console, each, 5 * DOLLAR, entity=mallory)
    text = console.get("/budget/b1", console.session("admin")).text
    assert text.index("alice@acme.com") < text.index("mallory@acme.com")
    assert f"user%3A{alice}" in text
    own = console.get("/budget/b1", console.session("other member"))
    assert own.status == 200
    assert "mallory@acme.com" in own.text
    assert "alice" not in own.text
    listed = console.get("/budgets", console.session("admin")).text
    assert "the fullest of 2" in listed


@pytest.mark.parametrize("who", list(PEOPLE))
def test_who_may_not_see_a_budget_finds_none(console: RunningConsole, who: str) -> None:
    kept(console, scope="team:other")
    reply = console.get("/budget/b1", console.session(who))
    assert reply.status == (404 if who in {"member", "lead"} else 200)
    assert console.get("/budget/nothing", console.session(who)).status == 404


def test_the_past_is_tried_without_changing_anything(console: RunningConsole) -> None:
    load_calls(console, 60, 50, 40)
    session = console.session("admin")
    form = FORM | {"limit": "1 USD", "window": "lifetime"}
    tried = console.post("/budgets/try", form, session)
    assert tried.status == 200
    assert "It would have refused 1 call, $0.500, in 1 window." in tried.text
    assert "alice@acme.com" in tried.text
    assert 'value="1 USD"' in tried.text
    assert console.store.budgets() == []
    kept(console, limit="1 USD", window="lifetime")
    assert "It would have refused 1 call" in console.get("/budget/b1?replay=30", session).text
    assert "On the last 90 days" in console.get("/budget/b1?replay=90", session).text
    assert "On the last" not in console.get("/budget/b1?replay=7", session).text
    member = console.get("/budget/b1?replay=30", console.session("member")).text
    assert "would have refused" not in member
    fits = console.post("/budgets/try", FORM, session)
    assert "It would have refused nothing." in fits.text
    assert console.post("/budgets/try", FORM | {"limit": "x"}, session).status == 422


def test_a_dry_run_says_what_it_would_have_refused(console: RunningConsole) -> None:
    load_calls(console, 60, 50, 40)
    made = kept(console, limit="1 USD", mode="observe")
    spend(console, made, 150 * CENT)
    text = console.get("/budget/b1", console.session("auditor")).text
    assert "Dry run: what it would have refused in this window" in text
    assert "It would have refused 1 call, $0.500" in text
    assert "Observes" in text


def test_the_page_is_the_api_as_json(console: RunningConsole) -> None:
    kept(console)
    session = console.session("admin")
    listed = console.get("/budgets?format=json", session).json()
    assert listed["budgets"] == console.get("/api/v1/budgets", session).json()["budgets"]
    one = console.get("/budget/b1?format=json", session).json()
    assert one == console.get("/api/v1/budgets/b1", session).json()


def test_a_hostile_name_stays_text(console: RunningConsole) -> None:
    kept(console, name='<img src=x onerror=alert(1)>"')
    for target in ("/budgets", "/budget/b1"):
        assert "<img" not in console.get(target, console.session("admin")).text


def test_a_bar_is_never_wider_than_it_is() -> None:
    assert str(bullet_bar(0, 0, (), "")).count('width="0"') == 2
    full = str(bullet_bar(9_999_999, 5, (5_000, 10_000), "bad"))
    assert 'class="mark limit"' in full
    small = str(bullet_bar(1, 1, (), ""))
    assert 'class="spent" width="8"' in small


def test_budgets_at_risk_are_on_the_first_page(console: RunningConsole) -> None:
    load_calls(console, 60)
    spend(console, kept(console, "b1", name="nearly spent"), 45 * DOLLAR)
    spend(console, kept(console, "b2", name="hardly used", window="lifetime"), DOLLAR)
    spend(console, kept(console, "b3", name="the others", scope="team:other"), 49 * DOLLAR)
    admin = console.get("/", console.session("admin")).text
    assert "Budgets at risk" in admin
    assert admin.index("the others") < admin.index("nearly spent")
    assert "hardly used" not in admin
    member = console.get("/", console.session("member")).text
    assert "nearly spent" in member
    assert "the others" not in member


def test_without_budgets_at_risk_the_first_page_has_no_such_part(console: RunningConsole) -> None:
    load_calls(console, 60)
    assert "Budgets at risk" not in console.get("/", console.session("admin")).text


def test_a_call_names_the_budgets_that_it_counted_in(console: RunningConsole) -> None:
    console.load(console.entry_of("member", entry_id="c1", call_id="c1"))
    kept(console, "b1", name="all of it")
    kept(console, "b2", name="the other team", scope="team:other")
    kept(console, "b3", name="models of gpt", scope="model:gpt-*")
    console.store.add_budget(
        budget_of({**WORDS, "name": "made later"})._replace(
            budget_id="b4", since_us=console.now_us
        ),
        console.now_us,
        "test",
    )
    text = console.get("/calls/c1", console.session("admin")).text
    for name in ("all of it", "models of gpt"):
        assert name in text
    for name in ("the other team", "made later"):
        assert name not in text
    assert '<a href="/budget/b1">' in text


def test_me_shows_what_is_left_and_the_status_line(console: RunningConsole) -> None:
    alice = console.users["member"].user_id
    each = kept(console, "b1", name="each person", scope="each user", limit="5 USD", window="day")
    spend(console, each, DOLLAR, entity=alice)
    kept(console, "b2", name="the other team", scope="team:other")
    text = console.get("/me", console.session("member")).text
    assert "What is left of my budgets" in text
    assert "$4.00" in text
    assert "the other team" not in text
    assert "statusLine" in text
    assert "tollkeeper-statusline.sh" in text
