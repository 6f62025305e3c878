"""A gateway with its console, and the sandbox as all its providers, on loopback."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, NamedTuple

HOST: Final = "127.0.0.1"
USER: Final = "alice@acme.com"
TEAM: Final = "core"
_START_S: Final = 60.0
_NAMED: Final = {"X-Tollkeeper-Unmask-Reason": "whom a trial of an agent is booked on"}
_STOP_S: Final = 20.0
_SETTLED_S: Final = 2.0
"""So long no further call may turn up before a run's calls are taken for all."""

_UNIDENTIFIED: Final = re.compile(r"^tollkeeper_unidentified_refusals_total\S* (\S+)$", re.M)
_REPEATED: Final = re.compile(r"^tollkeeper_repeated_refusals_total\S* (\S+)$", re.M)
_KNOWN_S: Final = 3.0
"""So long after a budget was made or changed every gateway goes by it."""


class Key(NamedTuple):
    """A virtual key, and its id in the ledger."""

    token: str
    key_id: str


class Server:
    """A running Tollkeeper that is used as its users use it: command line and JSON API."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._admin = ""

    def issue(self, name: str, *options: str) -> Key:
        """Issue a key for the person whose calls these are."""
        owner = ("--user", USER, "--team", TEAM, "--create")
        made = self._command("keys", "issue", *owner, "--name", name, *options)
        return Key(made["key"], made["id"])

    def revoke(self, key: Key) -> None:
        """Revoke a key, and wait until gateways must know of it."""
        self._command("keys", "revoke", key.key_id)
        time.sleep(1.0)

    def cap(self, key: Key, limit: str) -> None:
        """Make a budget of a key, called as it, or change its limit; wait until it counts."""
        scope = ("--scope", f"key:{key.key_id}", "--window", "month")
        self._command("budgets", "set", key.key_id, *scope, "--limit", limit)
        time.sleep(_KNOWN_S)

    def repeated(self) -> int:
        """Count the refusals that have no entry of their own."""
        return self._sum(_REPEATED)

    def calls(self, key: Key) -> list[dict[str, Any]]:
        """Give all calls of a key, oldest first, once no further one turns up."""
        found: list[dict[str, Any]] = []
        deadline_s = time.monotonic() + _SETTLED_S
        while time.monotonic() < deadline_s:
            listed = [row for row in self._listed() if row["key_id"] == key.key_id]
            if len(listed) != len(found):
                found, deadline_s = listed, time.monotonic() + _SETTLED_S
            time.sleep(0.2)
        return sorted(found, key=lambda row: str(row["call_id"]))

    def unidentified(self) -> int:
        """Count the requests that were refused because of their key."""
        return self._sum(_UNIDENTIFIED)

    def _sum(self, series: re.Pattern[str]) -> int:
        page = self._get("/metrics").decode()
        return sum(round(float(count)) for count in series.findall(page))

    def _listed(self) -> list[dict[str, Any]]:
        if not self._admin:
            made = self._command("keys", "issue", "--role", "admin", "--name", "table")
            self._admin = made["key"]
        answer: dict[str, Any] = json.loads(self._get("/api/v1/calls?limit=1000", self._admin))
        return list(answer["calls"])

    def _get(self, path: str, key: str = "") -> bytes:
        headers = {"Authorization": f"Bearer {key}", **_NAMED} if key else {}
        connection = HTTPConnection(HOST, self.port, timeout=_START_S)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:500]!r}")
        return body

    def _command(self, *words: str) -> Any:
        command = [sys.executable, "-m", "tollkeeper", *words, "--json", "--data", str(self.data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout)


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Run the server and the sandbox until the block ends. Their logs stay in the folder."""
    sandbox_port, port = _free_port(), _free_port()
    file = folder / "tollkeeper.yaml"
    file.write_text(json.dumps(_configuration(f"http://{HOST}:{sandbox_port}")), "utf-8")
    data = folder / "data"
    sandbox = ("tollkeeper.sandbox.process", "--port", str(sandbox_port))
    serve = ("tollkeeper", "serve", "--config", str(file), "--data", str(data))
    with ExitStack() as stack:
        stack.enter_context(_process(folder / "sandbox.log", *sandbox))
        process = stack.enter_context(
            _process(folder / "serve.log", *serve, "--host", HOST, "--port", str(port))
        )
        _wait_until_ready(port, process, folder / "serve.log")
        yield Server(data, port)


def _configuration(sandbox: str) -> Mapping[str, Any]:
    """The vendors, all played by the sandbox. JSON is YAML too."""
    return {
        "providers": {
            "openai": {"api_key": "sk-played-by-the-sandbox", "base_url": f"{sandbox}/v1"},
            "anthropic": {"api_key": "sk-ant-played-by-the-sandbox", "base_url": sandbox},
            "google": {"api_key": "AIza-played-by-the-sandbox", "base_url": sandbox},
            "chatgpt": {"base_url": f"{sandbox}/backend-api/codex"},
        }
    }


@contextmanager
def _process(log: Path, module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until calls are carried, and until the dashboard answers, which comes later."""
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if all(_answers(port, path) for path in ("/readyz", "/login")):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the gateway did not start:\n{log.read_text('utf-8', 'replace')}")


def _answers(port: int, path: str) -> bool:
    connection = HTTPConnection(HOST, port, timeout=1.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
