"""LiteLLM's management calls: requests as its documentation writes them, and what they become."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from consoles import Reply, RunningConsole, running_console
from litellm_curl import ADMIN, difference, filled, parse_curl
from tollkeeper.domain.access import Role
from tollkeeper.domain.budget_windows import WindowKind
from tollkeeper.domain.budgets import BudgetScope, Mode
from tollkeeper.domain.errors import BadRequest
from tollkeeper.domain.litellm_keys import LITELLM, MARK
from tollkeeper.domain.litellm_terms import duration_of, nanos_of, span_us, window_of

EXCHANGES = json.loads(Path(__file__).with_name("litellm_exchanges.json").read_text("utf-8"))
SECOND_US = 1_000_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[RunningConsole]:
    with running_console(tmp_path) as made:
        yield made


def asked(desk: RunningConsole, curl: str) -> Reply:
    request = parse_curl(curl)
    headers = {
        name: value.replace(ADMIN, desk.admin_key.token) for name, value in request.headers.items()
    }
    return desk.ask(request.method, request.target, headers=headers, body=request.body)


def post(desk: RunningConsole, path: str, **body: Any) -> Any:
    reply = desk.send("POST", path, body, headers=desk.as_admin_key)
    assert reply.status == 200, reply.text
    return reply.json()


def refused(desk: RunningConsole, path: str, **body: Any) -> Mapping[str, Any]:
    reply = desk.send("POST", path, body, headers=desk.as_admin_key)
    assert reply.status in {400, 404, 409, 422}, reply.text
    found: Mapping[str, Any] = reply.json()
    assert found["error"]["message"] == found["detail"]
    return found


def test_every_exchange_is_as_it_was_written_down(desk: RunningConsole) -> None:
    known = {"<admin key>": f"key {desk.admin_key.record.key.key_id}"}
    for number in range(2):
        cost = (52_000, 1_000_000_000)[number]
        call = f"call-{number}"
        desk.load(
            desk.entry_of(
                "member",
                entry_id=call,
                call_id=call,
                started_at_us=desk.now_us - (2 - number) * SECOND_US,
                team="QA Prod Bot",
                user_id="ishaan",
                user_name="ishaan",
                key_id="keyid123",
                cost_nanos=cost,
                list_cost_nanos=cost,
                end_customer="palantir",
            )
        )
    for each in EXCHANGES:
        desk.now_us += SECOND_US
        reply = asked(desk, filled(each["curl"], known))
        assert reply.status == each["status"], (each["name"], reply.text)
        assert not difference(each["answer"], reply.json(), known), each["name"]


def test_what_they_make_are_our_own_teams_people_keys_and_budgets(desk: RunningConsole) -> None:
    team = post(desk, "/team/new", team_alias="apps", max_budget=5, budget_duration="1mo")
    post(desk, "/user/new", user_id="u-1", teams=[team["team_id"]], max_budget=0.1, rpm_limit=7)
    made = post(desk, "/key/generate", user_id="u-1", max_budget=1, budget_duration="1d")
    store = desk.store
    kept = store.team_named("apps")
    assert kept is not None
    assert kept.team_id == team["team_id"]
    user = store.user("u-1")
    assert user is not None
    assert (user.team, user.role, user.email) == ("apps", Role.MEMBER, "u-1@litellm.invalid")
    record = store.key(made["token"])
    assert record is not None
    assert (record.key.user_id, record.key.team) == ("u-1", "apps")
    assert record.key.tags == {MARK: LITELLM}
    found = {(it.scope, it.match): (it.limit, it.window.kind, it.mode) for it in store.budgets()}
    assert found == {
        (BudgetScope.TEAM, "apps"): (5 * 10**9, WindowKind.MONTH, Mode.HARD),
        (BudgetScope.USER, "u-1"): (10**8, WindowKind.LIFETIME, Mode.HARD),
        (BudgetScope.KEY, made["token"]): (10**9, WindowKind.DAY, Mode.HARD),
    }
    (stored,) = store.rate_rules()
    assert (stored.rule.scope, stored.rule.match) == (BudgetScope.USER, "u-1")
    assert stored.rule.requests_per_minute == 7
    assert stored.set_by == f"key {desk.admin_key.record.key.key_id}"


def test_a_deleted_key_takes_its_budget_and_limit_with_it(desk: RunningConsole) -> None:
    made = post(desk, "/key/generate", user_id="u-1", max_budget=1, tpm_limit=9)
    other = post(desk, "/key/generate", user_id="u-1", max_budget=1, tpm_limit=9)
    post(desk, "/key/delete", keys=[made["token"]])
    (left,) = desk.store.rate_rules()
    assert left.rule.match == other["token"]
    ended = {it.match for it in desk.store.budgets() if it.until_us <= desk.now_us + 2 * SECOND_US}
    assert ended == {made["token"]}


def test_all_of_a_refused_request_is_undone(desk: RunningConsole) -> None:
    said = refused(desk, "/key/generate", user_id="new-one", budget_id="no-such-budget")
    assert said["code"] == "budget_not_found"
    assert desk.store.user("new-one") is None
    refused(desk, "/team/new", team_alias="t", members=["u-1", "u-1"], max_budget=1)
    assert desk.store.team_named("t") is None
    made = post(desk, "/key/generate", user_id="u-1")
    refused(desk, "/key/delete", keys=[made["key"], "nobody00"])
    record = desk.store.key(made["token"])
    assert record is not None
    assert record.revoked_at_us is None


@pytest.mark.parametrize(
    "body",
    [
        {"blocked": True},
        {"guardrails": ["pii"]},
        {"model_max_budget": {"gpt-4o": 1}},
        {"permissions": {"a": True}},
        {"key": "sk-mine"},
        {"models": ["no-default-models"]},
        {"key_type": "management"},
        {"unheard_of": 1},
        {"max_budget": -1},
        {"max_budget": 1e-10},
        {"max_budget": "1"},
        {"max_budget": True},
        {"max_budget": 1, "budget_duration": "10s"},
        {"rpm_limit": 0},
        {"rpm_limit": 1.5},
        {"duration": "soon"},
        {"duration": "0d"},
        {"metadata": ["a"]},
        {"metadata": {"a": "x" * 300}},
        {"models": "gpt-4o"},
        {"team_id": "nobody"},
        {"key_alias": 1},
    ],
    ids=str,
)
def test_what_would_open_more_than_was_meant_is_refused(
    console: RunningConsole, body: Mapping[str, Any]
) -> None:
    before = len(console.store.budgets()), len(list(console.store.keys()))
    refused(console, "/key/generate", user_id="somebody", **body)
    assert console.store.user("somebody") is None
    assert (len(console.store.budgets()), len(list(console.store.keys()))) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/team/new", {"models": ["gpt-4o"]}),
        ("/user/new", {"models": ["gpt-4o"], "user_id": "x"}),
        ("/user/new", {"user_role": "internal_user_viewer", "user_id": "x"}),
        ("/user/new", {"teams": ["a", "b"], "user_id": "x"}),
        ("/user/new", {"user_id": "two words"}),
        ("/user/new", {"user_id": "x" * 37}),
        ("/team/new", {"members_with_roles": [{"role": "owner", "user_id": "x"}]}),
        ("/team/new", {"members_with_roles": [{"role": "user"}]}),
        ("/budget/new", {}),
        ("/budget/new", {"max_budget": 1, "rpm_limit": 5}),
        ("/budget/new", {"max_budget": 1, "budget_id": "file-1"}),
        ("/key/delete", {}),
    ],
    ids=str,
)
def test_other_calls_refuse_as_well(
    console: RunningConsole, path: str, body: Mapping[str, Any]
) -> None:
    refused(console, path, **body)


def test_a_key_may_not_reach_further_than_the_admin_key_that_makes_it(
    console: RunningConsole,
) -> None:
    bounded = console.send(
        "POST",
        "/api/v1/keys",
        {"name": "bounded", "role": "admin", "models": ["gpt-4o"]},
        headers=console.as_admin_key,
    ).json()
    headers = {"authorization": f"Bearer {bounded['key']}"}
    body = {"user_id": "reach", "models": ["claude-opus-4"]}
    reply = console.send("POST", "/key/generate", body, headers=headers)
    assert reply.status == 403
    assert reply.json()["error"]["type"] == "auth_error"
    made = console.send("POST", "/key/generate", {"user_id": "reach"}, headers=headers).json()
    assert made["models"] == ["gpt-4o"]
    body = {"user_id": "boss", "user_role": "proxy_admin"}
    reply = console.send("POST", "/user/new", body, headers=headers)
    assert (reply.status, reply.json()["code"]) == (403, "rights_exceeded")
    assert console.store.user("boss") is None


def test_a_name_that_two_keys_have_deletes_neither(console: RunningConsole) -> None:
    for _ in range(2):
        body = {"name": "twice", "user": "alice@acme.com"}
        made = console.send("POST", "/api/v1/keys", body, headers=console.as_admin_key)
        assert made.status == 201
    said = refused(console, "/key/delete", key_aliases=["twice"])
    assert said["code"] == "key_alias_ambiguous"
    named = [it for it in list(console.store.keys()) if it.key.name == "twice"]
    assert [it.revoked_at_us for it in named] == [None, None]


def test_an_admin_key_may_ask_for_itself_and_is_no_alias(console: RunningConsole) -> None:
    reply = console.send("GET", "/key/info", headers=console.as_admin_key)
    assert reply.status == 200
    record = console.admin_key.record
    assert reply.json()["key"] == record.key.key_id
    assert reply.json()["info"]["key_name"].startswith("tk_admin_")
    post(console, "/budget/new", budget_id="ended", max_budget=1)
    gone = console.send("DELETE", "/api/v1/budgets/ended", headers=console.as_admin_key)
    assert gone.status == 200
    console.now_us += 3 * SECOND_US
    said = refused(console, "/key/generate", user_id="late", budget_id="ended")
    assert said["code"] == "budget_not_found"


def test_amounts_are_read_to_the_last_digit() -> None:
    assert nanos_of(0.000000001, "x") == 1
    assert nanos_of(0.1, "x") == 100_000_000
    assert nanos_of(12, "x") == 12 * 10**9
    for bad in (0.0000000001, float("nan"), float("inf"), -1, "1", None, True):
        with pytest.raises(BadRequest):
            nanos_of(bad, "x")


def test_durations_are_windows_of_the_calendar_and_spans_of_time() -> None:
    for text, kind in (
        *(("1h", WindowKind.HOUR), ("24h", WindowKind.DAY), ("1d", WindowKind.DAY)),
        *(("7d", WindowKind.WEEK), ("30d", WindowKind.MONTH), ("1mo", WindowKind.MONTH)),
        *(("90d", WindowKind.QUARTER), ("365d", WindowKind.YEAR), ("", WindowKind.LIFETIME)),
    ):
        rule = window_of(text, "Europe/Berlin")
        assert (rule.kind, rule.zone) == (kind, "Europe/Berlin")
        again = duration_of(rule)
        assert again is None or window_of(again, "UTC").kind is kind
    assert span_us("2h", "duration") == 7_200 * SECOND_US
    assert span_us("1mo", "duration") == 30 * 86_400 * SECOND_US
