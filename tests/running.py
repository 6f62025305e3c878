"""Real processes for tests: a gateway on a data folder, with the sandbox as its provider."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import yaml

from canaries import PLANTED
from loopback import HOST, free_port
from stores import make_store
from tollkeeper import bootstrap, clock
from tollkeeper.domain.access import KeyKind, Role
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import DataFolder
from tollkeeper.services import keys, people
from tollkeeper.services.first_run import first_run
from tollkeeper.storage.journal.tail import FolderTail

START_S = 20.0
TEAM = "core"
EMAIL = "alice@acme.com"


class Process:
    """One child process that tells through a pipe when it is ready."""

    def __init__(
        self,
        module: str,
        arguments: list[str],
        environment: Mapping[str, str],
        before: Sequence[str] = (),
    ) -> None:
        """Start a module. ``before`` is a command that runs it, such as setpriv."""
        read_fd, write_fd = os.pipe()
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", module, *arguments, "--ready-fd", str(write_fd)],
            env={**os.environ, **environment},  # noqa: TID251 - the child needs a PATH
            pass_fds=(write_fd,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(write_fd)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        said = os.read(read_fd, 16)
        os.close(read_fd)
        if not said.startswith(b"ready"):
            self.wait()
            raise AssertionError(f"{module} did not start:\n" + "".join(self.log))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = START_S) -> int:
        code = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def end(self) -> None:
        """Stop it if it still runs, gently first."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.wait()


class Deployment:
    """A data folder with a configuration and keys, and the gateway that serves it.

    ``store_url`` says where its store is, if that is not in the folder; one that others use
    already needs their ``key_file``.

    ``key`` belongs to Alice of team core. ``upstream`` is the sandbox's address. Everything
    secret in it is planted as a canary; ``finish`` looks where it must not have gone.
    """

    def __init__(
        self,
        folder: Path,
        upstream: str,
        configuration: dict[str, Any],
        store_url: str = "",
        key_file: Path | None = None,
    ) -> None:
        self.folder = DataFolder(folder / "data", store_url)
        self.upstream = upstream
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.config_file = folder / "tollkeeper.yaml"
        self.configure(configuration)
        self.folder.root.mkdir(mode=0o700)
        if key_file is not None:
            shutil.copy(key_file, self.folder.secret_key)
        vault = bootstrap.open_vault(self.folder)
        if not store_url:
            make_store(self.folder.store)
        store = bootstrap.open_store(self.folder)
        now_us = clock.now_us()
        first_run(store, vault, now_us, org="acme")
        people.ensure_team(store, TEAM, now_us)
        people.ensure_user(store, EMAIL, TEAM, now_us)
        store.close()
        self.key = self.issue("laptop")
        self.gateway: Process | None = None
        self.logged = folder / "logged"
        self.logged.mkdir()
        self._started: list[Process] = []

    def configure(self, configuration: dict[str, Any]) -> None:
        """Write the configuration, in one step as editors do; a running gateway takes it over
        by itself."""
        for name, provider in (configuration.get("providers") or {}).items():
            for setting in ("api_key", "secret_access_key", "session_token"):
                if (provider or {}).get(setting):
                    PLANTED.plant(f"the {setting} of provider {name}", provider[setting])
        written = self.config_file.with_suffix(".new")
        written.write_text(yaml.safe_dump(configuration, sort_keys=False))
        written.replace(self.config_file)

    def issue(self, name: str, **wanted: Any) -> str:
        """Issue a key for Alice."""
        store = bootstrap.open_store(self.folder)
        try:
            wanted.setdefault("email", EMAIL)
            request = keys.KeyRequest(name, **wanted)
            vault = bootstrap.open_vault(self.folder)
            token = keys.issue(store, vault, request, keys.OPERATOR, clock.now_us()).token
            PLANTED.plant(f"the secret of key {name}", token.rpartition("_")[2])
            return token
        finally:
            store.close()

    def revoke(self, token: str) -> None:
        """Revoke a key."""
        store = bootstrap.open_store(self.folder)
        try:
            keys.revoke(store, token.split("_")[2], keys.OPERATOR, clock.now_us())
        finally:
            store.close()

    def start(self, *, alone: bool = True, before: Sequence[str] = (), **environment: str) -> None:
        """Start the gateway; not ``alone``, it expects a console beside it."""
        settings = {"TOLLKEEPER_LISTEN__PORT": str(self.port)}
        settings["TOLLKEEPER_STORE"] = self.folder.store_url
        arguments = ["--config", str(self.config_file), "--data", str(self.folder.root)]
        arguments += ["--alone"] if alone else []
        self.gateway = Process(
            "tollkeeper.bootstrap.gateway", arguments, settings | environment, before
        )
        self._started.append(self.gateway)

    def watch(self, process: Process) -> None:
        """Search the log of another process of this deployment, too, at the end."""
        self._started.append(process)

    def stop(self) -> None:
        """Stop the gateway, letting its calls finish."""
        assert self.gateway is not None
        self.gateway.end()
        self.gateway = None

    def kill(self) -> None:
        """Kill the gateway, as a crash does."""
        assert self.gateway is not None
        self.gateway.signal(signal.SIGKILL)
        self.gateway.wait()
        self.gateway = None

    def entries(self) -> list[LedgerEntry]:
        """Read what the loader would load."""
        tail = FolderTail(self.folder.journal)
        entries: list[LedgerEntry] = []
        for segment in tail.segments():
            offset, at_end = 0, False
            while not at_end:
                chunk = tail.read(segment.name, offset, 1_000)
                assert chunk.damaged == 0
                entries += chunk.entries
                offset, at_end = chunk.offset, chunk.at_end
        return entries

    def entries_when(self, count: int, wait_s: float = 10.0) -> list[LedgerEntry]:
        """Wait until there are so many entries, and give them."""
        deadline_s = time.monotonic() + wait_s
        while True:
            entries = self.entries()
            if len(entries) >= count or time.monotonic() > deadline_s:
                assert len(entries) == count, [entry[:12] for entry in entries]
                return entries
            time.sleep(0.02)

    def logs(self) -> str:
        assert self.gateway is not None
        return "".join(self.gateway.log)

    def says(self, text: str, wait_s: float = 10.0) -> bool:
        """Tell whether the log has a text. What was just written may still be on its way."""
        deadline_s = time.monotonic() + wait_s
        while text not in self.logs() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return text in self.logs()

    def finish(self) -> None:
        """Stop what still runs, then look for secrets where there must be none."""
        if self.gateway is not None:
            self._keep_pages(self.gateway)
            self.stop()
        for number, process in enumerate(self._started):
            (self.logged / f"{number}.log").write_text("".join(process.log))
        places = (self.folder.root, self.logged)
        PLANTED.keep(*places)
        PLANTED.search(*places)

    def _keep_pages(self, gateway: Process) -> None:
        """Keep what a running gateway shows about itself to anybody."""
        command_line = Path(f"/proc/{gateway.process.pid}/cmdline")
        if command_line.exists():
            (self.logged / "command_line").write_bytes(command_line.read_bytes())
        for page in ("metrics", "readyz", "healthz"):
            with suppress(OSError, HTTPException):
                connection = HTTPConnection(HOST, self.port, timeout=START_S)
                connection.request("GET", f"/{page}")
                (self.logged / f"{page}.page").write_bytes(connection.getresponse().read())
                connection.close()


def usual_configuration(upstream: str) -> dict[str, Any]:
    """The three vendors, each played by the sandbox, and a server of one's own."""
    return {
        "providers": {
            "openai": {"api_key": "sk-canary-openai-0001", "base_url": f"{upstream}/v1"},
            "anthropic": {"api_key": "sk-canary-anthropic-0002", "base_url": upstream},
            "google": {"api_key": "AIza-canary-google-0003", "base_url": upstream},
            "lab": {
                "kind": "openai",
                "base_url": f"{upstream}/v1",
                "prices": {"input": 1, "output": 2},
                "models": ["echo", "qwen3"],
            },
        },
        "models": {"fast": ["openai/gpt-4.1-mini", "lab/qwen3"], "lab-*": "lab"},
    }


@contextmanager
def sandbox_process(**defaults: str) -> Iterator[str]:
    """Run the sandbox provider; gives its address."""
    port = free_port()
    arguments = ["--port", str(port)]
    for name, value in defaults.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    process = Process("tollkeeper.sandbox.process", arguments, {})
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.end()


@contextmanager
def deployment(
    folder: Path,
    upstream: str,
    configuration: dict[str, Any] | None = None,
    **environment: str,
) -> Iterator[Deployment]:
    """Run a gateway before an upstream."""
    made = Deployment(folder, upstream, configuration or usual_configuration(upstream))
    made.start(**environment)
    try:
        yield made
    finally:
        made.finish()


__all__ = ["KeyKind", "Role", "deployment", "sandbox_process"]
