"""Price rules over the API: who may see and make them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from consoles import RunningConsole
from tollkeeper.console.access import FORM_HEADER

PATH = "/api/v1/prices/rules"
RULE = {"name": "acme", "provider": "openai", "discount_bp": 1250}


def _send(console: RunningConsole, method: str, path: str, data: Any = None, who: str = "") -> Any:
    if not who:
        return console.send(method, path, data, headers=console.as_admin_key)
    session = console.session(who)
    return console.send(
        method, path, data, headers=session.headers | {FORM_HEADER: session.form_token}
    )


def test_a_rule_is_made_listed_and_ended(console: RunningConsole) -> None:
    made = _send(console, "POST", PATH, RULE | {"until": "2999-01-01T00:00:00+01:00"})
    assert made.status == 201
    rule = made.json()
    assert (rule["state"], rule["until"]) == ("active", "2998-12-31T23:00:00Z")
    assert _send(console, "GET", PATH).json()["rules"][0] == rule
    for _ in range(2):
        ended = _send(console, "DELETE", f"{PATH}/{rule['id']}")
        assert (ended.status, ended.json()["state"]) == (200, "ended")


def test_own_prices_keep_every_digit(console: RunningConsole) -> None:
    usd = {"input": "0.041666666666666664", "output": "1.0"}
    made = _send(console, "POST", PATH, {"name": "own", "model": "ft-*", "usd": usd}).json()
    assert made["usd"] == usd


def test_finance_keeps_rules_and_an_auditor_looks_on(console: RunningConsole) -> None:
    made = _send(console, "POST", PATH, RULE, "finance")
    assert (made.status, made.json()["created_by"]) == (201, "fred@acme.com")
    assert _send(console, "GET", PATH, who="auditor").status == 200
    assert _send(console, "POST", PATH, RULE, "auditor").status == 403


@pytest.mark.parametrize("who", ["member", "lead"])
def test_nobody_else_learns_what_was_agreed(console: RunningConsole, who: str) -> None:
    before = _send(console, "GET", PATH).json()
    for method, path, data in (
        ("GET", PATH, None),
        ("POST", PATH, RULE),
        ("DELETE", f"{PATH}/x", None),
    ):
        assert _send(console, method, path, data, who).status == 403
    assert _send(console, "GET", PATH).json() == before


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"discount_bp": "1250"}, 422, "bad_question"),
        ({"discount_bp": 12.5}, 422, "bad_question"),
        ({"discount_bp": 2**63}, 400, "price_rule_unusable"),
        ({"discount_bp": 0}, 400, "price_rule_unusable"),
        ({"discount_bp": 10_001}, 400, "price_rule_unusable"),
        ({"usd": {"input": "1"}}, 400, "price_rule_unusable"),
        ({"discount_bp": 0, "usd": {"input": "-1"}}, 422, "bad_question"),
        ({"discount_bp": 0, "usd": {"input": "NaN"}}, 422, "bad_question"),
        ({"discount_bp": 0, "usd": {"input": "1e999999"}}, 422, "bad_question"),
        ({"discount_bp": 0, "usd": {"input": 1.5}}, 422, "bad_question"),
        ({"discount_bp": 0, "usd": {"inptu": "1"}}, 400, "price_rule_unusable"),
        ({"name": "x\u202e"}, 400, "price_rule_unusable"),
        ({"name": "x" * 300}, 400, "price_rule_unusable"),
        ({"since": "2026-01-01T00:00:00"}, 422, "bad_question"),
        ({"until": "2001-01-01T00:00:00Z"}, 400, "price_rule_unusable"),
        ({"rule_id": "x"}, 422, "bad_question"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(
    console: RunningConsole, changes: dict[str, Any], status: int, code: str
) -> None:
    before = _send(console, "GET", PATH).json()
    reply = _send(console, "POST", PATH, RULE | changes)
    assert (reply.status, reply.json()["code"]) == (status, code)
    assert _send(console, "GET", PATH).json() == before


def test_a_rule_that_there_is_not_is_not_found(console: RunningConsole) -> None:
    reply = _send(console, "DELETE", f"{PATH}/nothing")
    assert (reply.status, reply.json()["code"]) == (404, "price_rule_not_found")
