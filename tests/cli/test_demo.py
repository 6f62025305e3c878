"""``tollkeeper demo`` as people run it: first start, live traffic, second start, refusals."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from command_line import CommandLine, invoke
from loopback import HOST, free_port
from raw_http import ask, request

ENTRIES = 600
_START_S = 60.0


@contextmanager
def _running(folder: Path, port: int, *more: str) -> Iterator[str]:
    """Run the demo; give its greeting."""
    command = [sys.executable, "-u", "-m", "tollkeeper", "demo", "--data", "demo"]
    process = subprocess.Popen(
        [*command, "--port", str(port), *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "gpt-5.4-mini" in line:
                break
        yield "".join(lines)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_START_S)


def _requests(data: Path) -> int:
    rows = CommandLine(data)("spend", "--since", "90d", "--by", "provider", "--json").json()["rows"]
    return sum(row["requests"] for row in rows)


def _wait_for(data: Path, requests: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while _requests(data) < requests and time.monotonic() < deadline_s:
        time.sleep(0.2)


def test_a_demo_starts_and_gets_live_calls(tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "demo"
    with _running(tmp_path, port, "--entries", str(ENTRIES), "--rate", "20") as said:
        assert f"ready on http://localhost:{port}" in said
        link = re.search(r"localhost:\d+(/login\?token=\S+)", said)
        key = re.search(r"Bearer (tk_live_\w+)", said)
        assert link and key
        assert ask(port, request(link[1], method="GET")).status == 200
        again = re.search(r"another: tollkeeper (users link .+)\)", said)
        assert again
        another = invoke(*again[1].replace("--data demo", f"--data {data}").split())
        assert f"http://localhost:{port}/login?token=" in another.out
        body = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": "Hello"}]}
        sent = {"authorization": f"Bearer {key[1]}"}
        assert ask(port, request("/v1/chat/completions", body, sent)).status == 200
        _wait_for(data, ENTRIES + 10)
        newest = CommandLine(data)("calls", "--limit", "8", "--json").json()["calls"]
        assert {call["outcome"] for call in newest} <= {"ok", "disconnected"}
        assert {call["end_customer"] for call in newest} != {""}
    assert ENTRIES + 10 <= _requests(data) < ENTRIES + 3_000


@pytest.mark.long
def test_a_second_start_goes_on_with_what_is_there(tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "demo"
    with _running(tmp_path, port, "--entries", str(ENTRIES), "--rate", "0"):
        before = _requests(data)
    with _running(tmp_path, port, "--rate", "0") as said:
        assert "/login?token=" in said
        assert _requests(data) == before


def test_a_demo_is_refused_where_it_would_be_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    refused = invoke("demo", "--data", str(tmp_path))
    assert refused.code == 1
    assert "holds something that is no demo" in refused.err
    mark = {"entries": 500, "seed": 7, "now_us": 1, "provider_port": 1, "state": "ready"}
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "demo.json").write_text(json.dumps(mark))
    other = invoke("demo", "--data", str(tmp_path / "demo"), "--entries", "900")
    assert other.code == 1
    assert "--entries 500" in other.err
    with _listening() as taken:
        busy = invoke("demo", "--data", str(tmp_path / "new"), "--port", str(taken))
    assert busy.code == 1
    assert "in use" in busy.err
    assert not (tmp_path / "new").exists()


@contextmanager
def _listening() -> Iterator[int]:
    import socket

    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        yield taken.getsockname()[1]
