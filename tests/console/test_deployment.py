"""The whole of ``tollkeeper serve``: a call goes in, its cost stands on a page."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import duckdb

from consoles import SocketConnection, until
from loopback import HOST
from served import WAIT_S, Served, served
from tollkeeper.console.access import OPERATOR_HEADER

_HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
connection.close()
"""


@contextmanager
def held(ledger: Path) -> Iterator[None]:
    """Let another process have the ledger open."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(ledger)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            assert holder.stdin is not None
            holder.stdin.close()


def entries_in(ledger: Path) -> int:
    """Count what stands in a ledger; none as long as somebody has it open."""
    try:
        connection = duckdb.connect(str(ledger))
    except duckdb.IOException:
        return 0
    with connection:
        found = connection.execute("SELECT count(*) FROM entries").fetchone()
    assert found is not None
    return int(found[0])


def test_a_configuration_that_is_written_after_the_start_is_taken_over(tmp_path: Path) -> None:
    with served(tmp_path) as deployment:
        key = {"Authorization": f"Bearer {deployment.key}"}
        (tmp_path / "tollkeeper.yaml").write_text("models: {later: sandbox/echo}\n")
        until(lambda: b'"later"' in deployment.ask("GET", "/v1/models", **key).body, WAIT_S)


def test_from_the_first_start_to_a_cost_on_the_page(tmp_path: Path) -> None:
    with served(tmp_path) as deployment:
        assert deployment.call().status == 200
        deployment.sign_in()
        until(deployment.calls, WAIT_S)
        (call,) = deployment.calls()
        assert call["model_served"] == "echo"
        assert call["cost_usd"] not in {None, "0.000000000"}
        page = deployment.get("/")
        assert page.status == 200
        assert call["call_id"] in page.text
        one = deployment.get(f"/api/v1/calls/{call['call_id']}").json()
        (entry,) = one["entries"]
        assert sum(float(line["cost_usd"]) for line in entry["lines"]) == float(entry["cost_usd"])
        me = deployment.ask("GET", "/me", authorization=f"Bearer {deployment.key}")
        assert me.json()["today"]["requests"] == 1
        line = deployment.ask("GET", f"/k/{deployment.key}/me?format=line").text
        assert line.endswith(" today · 1 call\n")
        assert "tollkeeper_console_up 1.0" in deployment.ask("GET", "/metrics").text
        assert deployment.ask("GET", "/internal/metrics").status == 404
        _only_this_user_reads(deployment)
        _the_command_line_may_ask(deployment)
        token = deployment.data.operator_token.read_text()
        assert deployment.stop() == 0
        assert not deployment.data.operator_token.exists()
        assert entries_in(deployment.data.ledger) == 1

        deployment.start()
        until(lambda: "is ready on" in deployment.said)
        assert "tk_live_" not in deployment.said
        until(lambda: len(deployment.calls()) == 1, WAIT_S)
        assert deployment.data.operator_token.read_text() != token


def _only_this_user_reads(deployment: Served) -> None:
    for path in (deployment.data.ledger, deployment.data.operator_token):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(deployment.data.socket("console").stat().st_mode) == 0o600


def _the_command_line_may_ask(deployment: Served) -> None:
    headers = {OPERATOR_HEADER: deployment.data.operator_token.read_text()}
    with closing(SocketConnection(deployment.data.socket("console"))) as connection:
        connection.request("GET", "/api/v1/usage", headers=headers)
        assert connection.getresponse().status == 200
    through_gateway = deployment.ask(
        "GET", "/api/v1/usage", x_tollkeeper_operator=headers[OPERATOR_HEADER]
    )
    assert through_gateway.status == 401


def test_a_finished_call_reaches_an_open_page(tmp_path: Path) -> None:
    with served(tmp_path) as deployment:
        deployment.sign_in()
        with closing(HTTPConnection(HOST, deployment.port, timeout=20)) as page:
            page.request("GET", "/events", headers={"cookie": deployment.cookie})
            stream = page.getresponse()
            assert stream.status == 200
            assert deployment.call().status == 200
            line = stream.readline()
            while not line.startswith(b"event: call"):
                assert line, "the stream ended"
                line = stream.readline()
            assert b'"model_served":"echo"' in stream.readline()


def test_a_console_that_is_killed_loses_nothing_and_comes_back(tmp_path: Path) -> None:
    with served(tmp_path) as deployment:
        deployment.sign_in()
        sent = 0
        for _ in range(3):
            for _ in range(5):
                assert deployment.call().status == 200
                sent += 1
            killed = deployment.pid_of("console")
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            for _ in range(5):
                assert deployment.call().status == 200
                sent += 1
            away = deployment.get("/")
            assert away.status in {200, 503}
            if away.status == 503:
                assert "The dashboard is starting" in away.text
            until(lambda: deployment.get("/").status == 200, WAIT_S)
        until(lambda: len(deployment.calls()) >= sent, WAIT_S)
        assert len(deployment.calls()) == sent
        assert len({call["call_id"] for call in deployment.calls()}) == sent


def test_calls_go_on_while_another_process_has_the_ledger(tmp_path: Path) -> None:
    with ExitStack() as other_process, served(tmp_path) as deployment:
        deployment.stop()
        other_process.enter_context(held(deployment.data.ledger))
        deployment.start()
        deployment.sign_in()
        for _ in range(5):
            assert deployment.call().status == 200
        page = deployment.get("/")
        assert page.status == 503
        assert re.search(r"in use by process \d+", page.text)
        assert deployment.get("/keys").status == 200
        reply = deployment.get("/api/v1/calls")
        assert (reply.status, reply.json()["code"]) == (503, "ledger_in_use")
        assert "tollkeeper_ledger_up 0.0" in deployment.ask("GET", "/metrics").text
        other_process.close()
        until(lambda: len(deployment.calls()) == 5, WAIT_S)
        assert deployment.get("/").status == 200
        assert "tollkeeper_ledger_up 1.0" in deployment.ask("GET", "/metrics").text


def test_no_process_outlives_the_supervisor(tmp_path: Path) -> None:
    with served(tmp_path) as deployment:
        assert deployment.call().status == 200
        deployment.process.kill()
        until(lambda: deployment.ask("GET", "/healthz").status == 0, WAIT_S)
        until(lambda: not deployment.data.operator_token.exists(), WAIT_S)
        until(lambda: entries_in(deployment.data.ledger) == 1, WAIT_S)
