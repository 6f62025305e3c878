"""``tollkeeper serve`` as people start it, with all its processes, for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from canaries import PLANTED
from consoles import Reply, until
from loopback import HOST, free_port
from tollkeeper.ports import DataFolder

WAIT_S = 60.0


class Served:
    """A deployment of its own. ``link`` and ``key`` are those of the first start's greeting.

    ``environment`` is what it is started with; with it the command line finds the same.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.data = DataFolder(folder / "tollkeeper-data")
        self.port = free_port()
        self.cookie = ""
        self.key = ""
        self.link = ""
        self.said = ""
        self.log: list[str] = []
        self.environment = {"TOLLKEEPER_LISTEN__PORT": str(self.port), **environment}

    @property
    def url(self) -> str:
        """Where browsers find it, as its own links say it."""
        return f"http://localhost:{self.port}"

    def start(self, *role: str, first: bool | None = None) -> None:
        """Start everything or one role, and wait until it answers.

        ``first`` tells whether a greeting is to come, where the data folder does not show it.
        """
        if first is None:
            first = not self.data.store.exists()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tollkeeper", "serve", *role],
            cwd=self.folder,
            env={**os.environ, **self.environment},  # noqa: TID251 - the child needs a PATH
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        self._readers = [
            threading.Thread(target=self._read_greeting, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        until(lambda: "is ready on" in self.said or self.process.poll() is not None, WAIT_S)
        assert self.process.poll() is None, "".join(self.log)
        if first:
            self._greeted()
        if role != ("gateway",):
            until(lambda: self.ask("GET", "/login").status == 200, WAIT_S)

    def _greeted(self) -> None:
        """Take the link and the key of a first start's greeting."""
        until(lambda: "/v1/chat/completions" in self.said, WAIT_S)
        link = re.search(r"/login\?token=\S+", self.said)
        key = re.search(r"tk_live_\w+", self.said)
        assert link, self.said
        assert key, self.said
        self.link, self.key = link[0], key[0]
        PLANTED.plant("the secret of the first key", self.key.rpartition("_")[2])

    def _read_greeting(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def stop(self) -> int:
        """Stop as Ctrl-C does; give the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(WAIT_S)
        for reader in self._readers:
            reader.join(WAIT_S)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        PLANTED.require_none_in("".join(self.log).encode(), "the log of serve")
        assert [line for line in self.log if "leaked" in line] == [], "a library complains"
        return code

    def pid_of(self, name: str) -> int | None:
        """Find the process of a role, among the children of this one."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,command="], capture_output=True, text=True, check=True
        )
        for line in listed.stdout.splitlines():
            pid, parent, command = line.split(None, 2)
            if int(parent) == self.process.pid and f"tollkeeper.bootstrap.{name}" in command:
                return int(pid)
        return None

    # ------------------------------------------------------------------ asking

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Reply:
        """Ask through the gateway. Status 0 means that nobody answered."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(HTTPConnection(HOST, self.port, timeout=20)) as connection:
            try:
                connection.request(method, target, body=body, headers=sent)
                response = connection.getresponse()
                found = {name.lower(): value for name, value in response.getheaders()}
                cookies = response.msg.get_all("set-cookie") or []
                return Reply(response.status, found, cookies, response.read())
            except (OSError, HTTPException) as error:
                return Reply(0, {}, [], str(error).encode())

    def call(self, text: str = "Hello", **headers: str) -> Reply:
        """Make a call, answered by the sandbox."""
        message = {"role": "user", "content": text}
        body = json.dumps({"model": "sandbox/echo", "messages": [message]}).encode()
        bearer = f"Bearer {self.key}"
        path = "/v1/chat/completions"
        return self.ask("POST", path, body, authorization=bearer, **headers)

    def get(self, target: str) -> Reply:
        """Ask as whoever has signed in."""
        return self.ask("GET", target, cookie=self.cookie)

    def sign_in(self) -> None:
        """Sign in with the link, which leads to the choice whether to set a password."""
        asked = parse_qs(urlsplit(self.link).query)
        body = urlencode({name: values[0] for name, values in asked.items()}).encode()
        form = "application/x-www-form-urlencoded"
        reply = self.ask("POST", "/login", body, content_type=form)
        assert (reply.status, reply.headers.get("location")) == (303, "/account?start=1"), reply
        self.cookie = reply.cookies[0].partition(";")[0]

    def calls(self) -> list[Mapping[str, Any]]:
        """List the calls as the API has them; none while it does not answer."""
        reply = self.get("/api/v1/calls?limit=1000")
        found: list[Mapping[str, Any]] = reply.json()["calls"] if reply.status == 200 else []
        return found


@contextmanager
def served(folder: Path, **environment: str) -> Iterator[Served]:
    """Run ``tollkeeper serve`` for the first time in a folder."""
    made = Served(folder, **environment)
    made.start()
    try:
        yield made
    finally:
        made.stop()
