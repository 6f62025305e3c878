"""Rate limits over the API: who may see and set them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from tollkeeper.console.access import FORM_HEADER

PATH = "/api/v1/limits"
TOKENS = 62
"""What a call of ``ledger_entry`` used."""
LIMIT = {"name": "agents", "scope": "key", "each": True, "requests_per_minute": 60}


def _send(console: RunningConsole, method: str, path: str, data: Any = None, who: str = "") -> Any:
    if not who:
        return console.send(method, path, data, headers=console.as_admin_key)
    session = console.session(who)
    return console.send(
        method, path, data, headers=session.headers | {FORM_HEADER: session.form_token}
    )


def test_a_limit_is_set_changed_listed_and_removed(console: RunningConsole) -> None:
    made = _send(console, "POST", PATH, LIMIT)
    assert made.status == 201
    assert made.json()["parallel"] is None
    changed = _send(console, "POST", PATH, LIMIT | {"parallel": 5}, "admin").json()
    assert (changed["id"], changed["parallel"]) == (made.json()["id"], 5)
    assert _send(console, "GET", PATH).json()["limits"] == [changed]
    removed = _send(console, "DELETE", f"{PATH}/{changed['id']}")
    assert (removed.status, removed.json()) == (200, changed)
    again = _send(console, "DELETE", f"{PATH}/{changed['id']}")
    assert (again.status, again.json()["code"]) == (404, "rate_limit_not_found")
    assert _send(console, "GET", PATH).json()["limits"] == []


def test_pages_of_the_list_are_complete(console: RunningConsole) -> None:
    for number in range(3):
        _send(console, "POST", PATH, LIMIT | {"name": f"limit {number}"})
    first = _send(console, "GET", f"{PATH}?limit=2").json()
    rest = _send(console, "GET", f"{PATH}?limit=2&cursor={first['next_cursor']}").json()
    names = [each["name"] for each in first["limits"] + rest["limits"]]
    assert names == ["limit 0", "limit 1", "limit 2"]
    for each in first["limits"] + rest["limits"]:
        _send(console, "DELETE", f"{PATH}/{each['id']}")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"scope": "org"}, 422, "scope"),
        ({"requests_per_minute": 0}, 400, "whole number"),
        ({"requests_per_minute": -1}, 400, "whole number"),
        ({"requests_per_minute": None}, 400, "at least one"),
        ({"requests_per_minute": 10**30}, 400, "whole number"),
        ({"requests_per_minute": 1.5}, 422, "requests_per_minute"),
        ({"requests_per_minute": "60"}, 422, "requests_per_minute"),
        ({"match": "nobody"}, 404, "there is no key"),
        ({"name": ""}, 400, "name"),
        ({"name": "a\nb"}, 400, "name"),
        ({"paralel": 1}, 422, "paralel"),
    ],
)
def test_what_cannot_be_used_is_refused(
    console: RunningConsole, body: dict[str, Any], status: int, says: str
) -> None:
    refused = _send(console, "POST", PATH, LIMIT | body)
    assert refused.status == status, refused
    assert says in refused.text
    assert _send(console, "GET", PATH).json()["limits"] == []


def test_a_number_beyond_all_numbers_is_refused(console: RunningConsole) -> None:
    body = b'{"name": "a", "scope": "key", "requests_per_minute": 1e400}'
    headers = {"content-type": "application/json", **console.as_admin_key}
    reply = console.ask("POST", PATH, headers=headers, body=body)
    assert reply.status in {400, 422}, reply


@pytest.mark.parametrize("who", ["member", "lead", "finance"])
def test_nobody_else_learns_how_others_are_set_up(console: RunningConsole, who: str) -> None:
    for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/x")):
        assert _send(console, method, path, LIMIT, who).status == 403
    assert _send(console, "GET", PATH, who="auditor").status == 200
    assert _send(console, "POST", PATH, LIMIT, "auditor").status == 403


def test_a_key_sees_the_limits_that_it_meets(console: RunningConsole) -> None:
    team = {"scope": "team", "match": "other", "each": False}
    model = {"scope": "model", "match": "gpt-*", "each": False}
    for name, changes in (("mine", {}), ("theirs", team), ("a model", model)):
        made = _send(console, "POST", PATH, LIMIT | changes | {"name": name})
        assert made.status == 201, made
    bearer = {"authorization": f"Bearer {console.virtual_key.token}"}
    shown = console.get("/me", **bearer).json()["limits"]
    named = {each["name"]: each["models"] for each in shown}
    assert named == {"a model": "gpt-*", "mine": "*"}
    assert shown[1]["requests_per_minute"] == 60
    for each in _send(console, "GET", PATH).json()["limits"]:
        _send(console, "DELETE", f"{PATH}/{each['id']}")
    assert console.get("/me", **bearer).json()["limits"] == []


def test_what_was_used_of_a_limit_is_told_where_it_counts_nobody_else(tmp_path: Path) -> None:
    limits: dict[str, dict[str, Any]] = {
        "each key": {},
        "all keys": {"each": False},
        "each person": {"scope": "user", "tokens_per_minute": 9_000},
        "all people": {"scope": "user", "each": False},
        "the team": {"scope": "team", "match": "core", "each": False},
        "models": {"scope": "model", "match": "gpt-*", "parallel": 2},
    }
    with running_console(tmp_path) as console:
        for name, changes in limits.items():
            assert _send(console, "POST", PATH, LIMIT | changes | {"name": name}).status == 201
        mine, now_us = console.virtual_key.record.key.key_id, console.now_us
        for who, key_id, ago_us in (
            *(("member", mine, 1_000_000), ("member", mine, 59_000_000)),
            *(("member", "another", 1_000_000), ("member", mine, 61_000_000)),
            ("other member", "theirs", 1_000_000),
        ):
            call = f"{who} {key_id} {ago_us}"
            entry = console.entry_of(who, call_id=call, entry_id=call, key_id=key_id)
            console.load(entry._replace(started_at_us=now_us - ago_us))

        bearer = {"authorization": f"Bearer {console.virtual_key.token}"}
        shown = {each["name"]: each for each in console.get("/me", **bearer).json()["limits"]}
        assert {name: each["last_minute"] for name, each in shown.items()} == {
            "each key": {"requests": 2, "tokens": 2 * TOKENS},
            "each person": {"requests": 3, "tokens": 3 * TOKENS},
            **dict.fromkeys(("all keys", "all people", "the team", "models")),
        }
        assert {each["source"] for each in shown.values()} == {"store"}
        line = console.get("/me?format=line", **bearer).text
        assert "minute" not in line
        page = console.get("/me", console.session("member")).text
    assert "Rate limits that my calls meet" in page
    assert "60 requests a minute, 2 at the same time" in page
    assert "3 requests, 186 tokens" in page
    assert page.count("not shown here") == 4


def test_who_meets_no_limit_sees_none(console: RunningConsole) -> None:
    assert "Rate limits" not in console.get("/me", console.session("member")).text
