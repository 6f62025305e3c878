"""The programs that are compared, each started in front of the same upstream."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import processes
from benchmarks.payloads import FLOOD_MODEL, IDLE_MODEL, MODEL, PACED_MODEL, PLAIN_REQUEST
from benchmarks.processes import LOAD_CORE, PROXY_CORE, Child, CouldNotRun
from benchmarks.tools import require_litellm, require_program

HOST: Final = "127.0.0.1"
ORG: Final = "bench"
_PROVIDER_KEY: Final = "sk-benchmark-provider-key"
_LITELLM_KEY: Final = "sk-benchmark-litellm-key"
_LITELLM_START_S: Final = 90.0
_COMMAND_S: Final = 60.0
_TAGS: Final = "feature=chat,customer=acme"


@dataclass
class Target:
    """Something that answers calls. ``url`` leads to the fast upstream, ``paced_url`` to the
    slow one; ``pids`` are the processes whose time and memory count."""

    name: str
    url: str
    paced_url: str
    headers: Mapping[str, str]
    pids: list[int] = field(default_factory=list)

    def cpu_s(self) -> float:
        """Give the processor time used so far, in seconds."""
        return processes.cpu_s(self.pids)

    def rss_mb(self) -> float:
        """Give the resident memory in MB."""
        return processes.rss_mb(self.pids)


def free_port() -> int:
    """Find a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Tell whether something accepts connections on a port."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def answers(port: int, headers: Mapping[str, str], timeout_s: float = 5.0) -> bool:
    """Make one call, and tell whether it was answered with 200."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection(HOST, port, timeout=timeout_s)
        try:
            connection.request("POST", "/v1/chat/completions", PLAIN_REQUEST, dict(headers))
            reply = connection.getresponse()
            reply.read()
            return reply.status == 200
        finally:
            connection.close()
    return False


class Upstreams:
    """The fast and the paced upstream, both on the load's core."""

    def __init__(self, folder: Path) -> None:
        self.port, self.paced_port = free_port(), free_port()
        self.children: list[Child] = []
        for module, port in (("upstream", self.port), ("paced_upstream", self.paced_port)):
            child = Child(
                [sys.executable, "-m", f"benchmarks.{module}", "--port", str(port)],
                folder / f"{module}.log",
                core=LOAD_CORE,
            )
            self.children.append(child)
            child.wait_until(lambda port=port: listening(port))  # type: ignore[misc]

    def target(self) -> Target:
        """Give the upstream itself as a target: what everything else adds to."""
        return Target(
            "direct",
            f"http://{HOST}:{self.port}",
            f"http://{HOST}:{self.paced_port}",
            _plain_headers(_PROVIDER_KEY),
        )

    def end(self) -> None:
        """Stop both."""
        for child in self.children:
            child.end()


class Nginx:
    """nginx as a reverse proxy: one worker, no buffering of replies, kept-alive upstreams."""

    def __init__(self, folder: Path, upstreams: Upstreams) -> None:
        program = require_program("nginx")
        self._port, self._paced_port = free_port(), free_port()
        home = folder / "nginx"
        home.mkdir()
        file = home / "nginx.conf"
        file.write_text(
            _NGINX.format(
                home=home,
                servers=_server("fast", self._port, upstreams.port)
                + _server("paced", self._paced_port, upstreams.paced_port),
            )
        )
        self.child = Child(
            [program, "-p", str(home), "-c", str(file)], home / "log", core=PROXY_CORE
        )
        self.child.wait_until(lambda: listening(self._port))

    def target(self) -> Target:
        """Give it as a target."""
        return Target(
            "nginx",
            f"http://{HOST}:{self._port}",
            f"http://{HOST}:{self._paced_port}",
            _plain_headers(_PROVIDER_KEY),
            processes.tree(self.child.pid),
        )

    def end(self) -> None:
        """Stop it."""
        self.child.end()


class LiteLlm:
    """LiteLLM's proxy at its best: a master key, no database, no callbacks, one worker."""

    def __init__(self, folder: Path, upstreams: Upstreams) -> None:
        environment = require_litellm()
        self._port = free_port()
        home = folder / "litellm"
        home.mkdir()
        file = home / "config.yaml"
        served = {
            "model": f"openai/{MODEL}",
            "api_base": f"http://{HOST}:{upstreams.port}/v1",
            "api_key": _PROVIDER_KEY,
        }
        file.write_text(
            json.dumps(
                {
                    "model_list": [{"model_name": MODEL, "litellm_params": served}],
                    "general_settings": {"master_key": _LITELLM_KEY},
                    "litellm_settings": {"telemetry": False},
                }
            )
        )
        command = [str(environment / "bin" / "litellm"), "--config", str(file)]
        self.child = Child(
            [*command, "--host", HOST, "--port", str(self._port), "--num_workers", "1"],
            home / "log",
            core=PROXY_CORE,
            environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
            folder=home,
        )
        self.headers = _plain_headers(_LITELLM_KEY)
        try:
            self.child.wait_until(lambda: answers(self._port, self.headers), _LITELLM_START_S)
        except CouldNotRun:
            self.child.end()
            raise

    def target(self) -> Target:
        """Give it as a target."""
        url = f"http://{HOST}:{self._port}"
        return Target("LiteLLM", url, "", self.headers, processes.tree(self.child.pid))

    def end(self) -> None:
        """Stop it."""
        self.child.end()


class Tollkeeper:
    """``tollkeeper serve`` as it is shipped: keys, tags, prices, journal, loader, console."""

    def __init__(self, folder: Path, upstreams: Upstreams) -> None:
        self._home = folder / "tollkeeper"
        self._home.mkdir()
        self.data = self._home / "data"
        self.port = free_port()
        self.config = self._home / "tollkeeper.yaml"
        self.config.write_text(json.dumps(_configuration(upstreams)))  # JSON is YAML
        self.child: Child | None = None
        self._starts = 0
        key = self._issue("bench", "--user", "bench@example.com", "--team", "core", "--create")
        self.admin_key = self._issue("reader", "--role", "admin")
        self.headers = {
            **_plain_headers(key),
            "User-Agent": "OpenAI/Python 1.109.1",
            "x-tollkeeper-tags": _TAGS,
        }

    def _issue(self, name: str, *options: str) -> str:
        """Issue a key."""
        return str(self._ask("keys", "issue", "--name", name, *options)["key"])

    def sign_in_path(self, email: str, role: str) -> str:
        """Add a person; give the path of a link that signs them in."""
        self._ask("users", "add", email, "--role", role)
        return str(self._ask("users", "link", email)["path"])

    def _ask(self, *command: str) -> dict[str, Any]:
        """Run one command of the command line. Raises CouldNotRun."""
        ran = subprocess.run(
            [*_COMMAND, *command, "--json", "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
            cwd=self._home,
        )
        if ran.returncode:
            raise CouldNotRun(f"{' '.join(command[:2])} failed: {ran.stderr.strip()[-300:]}")
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def start(self, *, pinned: bool = True) -> float:
        """Start it; give the seconds from the command to the first answered call."""
        self._starts += 1
        began_s = time.monotonic()
        self.child = Child(
            [*_COMMAND, "serve", "--data", str(self.data), "--port", str(self.port)],
            self._home / f"log-{self._starts}",
            folder=self._home,
        )
        self.child.wait_until(lambda: answers(self.port, self.headers))
        took_s = time.monotonic() - began_s
        if pinned:
            processes.pin(self.gateway_pid, PROXY_CORE)
            for pid in self.other_pids():
                processes.pin(pid, LOAD_CORE)
        return took_s

    @property
    def gateway_pid(self) -> int:
        """Give the process that carries calls."""
        assert self.child is not None
        return processes.find(self.child.pid, "tollkeeper.bootstrap.gateway")

    @property
    def console_pid(self) -> int:
        """Give the process that shows pages and loads the ledger."""
        assert self.child is not None
        return processes.find(self.child.pid, "tollkeeper.bootstrap.console")

    def other_pids(self) -> list[int]:
        """Give the supervisor and the console, which loads the ledger."""
        assert self.child is not None
        gateway = self.gateway_pid
        return [pid for pid in processes.tree(self.child.pid) if pid != gateway]

    def target(self) -> Target:
        """Give it as a target."""
        url = f"http://{HOST}:{self.port}"
        return Target("tollkeeper", url, url, self.headers, [self.gateway_pid])

    def settle(self, limit_s: float = 30.0) -> bool:
        """Wait until the loader has worked off what was journaled; False if it has not."""
        deadline_s = time.monotonic() + limit_s
        calm = 0
        while time.monotonic() < deadline_s:
            before_s = processes.cpu_s(self.other_pids())
            time.sleep(0.25)
            used_s = processes.cpu_s(self.other_pids()) - before_s
            calm = calm + 1 if used_s < 0.05 else 0
            if calm >= 2:
                return True
        return False

    def end(self) -> None:
        """Stop it."""
        if self.child is not None:
            self.child.end()
            self.child = None


def _configuration(upstreams: Upstreams) -> dict[str, object]:
    prices = {"input": 0.4, "cache_read": 0.1, "output": 1.6}
    return {
        "org": ORG,
        "providers": {
            "openai": {"api_key": _PROVIDER_KEY, "base_url": f"http://{HOST}:{upstreams.port}/v1"},
            "paced": {
                "kind": "openai",
                "api_key": _PROVIDER_KEY,
                "base_url": f"http://{HOST}:{upstreams.paced_port}/v1",
                "prices": prices,
                "models": [PACED_MODEL, IDLE_MODEL, FLOOD_MODEL],
            },
        },
        "log_level": "warning",
    }


def _plain_headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _server(name: str, port: int, upstream_port: int) -> str:
    return _NGINX_SERVER.format(host=HOST, name=name, port=port, upstream_port=upstream_port)


_COMMAND: Final = [shutil.which("tollkeeper", path=str(Path(sys.executable).parent)) or ""]

_NGINX: Final = """\
daemon off;
worker_processes 1;
error_log {home}/error.log warn;
pid {home}/pid;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 256k;
  client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi;
  scgi_temp_path {home}/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  proxy_read_timeout 600s;
{servers}}}
"""
_NGINX_SERVER: Final = """\
  upstream {name} {{
    server {host}:{upstream_port};
    keepalive 512;
    keepalive_requests 1000000000;
  }}
  server {{ listen {host}:{port} backlog=1024; location / {{ proxy_pass http://{name}; }} }}
"""
