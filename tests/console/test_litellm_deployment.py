"""LiteLLM's quick start by curl, against a whole deployment: team, user, key, calls, 429, spend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from canaries import PLANTED
from command_line import run_command
from consoles import until
from litellm_curl import ADMIN, filled
from loopback import HOST
from served import Served, served

THEIRS = "http://0.0.0.0:4000"
CALLS_MAX = 400
TEAM = """curl -X POST 'http://0.0.0.0:4000/team/new' \\
  -H 'Authorization: Bearer sk-1234' \\
  -H 'Content-Type: application/json' \\
  -d '{"team_alias": "QA Prod Bot", "max_budget": 100, "budget_duration": "30d"}'"""
USER = """curl --location 'http://0.0.0.0:4000/user/new' \\
  --header 'Authorization: Bearer sk-1234' \\
  --header 'Content-Type: application/json' \\
  --data-raw '{"user_id": "ishaan", "teams": ["<team>"], "max_budget": 0.0005,
               "budget_duration": "1mo", "auto_create_key": false}'"""
KEY = """curl --location 'http://0.0.0.0:4000/key/generate' \\
  --header 'Authorization: Bearer sk-1234' \\
  --header 'Content-Type: application/json' \\
  --data-raw '{"user_id": "ishaan", "team_id": "<team>", "key_alias": "ishaans-key"}'"""
CALL = """curl -X POST 'http://0.0.0.0:4000/chat/completions' \\
  -H 'Authorization: Bearer <key>' \\
  -H 'Content-Type: application/json' \\
  -d '{"model": "sandbox/echo", "max_tokens": 5,
       "messages": [{"role": "user", "content": "hi"}]}'"""
GET = "curl -X GET 'http://0.0.0.0:4000{}' -H 'Authorization: Bearer sk-1234'"


class Said(NamedTuple):
    status: int
    document: Any


class Shell:
    """Runs curl lines as they stand, with our address and admin key in the place of theirs."""

    def __init__(self, made: Served, admin_key: str) -> None:
        self._words = {THEIRS: f"http://{HOST}:{made.port}", ADMIN: admin_key}

    def __call__(self, line: str, **known: str) -> Said:
        text = filled(line, {f"<{name}>": value for name, value in known.items()})
        for theirs, ours in self._words.items():
            text = text.replace(theirs, ours)
        done = subprocess.run(
            ["bash", "-c", f"{text} -s --noproxy '*' -w '\\n%{{http_code}}'"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        body, _, status = done.stdout.rpartition("\n")
        return Said(int(status), json.loads(body))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder: Path = tmp_path_factory.mktemp("litellm")
    with served(folder) as made:
        issued = run_command(
            *("keys", "issue", "--name", "litellm", "--role", "admin", "--json"), folder=folder
        )
        token = issued.json()["key"]
        PLANTED.plant("an admin key's secret", token.rpartition("_")[2])
        yield Shell(made, token)


def test_a_user_over_max_budget_is_refused_with_429(shell: Shell) -> None:
    team = shell(TEAM)
    assert team.status == 200, team
    team_id = team.document["team_id"]
    assert shell(USER, team=team_id).status == 200
    made = shell(KEY, team=team_id)
    assert made.status == 200, made
    key = made.document["key"]
    PLANTED.plant("a key's secret", key.rpartition("_")[2])

    until(lambda: _all_count(shell))  # two seconds after a budget was made

    statuses: list[int] = []
    while 429 not in statuses and len(statuses) < CALLS_MAX:
        said = shell(CALL, key=key)
        statuses.append(said.status)
    assert statuses[0] == 200
    assert set(statuses) == {200, 429}, statuses
    assert said.document["error"]["code"] == "insufficient_quota"
    assert shell(CALL, key=key).status == 429, "it stays so"

    until(lambda: _is_told(shell, statuses.count(200)))
    (day,) = shell(GET.format("/global/spend/report?group_by=team")).document
    (part,) = day["teams"]
    assert part["team_name"] == "QA Prod Bot"
    assert 0 < part["total_spend"] <= 0.0005
    until(lambda: _info(shell)["user_info"]["spend"] == part["total_spend"])
    user = _info(shell)
    assert user["user_info"]["max_budget"] == 0.0005
    assert [each["key_alias"] for each in user["keys"]] == ["ishaans-key"]
    told = shell(GET.format("/key/info?key=<key>"), key=key).document
    assert told["info"]["spend"] == part["total_spend"]

    gone = shell(
        "curl 'http://0.0.0.0:4000/key/delete' -H 'Authorization: Bearer sk-1234' "
        "-H 'Content-Type: application/json' -d '{\"keys\": [\"<key>\"]}'",
        key=key,
    )
    assert gone == Said(200, {"deleted_keys": [key]})
    until(lambda: shell(CALL, key=key).status == 401)


def _all_count(shell: Shell) -> bool:
    listed = shell(GET.format("/api/v1/budgets")).document["budgets"]
    return {each["state"] for each in listed} == {"active"}


def _info(shell: Shell) -> Any:
    return shell(GET.format("/user/info?user_id=ishaan")).document


def _is_told(shell: Shell, calls: int) -> bool:
    rows = shell(GET.format("/spend/logs?user_id=ishaan")).document
    return len([each for each in rows if each["status"] == "success"]) == calls
