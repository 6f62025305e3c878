"""The sandbox as a process: starting, telling so, serving, ending."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox_requests import HI, answer_in, request_bytes
from tollkeeper.providers.kinds import KINDS
from tollkeeper.sandbox.process import DEFAULT_PORT, EXIT_UNUSABLE, main
from tollkeeper.sandbox.side_calls import MODELS

COMMAND = [sys.executable, "-m", "tollkeeper.sandbox.process"]
CHAT = {"model": "echo", "messages": HI}


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a process; give it and the address that it says."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("sandbox ready on "), line
            yield process, line.removeprefix("sandbox ready on ").strip()
        finally:
            if process.poll() is None:
                process.kill()


def exchanged(address: str, request: bytes) -> bytes:
    """Send a request to where a process listens."""
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address.removeprefix("unix:"))
    else:
        connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])))
    with connection:
        connection.settimeout(10)
        connection.sendall(request)
        data = b""
        while piece := connection.recv(1 << 16):
            data += piece
    return data


def test_it_says_where_it_is_and_ends_when_told() -> None:
    with started("--port", "0", "--output-tokens", "3") as (process, address):
        answer = answer_in(exchanged(address, request_bytes("/v1/chat/completions", CHAT)))
        assert answer.json()["usage"]["completion_tokens"] == 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""


def test_a_unix_socket_is_private_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))  # left behind by a process that was killed
    with started("--socket", str(path)) as (process, address):
        assert address == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        answer = answer_in(exchanged(address, request_bytes("/chat/completions", CHAT)))
        assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert not path.exists()


def test_replies_under_way_end_before_the_process_does() -> None:
    with started("--port", "0", "--ttft-ms", "600") as (process, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.settimeout(10)
            connection.sendall(request_bytes("/v1/chat/completions", CHAT, keep=True))
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            data = b""
            while piece := connection.recv(1 << 16):
                data += piece
        assert answer_in(data).status == 200
        assert process.wait(10) == 0


def test_the_supervisor_is_told_through_a_pipe(tmp_path: Path) -> None:
    read_fd, write_fd = os.pipe()
    path = tmp_path / "s.sock"
    command = [*COMMAND, "--socket", str(path), "--ready-fd", str(write_fd)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(write_fd,)) as process:
        os.close(write_fd)
        assert os.read(read_fd, 16) == b"ready\n"
        os.close(read_fd)
        process.terminate()
        out, _ = process.communicate(timeout=10)
        assert (out, process.returncode) == (b"", 0)


def test_a_port_in_use_is_no_reason_to_try_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run([*COMMAND, "--port", port], capture_output=True, check=False)
    assert ended.returncode == EXIT_UNUSABLE
    assert ended.stderr.startswith(b"the sandbox cannot listen: ")
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "x"],
        ["--port", "1", "--socket", "/tmp/x"],
        ["--gap-ms", "-5"],
        ["--fault", "explode"],
        ["--usage", "odd"],
    ],
)
def test_wrong_options_are_explained(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys, json, tollkeeper.sandbox.process; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    modules = set(json.loads(loaded.stdout))
    heavy = {"fastapi", "starlette", "uvicorn", "sqlalchemy", "duckdb", "pyarrow", "ibis"}
    assert not modules & (heavy | {"pydantic", "typer", "rich", "yaml", "cryptography"})
    assert "tollkeeper" in modules


def test_the_catalogue_describes_this_process() -> None:
    kind = KINDS["sandbox"]
    assert kind.root == f"http://127.0.0.1:{DEFAULT_PORT}"
    assert kind.models == MODELS
