"""calls, spend and doctor beside a running server, and without one: the same answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import Ended, invoke
from ledgers import open_duckdb
from served import Served, served
from tollkeeper.bootstrap import running_server
from tollkeeper.bootstrap.report_source import WAITING
from tollkeeper.console import access

LOADED_S = 20.0
_HOLD = """
import sys
from pathlib import Path
from ledgers import open_duckdb
ledger = open_duckdb(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""

QUESTIONS = [
    ("spend", "--by", "team,model"),
    ("spend", "--by", "day,tag:feature", "--since", "today"),
    ("spend", "--by", "", "--metrics", "requests,cost_usd,duration_p95_ms"),
    ("spend", "--filter", "tag:feature=chat", "--json"),
    ("spend", "--by", "user", "--since", "month", "--tz", "Europe/Berlin"),
    ("spend", "--filter", "team:nobody"),
    ("adoption",),
    ("adoption", "--json"),
    ("savings", "--json"),
    ("spend", "--by", "color"),
    ("spend", "--filter", "nonsense"),
    ("calls",),
    ("calls", "--json"),
    ("calls", "--limit", "2", "--filter", "outcome:ok"),
    ("calls", "--since", "yesterday?"),
    ("calls", "show", "CALL"),
    ("calls", "show", "CALL", "--json"),
    ("calls", "show", "nobody/knows?this"),
    ("budgets", "list"),
    ("budgets", "replay", "--limit", "0 USD", "--window", "year"),
    ("budgets", "replay", "--limit", "2 requests", "--scope", "tag:feature=chat"),
    ("budgets", "replay", "--limit", "2 requests", "--scope", "tag:no key=chat"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served")) as made, pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        for name, value in made.environment.items():
            patch.setenv(name, value)
        for text in ("one", "two", "three"):
            made.call(text, **{"x-tollkeeper-tags": "feature=chat,customer=acme"})
        made.call("four")
        wait_for_calls(4)
        yield made


def wait_for_calls(count: int) -> list[dict[str, object]]:
    deadline_s = time.monotonic() + LOADED_S
    while True:
        found: list[dict[str, object]] = invoke("calls", "--json").json()["calls"]
        if len(found) >= count or time.monotonic() > deadline_s:
            assert len(found) == count
            return found
        time.sleep(0.1)


def ask_everything(call_id: str) -> dict[tuple[str, ...], Ended]:
    return {
        question: invoke(*(call_id if word == "CALL" else word for word in question))
        for question in QUESTIONS
    }


def checks(*arguments: str) -> dict[str, dict[str, str]]:
    ended = invoke("doctor", "--offline", "--json", *arguments)
    return {check["name"]: check for check in json.loads(ended.out)["checks"]}


def test_answers_are_the_same_with_the_server_and_without_it(server: Served) -> None:
    call_id = str(wait_for_calls(4)[0]["call_id"])
    asked = ask_everything(call_id)
    codes = {question: ended.code for question, ended in asked.items() if ended.code}
    assert codes == {
        ("spend", "--by", "color"): 2,
        ("spend", "--filter", "nonsense"): 2,
        ("calls", "--since", "yesterday?"): 2,
        ("calls", "show", "nobody/knows?this"): 1,
        ("budgets", "replay", "--limit", "2 requests", "--scope", "tag:no key=chat"): 2,
    }
    shown = asked["calls", "show", "CALL", "--json"].json()
    assert [line["quantity"] for line in shown["entries"][0]["lines"]] == ["input", "output"]
    assert asked["calls", "--json"].json()["calls"][1]["tags"]["feature"] == "chat"

    server.stop()
    assert ask_everything(call_id) == asked

    held = subprocess.Popen(
        [sys.executable, "-c", _HOLD, server.data.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},  # noqa: TID251
    )
    assert held.stdout is not None
    assert held.stdout.readline() == b"held\n"
    for question in (("calls",), ("spend",)):
        ended = invoke(*question)
        assert (ended.code, ended.out) == (1, "")
        assert f"in use by process {held.pid}" in ended.err
    assert checks()["ledger"]["state"] == "fail"
    held.communicate(timeout=60)
    assert invoke("calls").code == 0
    server.start()


def test_calls_are_followed_as_they_end(server: Served) -> None:
    command = [sys.executable, "-m", "tollkeeper", "calls", "--follow", "--json", "--limit", "1"]
    # What is started in the background of a script may have been told to ignore Ctrl-C.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        signal.signal(signal.SIGINT, ignored)
        try:
            assert follower.stdout is not None
            first = json.loads(follower.stdout.readline())
            server.call("five", **{"x-tollkeeper-tags": "feature=followed"})
            then = json.loads(follower.stdout.readline())
            follower.send_signal(signal.SIGINT)
            follower.stdout.close()
            assert follower.wait(30) == 0
        finally:
            follower.kill()
    assert then["tags"]["feature"] == "followed"
    assert then["call_id"] != first["call_id"]


def test_the_doctor_asks_the_running_server(server: Served) -> None:
    found = checks()
    assert not [check for check in found.values() if check["state"] == "fail"]
    assert "is ready on" in found["server"]["finding"]
    assert "open in the running server" in found["ledger"]["finding"]
    assert "0 entries wait" in found["journal"]["finding"]
    assert "port" not in found


def test_the_doctor_knows_the_server_of_another_folder(server: Served, tmp_path: Path) -> None:
    found = checks("--data", str(tmp_path / "other"))
    assert found["port"]["state"] == "warn"
    assert "another data folder" in found["port"]["finding"]


def test_a_server_that_is_not_asked_with_its_own_token_refuses(server: Served) -> None:
    token = server.data.operator_token.read_text()
    server.data.operator_token.write_text("guessed")
    try:
        ended = invoke("calls")
        assert (ended.code, ended.out) == (1, "")
        assert "token" in ended.err
        server.data.operator_token.unlink()
        assert "run this command as the user that runs the server" in invoke("spend").err
    finally:
        server.data.operator_token.write_text(token)
        server.data.operator_token.chmod(0o600)
    assert invoke("calls").code == 0


def test_what_waits_in_the_journal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Served(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in alone.environment.items():
        monkeypatch.setenv(name, value)
    alone.start("gateway")
    alone.call("one")
    alone.call("two")
    alone.stop()
    ended = invoke("calls")
    assert ended.code == 0
    assert ended.out.startswith("No calls yet")
    assert WAITING in ended.err
    assert not alone.data.ledger.exists()
    journal = checks()["journal"]
    assert journal["state"] == "warn"
    assert "2 entries wait" in journal["finding"]

    (segment,) = [path for path in alone.data.journal.iterdir() if path.suffix == ".journal"]
    content = bytearray(segment.read_bytes())
    content[40] ^= 0xFF
    segment.write_bytes(content)
    assert "damaged" in checks()["journal"]["finding"]


def test_a_folder_nobody_served_is_no_empty_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for verb in ("calls", "spend"):
        ended = invoke(verb)
        assert (ended.code, ended.out) == (1, ""), list(Path.cwd().iterdir())
        assert "there is no store" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_read_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alone = Served(tmp_path)
    alone.start("gateway")
    alone.stop()
    open_duckdb(alone.data.root).close()
    before = alone.data.ledger.read_bytes()
    assert invoke("calls").out.startswith("No calls yet")
    assert alone.data.ledger.read_bytes() == before


def test_the_console_and_the_command_line_name_the_same_header() -> None:
    assert running_server.OPERATOR_HEADER == access.OPERATOR_HEADER
