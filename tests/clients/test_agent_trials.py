"""How ``make test-agents`` judges what an agent did, and what it leaves behind: nothing.

The agents themselves are too large to be installed here; a small script plays one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent_catalogue import AGENTS, Agent
from agent_processes import run_program
from agent_server import TEAM, USER, Server, running
from agent_table import BEGIN, END, table, write_into
from agent_trial import Bench, Refusal, Trial, shown_text, try_agent
from tollkeeper.services.connect import Connection, tool_settings

PLAYED = Agent("qwen-code", "played", "0.24.4", "qwen", (), has_session=False)

WELL_BEHAVED = """
import json, os, sys, urllib.error, urllib.request
body = {"model": os.environ["OPENAI_MODEL"], "messages": [{"role": "user", "content": "say hi"}]}
call = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps(body).encode(),
    {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "user-agent": "QwenCode/0.24.4"},
)
try:
    print(json.load(urllib.request.urlopen(call))["choices"][0]["message"]["content"])
except urllib.error.HTTPError as error:
    print("[API Error:", json.load(error)["error"]["message"] + "]")
    sys.exit(1)
"""
STUBBORN = """
import os, urllib.request
for _ in range(9):
    call = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/models",
        headers={"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
    )
    try:
        urllib.request.urlopen(call)
    except OSError:
        pass
print("something went wrong")
"""


def program(folder: Path, text: str) -> Path:
    file = folder / "agent"
    file.write_text(f"#!{sys.executable}\n{text}", "utf-8")
    file.chmod(0o755)
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def bench_of(server: Server, tmp_path: Path) -> Bench:
    return Bench(server, tmp_path / "runs", Path(sys.executable).parent, 60.0)


def test_an_agent_that_does_all_as_it_must(server: Server, tmp_path: Path) -> None:
    trial = try_agent(bench_of(server, tmp_path), PLAYED, program(tmp_path, WELL_BEHAVED))
    assert trial.faults == ()
    assert trial.attributed == f"{USER} / {TEAM}"
    assert (trial.version, trial.model) == ("qwen-code 0.24.4", "gpt-4.1-mini")
    assert trial.requests == 1
    assert trial.cost_usd is not None
    assert trial.cost_usd > 0
    assert [refusal.requests for refusal in trial.refusals.values()] == [1, 1, 1]
    shown = [refusal.shown for refusal in trial.refusals.values()]
    assert "may not use model 'gpt-4.1-mini'" in shown[0]
    assert shown[1].endswith("is revoked]")
    assert '" (this key) is used up: $0.00' in shown[2]


def test_an_agent_that_calls_nobody_and_asks_on_after_a_refusal(
    server: Server, tmp_path: Path
) -> None:
    trial = try_agent(bench_of(server, tmp_path), PLAYED, program(tmp_path, STUBBORN))
    assert trial.faults == (
        "did not show the answer but 'something went wrong'",
        "no call in the ledger",
        "may not use model: the reason was not shown, but 'something went wrong'",
        "may not use model: 0 requests",
        "revoked key: the reason was not shown, but 'something went wrong'",
        "revoked key: 9 requests",
        "budget used up: the reason was not shown, but 'something went wrong'",
        "budget used up: 0 requests",
        "budget used up: it was not shown where to ask for more",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the child in /proc")
def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    text = "import subprocess, sys\n"
    text += 'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])\n'
    text += "print(child.pid, flush=True)\nchild.wait()\n"
    file = program(tmp_path, text)
    finished = run_program([file], os.environ, tmp_path, 2.0, tmp_path / "output.txt")  # noqa: TID251
    assert finished.exit_code is None
    state = Path(f"/proc/{int(finished.output)}/stat")
    for _ in range(100):  # it is reaped by whoever adopts it
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("a child outlived its agent")


@pytest.mark.parametrize(
    ("output", "words", "shown"),
    [
        ("one\ntwo\nthree\nfour\n", "", "two / three / four"),
        ("\x1b[31mError:\x1b[0m key is revoked\nbye\n", "is revoked", "Error: key is revoked"),
        ("nothing of that\n", "is revoked", ""),
        (f"{'a' * 99} is revoked {'b' * 200}", "is revoked", f"…{'a' * 59} is revoked {'b' * 89}…"),
        ("", "", ""),
    ],
)
def test_what_an_agent_showed(output: str, words: str, shown: str) -> None:
    assert shown_text(output, words) == shown


def a_trial(**changes: Any) -> Trial:
    refusals = {"revoked key": Refusal("Error: a|b is revoked", 1, 2.4)}
    usual = Trial(
        AGENTS[0],
        way="",
        version="claude-code 2.1",
        model="claude-x",
        session="s-1",
        requests=2,
        cost_usd=Decimal("0.0123"),
        flat_rate=False,
        attributed="a / b",
        refusals=refusals,
        faults=(),
    )
    return usual._replace(**changes)


def test_the_table_says_all_and_stays_a_table(tmp_path: Path) -> None:
    text = table([a_trial(), a_trial(faults=("no | cost",), cost_usd=None)], "a machine")
    first, second = [line for line in text.splitlines() if line.startswith("| claude-code 2")]
    assert first.endswith("| yes | a / b | claude-code 2.1 | claude-x | `s-1` | 2 | $0.0123 |")
    assert "**no**: no \\| cost" in second
    flat = table([a_trial(flat_rate=True, way="own login")], "a machine")
    assert f"| claude-code {AGENTS[0].version}, own login | yes |" in flat
    assert "| 0 (worth $0.0123) |" in flat
    assert "| revoked key | Error: a\\|b is revoked | 1 | 2 |" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n", "utf-8")
    write_into(page, text)
    assert page.read_text("utf-8") == f"before\n{BEGIN}{text}{END}after\n"
    page.write_text("no marks", "utf-8")
    with pytest.raises(ValueError, match="no place"):
        write_into(page, text)


def test_there_are_printed_settings_for_every_agent() -> None:
    printed = {each.tool for each in tool_settings(Connection("http://gateway.test", "key"))}
    assert {agent.tool for agent in AGENTS} <= printed
