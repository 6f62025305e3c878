"""Budgets over the API: how they stand and for whom, made once, changed under a version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from budget_desks import DOLLAR, charge
from consoles import PEOPLE, Reply, RunningConsole, running_console
from json_shapes import faults
from tollkeeper.console.access import FORM_HEADER
from tollkeeper.domain.budget_words import FILE_PREFIX, budget_of
from tollkeeper.domain.budgets import Amounts, Budget
from tollkeeper.domain.ledger import Basis
from tollkeeper.storage.store.sqlite_budgets import open_sqlite_budgets

PATH = "/api/v1/budgets"
REPLAYS = "/api/v1/budget-replays"
WORDS: dict[str, Any] = {"scope": "org", "limit": "50 USD", "window": "month", "name": "All"}
DAY = 86_400_000_000


@pytest.fixture
def console(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


def send(
    console: RunningConsole, method: str, path: str, data: Any = None, who: str = "", **more: str
) -> Reply:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    if not who:
        return console.send(method, path, data, headers=console.as_admin_key | headers)
    session = console.session(who)
    known = session.headers | {FORM_HEADER: session.form_token}
    return console.send(method, path, data, headers=known | headers)


def spend(
    console: RunningConsole, of: Budget, posted: int, held: int = 0, entity: str = ""
) -> None:
    """Let the authority of the same store book and hold what a gateway would."""
    with closing(open_sqlite_budgets(console.folder.data.store)) as authority:
        for name, amount in (("posted", posted), ("held", held)):
            entry = f"{name}-{of.budget_id}-{entity}"
            taken = charge(of, amount, entity, console.now_us)
            assert amount == 0 or authority.hold(entry, "g1", [taken], console.now_us) is None
        authority.settle(f"posted-{of.budget_id}-{entity}", Amounts(posted, posted), console.now_us)


def kept(console: RunningConsole, budget_id: str, **words: Any) -> Budget:
    """Keep a budget that counts already."""
    made = budget_of({**WORDS, **words})._replace(budget_id=budget_id)
    console.store.add_budget(made, console.now_us, "test")
    return made


def test_a_budget_is_made_changed_and_ended(console: RunningConsole) -> None:
    reply = send(console, "POST", PATH, WORDS | {"alert_at": [50, "99.5"], "mode": "observe"})
    assert reply.status == 201
    made = reply.json()
    assert reply.header("location") == f"{PATH}/{made['id']}"
    assert (made["state"], made["version"], made["managed_by"]) == ("planned", 1, None)
    assert (made["limit"], made["window"], made["timezone"]) == ("50.000000000", "month", "UTC")
    assert (made["alert_at"], made["mode"]) == (["50", "99.5"], "observe")
    console.now_us += 3_000_000
    (row,) = send(console, "GET", f"{PATH}/{made['id']}").json()["balances"]
    assert (row["spent"], row["left"], row["resets_at"]) == (
        "0.000000000",
        "50.000000000",
        "2026-10-01T00:00:00Z",
    )
    changed = send(
        console, "POST", f"{PATH}/{made['id']}", {"version": 1, "limit": "$60", "mode": "hard"}
    ).json()
    assert (changed["limit"], changed["mode"], changed["version"]) == ("60.000000000", "hard", 2)
    stale = send(console, "POST", f"{PATH}/{made['id']}", {"version": 1, "limit": "$70"})
    assert (stale.status, stale.json()["code"]) == (409, "budget_changed")
    ended = send(console, "DELETE", f"{PATH}/{made['id']}").json()
    console.now_us += 3_000_000
    assert send(console, "DELETE", f"{PATH}/{made['id']}").json()["until"] == ended["until"]
    (listed,) = send(console, "GET", PATH).json()["budgets"]
    assert (listed["state"], listed["balances"]) == ("ended", [])


def test_spent_held_and_left_are_exact(console: RunningConsole) -> None:
    made = kept(console, "b1")
    spend(console, made, 12_345_678_901, 2 * DOLLAR)
    (found,) = send(console, "GET", PATH).json()["budgets"]
    (row,) = found["balances"]
    assert row == {
        "entity": "",
        "entity_name": "The organisation",
        "spent": "12.345678901",
        "held": "2.000000000",
        "left": "35.654321099",
        "limit": "50.000000000",
        "used_percent": "28.69",
        "resets_at": "2026-10-01T00:00:00Z",
    }
    tokens = kept(console, "b2", limit="2M tokens", window="lifetime")
    spend(console, tokens, 1_500_000)
    (row,) = send(console, "GET", f"{PATH}/b2").json()["balances"]
    assert (row["spent"], row["left"], row["resets_at"]) == ("1500000", "500000", None)


@pytest.mark.parametrize("who", list(PEOPLE))
def test_everybody_sees_what_concerns_them(console: RunningConsole, who: str) -> None:
    alice, mallory = console.users["member"].user_id, console.users["other member"].user_id
    for number, words in enumerate(
        (
            {},
            {"scope": "team:core"},
            {"scope": "team:other"},
            {"scope": f"user:{alice}"},
            {"scope": f"user:{mallory}"},
            {"scope": "each user"},
            {"scope": "each session"},
        )
    ):
        kept(console, f"b{number}", **words)
    each = budget_of({**WORDS, "scope": "each user"})._replace(budget_id="b5")
    spend(console, each, DOLLAR, entity=alice)
    spend(console, each, DOLLAR, entity=mallory)
    found = {row["id"]: row for row in send(console, "GET", PATH, who=who).json()["budgets"]}
    visible = {
        "member": {"b0", "b1", "b3", "b5"},
        "lead": {"b0", "b1", "b3", "b5"},
        "other member": {"b0", "b2", "b4", "b5"},
        "other lead": {"b0", "b2", "b4", "b5"},
    }.get(who, {f"b{number}" for number in range(7)})
    assert set(found) == visible
    names = {row["entity_name"] for row in found["b5"]["balances"]}
    expected = {
        "member": {"alice@acme.com"},
        "lead": {"alice@acme.com"},
        "other member": {"mallory@acme.com"},
        "other lead": {"mallory@acme.com"},
    }
    assert names == expected.get(who, {"alice@acme.com", "mallory@acme.com"})
    for number in range(7):
        reply = send(console, "GET", f"{PATH}/b{number}", who=who)
        assert reply.status == (200 if f"b{number}" in visible else 404)


def test_the_same_request_makes_one_budget(console: RunningConsole) -> None:
    first = send(console, "POST", PATH, WORDS, idempotency_key="k-1")
    again = send(console, "POST", PATH, WORDS, idempotency_key="k-1")
    assert (first.status, again.status) == (201, 201)
    assert first.json() == again.json()
    assert (first.header("idempotent-replayed"), again.header("idempotent-replayed")) == (
        "false",
        "true",
    )
    other = send(console, "POST", PATH, WORDS | {"limit": "51 USD"}, idempotency_key="k-1")
    assert (other.status, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(console.store.budgets()) == 1


def test_a_prepaid_budget_is_paid_into_once(console: RunningConsole) -> None:
    made = kept(console, "b1", window="prepaid")
    body = {"amount": "$25", "version": made.version}
    assert send(console, "POST", f"{PATH}/b1/top-up", body).json()["limit"] == "75.000000000"
    assert send(console, "POST", f"{PATH}/b1/top-up", body).status == 409
    wrong = send(console, "POST", f"{PATH}/b1/top-up", {"amount": "5 tokens", "version": 2})
    assert (wrong.status, wrong.json()["code"]) == (400, "budget_unusable")
    kept(console, "b2")
    reply = send(console, "POST", f"{PATH}/b2/top-up", {"amount": "$5", "version": 1})
    assert reply.json()["code"] == "budget_not_prepaid"


def test_a_budget_of_the_file_is_changed_there(console: RunningConsole) -> None:
    kept(console, f"{FILE_PREFIX}1")
    (found,) = send(console, "GET", PATH).json()["budgets"]
    assert found["managed_by"] == "tollkeeper.yaml"
    for method, path, body in (
        ("POST", f"{PATH}/{FILE_PREFIX}1", {"version": 1, "limit": "$1"}),
        ("DELETE", f"{PATH}/{FILE_PREFIX}1", None),
        ("POST", f"{PATH}/{FILE_PREFIX}1/top-up", {"version": 1, "amount": "$1"}),
    ):
        reply = send(console, method, path, body)
        assert (reply.status, reply.json()["code"]) == (409, "budget_of_file")


@pytest.mark.parametrize(
    ("changes", "parameter"),
    [
        *(({"limit": "-5 USD"}, "limit"), ({"limit": "1e400 USD"}, "limit")),
        *(({"limit": 50}, "limit"), ({"limit": "50"}, "limit"), ({"scope": "galaxy"}, "scope")),
        *(({"window": "fortnight"}, "window"), ({"timezone": "Mars/Base"}, "timezone")),
        *(({"mode": "soft"}, "mode"), ({"scope": "team:nobody"}, "match")),
        *(({"rollover": "60 USD"}, "rollover"), ({"alert_at": ["many"]}, "alert_at")),
        *(({"alert_at": [0]}, "budget"), ({"scope": "tag"}, "budget"), ({"id": "b"}, "body")),
        *(({"name": "x\u202e"}, "budget"), ({"exempt_models": [""]}, "budget")),
    ],
)
def test_what_is_no_budget_is_refused(
    console: RunningConsole, changes: dict[str, Any], parameter: str
) -> None:
    reply = send(console, "POST", PATH, WORDS | changes)
    assert reply.status == 422, reply.text
    assert reply.header("content-type").startswith("application/problem+json")
    assert (reply.json()["code"], reply.json()["parameter"]) == ("bad_question", parameter)
    assert console.store.budgets() == []


def test_a_limit_of_nothing_is_a_budget(console: RunningConsole) -> None:
    assert send(console, "POST", PATH, WORDS | {"limit": "0 USD"}).status == 201


def test_who_may_not_change_changes_nothing(console: RunningConsole) -> None:
    kept(console, "b1")
    for who in ("member", "lead", "auditor"):
        for method, path, body in (
            ("POST", PATH, WORDS),
            ("POST", f"{PATH}/b1", {"version": 1, "limit": "$1"}),
            ("DELETE", f"{PATH}/b1", None),
            ("POST", f"{PATH}/b1/top-up", {"amount": "$1", "version": 1}),
        ):
            assert send(console, method, path, body, who).status == 403
    assert [each.version for each in console.store.budgets()] == [1]
    assert (
        send(console, "POST", f"{PATH}/b1", {"version": 1, "limit": "$9"}, "finance").status == 200
    )


def test_a_budget_is_tried_on_the_past(console: RunningConsole) -> None:
    for number, dollars in enumerate((3, 4, 5)):
        console.load(
            console.entry_of(
                "member",
                started_at_us=console.now_us - (3 - number) * DAY,
                cost_nanos=dollars * DOLLAR,
                basis=Basis.MEASURED,
            )
        )
    wanted = {"scope": "org", "limit": "8 USD", "window": "lifetime"}
    reply = send(console, "POST", REPLAYS, {"budget": wanted, "days": 30})
    assert reply.status == 200, reply.text
    found = reply.json()
    assert (found["calls"], found["amount"]) == (3, "12.000000000")
    assert (found["refused_calls"], found["refused_amount"]) == (1, "5.000000000")
    (whom,) = found["whom"]
    assert whom["name"] == "alice@acme.com"
    (window,) = found["windows"]
    assert window["to"] is None
    document = console.get("/api/v1/openapi.json").json()
    schema = {"$ref": "#/components/schemas/BudgetReplay"}
    assert faults(document, schema, found) == []
    kept(console, "b1", limit="1 USD", window="day")
    daily = send(console, "POST", REPLAYS, {"id": "b1", "days": 90}).json()
    assert (daily["refused_calls"], daily["windows_refusing"]) == (3, 3)
    assert faults(document, schema, daily) == []
    assert console.store.budgets()[0].version == 1
    for body in ({}, {"id": "b1", "budget": wanted}, {"id": "b1", "days": 0}, {"days": 30}):
        assert send(console, "POST", REPLAYS, body).status == 422
    assert send(console, "POST", REPLAYS, {"id": "nothing"}).status == 404
    for who in ("member", "lead"):
        assert send(console, "POST", REPLAYS, {"id": "b1"}, who).status == 403
    assert send(console, "POST", REPLAYS, {"id": "b1"}, "auditor").status == 200


def test_answers_are_what_the_description_says(console: RunningConsole) -> None:
    made = kept(console, "b1", scope="each user")
    spend(console, made, DOLLAR, entity=console.users["member"].user_id)
    kept(console, "b2", window="prepaid", scope="tag:feature=chat", rollover="none")
    document = console.get("/api/v1/openapi.json").json()
    for row in send(console, "GET", PATH).json()["budgets"]:
        assert faults(document, {"$ref": "#/components/schemas/Budget"}, row) == []


def test_me_says_what_is_left(console: RunningConsole) -> None:
    key = {"authorization": f"Bearer {console.virtual_key.token}"}
    alice = console.users["member"].user_id
    org = kept(console, "b1", limit="100 USD")
    own = kept(console, "b2", scope="each user", limit="5 USD", window="day")
    kept(console, "b3", scope="team:other")
    kept(console, "b4", scope="model:gpt-*")
    watched = kept(console, "b5", scope=f"user:{alice}", limit="1 USD", mode="observe")
    spend(console, org, 10 * DOLLAR)
    spend(console, own, DOLLAR, DOLLAR // 2, entity=alice)
    spend(console, own, 4 * DOLLAR, entity=console.users["other member"].user_id)
    spend(console, watched, DOLLAR)
    found = console.get("/me", **key).json()["budgets"]
    assert [(row["id"], row["left"]) for row in found] == [
        ("b5", "0.000000000"),
        ("b2", "3.500000000"),
        ("b1", "90.000000000"),
    ]
    document = console.get("/api/v1/openapi.json").json()
    for row in found:
        assert faults(document, {"$ref": "#/components/schemas/OwnBudget"}, row) == []
    line = console.get("/me?format=line", **key).text
    assert line == "$0.00 today · 0 calls · $3.50 of $5.00 left until Sep 22\n"
    session = console.get("/api/v1/me", console.session("member")).json()
    assert [row["id"] for row in session["budgets"]] == ["b5", "b2", "b1"]
    stranger = {"authorization": f"Bearer {console.other_key.token}"}
    rows = console.get("/me", **stranger).json()["budgets"]
    assert {row["id"] for row in rows} == {"b1", "b2", "b3"}
    assert "alice" not in console.get("/me", **stranger).text
