"""What is held against a cap: Tollkeeper and LiteLLM, each with one budget and one provider."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.counted_upstream import OUTPUT_TOKENS, USD_PER_MILLION
from benchmarks.processes import Child, CouldNotRun
from benchmarks.storm import HOST
from benchmarks.targets import free_port, listening
from benchmarks.tools import require_litellm

MODEL: Final = "counted"
BODY: Final = json.dumps(
    {
        "model": MODEL,
        "max_tokens": OUTPUT_TOKENS,
        "messages": [{"role": "user", "content": "hi"}],
    }
)
_COMMAND: Final = [shutil.which("tollkeeper", path=str(Path(sys.executable).parent)) or ""]
_COMMAND_S: Final = 60.0
_LITELLM_KEY: Final = "sk-benchmark-litellm-master-key-0000000001"
_LITELLM_START_S: Final = 120.0
_AUTHENTICATE: Final = """\
from litellm.proxy._types import UserAPIKeyAuth


async def authenticate(request, api_key):
    return UserAPIKeyAuth(
        api_key=api_key, token="capped-key", user_id="capped", max_budget={limit_usd}, spend=0.0
    )
"""


class Counted:
    """The provider that counts calls, in a process of its own."""

    def __init__(self, folder: Path, stops: ExitStack) -> None:
        self.port = free_port()
        self.child = Child(
            [sys.executable, "-m", "benchmarks.counted_upstream", "--port", str(self.port)],
            folder / "counted.log",
        )
        stops.callback(self.child.end)
        self.child.wait_until(lambda: listening(self.port))

    def calls(self) -> int:
        """Ask how many calls have reached it."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/count") as reply:
            return int(reply.read())


class CappedTollkeeper:
    """Gateways that share one store and one budget over everything."""

    def __init__(
        self,
        folder: Path,
        counted: Counted,
        limit_usd: str,
        stops: ExitStack,
        *,
        gateways: int,
        store: str = "",
    ) -> None:
        folder.mkdir()
        self._config = folder / "tollkeeper.yaml"
        shared = store or f"sqlite:///{folder / 'gateway-0' / 'store.sqlite3'}"
        self._config.write_text(json.dumps(_configuration(counted.port, shared)))
        self.ports = tuple(free_port() for _ in range(gateways))
        key = ""
        for number, port in enumerate(self.ports):
            data = folder / f"gateway-{number}"
            roles = ["serve"] if number == 0 else ["serve", "gateway"]
            if number:
                data.mkdir(mode=0o700)
                shutil.copy(folder / "gateway-0" / "secret.key", data)
            else:
                key = self._prepare(data, limit_usd)
            command = [*_COMMAND, *roles, "--config", str(self._config), "--data", str(data)]
            child = Child([*command, "--port", str(port)], folder / f"log-{number}", folder=folder)
            stops.callback(child.end)
            child.wait_until(lambda port=port: listening(port))  # type: ignore[misc]
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def _prepare(self, data: Path, limit_usd: str) -> str:
        """Make the budget and a key; give the key."""
        home, where = self._config.parent, ["--data", str(data)]
        issue = ["keys", "issue", "--name", "storm", "--user", "storm@example.com", "--create"]
        key = json.loads(_ran(home, [*issue, "--json", *where]))["key"]
        budget = ["budgets", "set", "cap", "--scope", "org", "--window", "lifetime"]
        _ran(home, [*budget, "--limit", f"{limit_usd} USD", *where])
        return str(key)


def _ran(folder: Path, arguments: Sequence[str]) -> str:
    """Run a command of ours where its configuration is; give what it prints."""
    ran = subprocess.run(
        [*_COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_COMMAND_S,
        check=False,
    )
    if ran.returncode:
        raise CouldNotRun(f"{' '.join(arguments[:2])}: {ran.stderr.strip()[-300:]}")
    return ran.stdout


class CappedLiteLlm:
    """LiteLLM's proxy with a budget on a key.

    Its keys live in PostgreSQL behind a client whose engine is no package, so the key comes
    from its hook for custom authentication; budgets are checked, and reserved before a call,
    as for any key of its own. With ``redis`` its workers share their counters there.
    """

    def __init__(
        self,
        folder: Path,
        counted: Counted,
        limit_usd: str,
        stops: ExitStack,
        *,
        workers: int,
        redis: bool = False,
    ) -> None:
        environment = require_litellm()
        folder.mkdir()
        (folder / "capped.py").write_text(_AUTHENTICATE.format(limit_usd=limit_usd))
        settings = _litellm_configuration(counted.port)
        if redis:
            settings["litellm_settings"] |= _redis(folder, stops)
        file = folder / "config.yaml"
        file.write_text(json.dumps(settings))
        self.ports = (free_port(),)
        command = [str(environment / "bin" / "litellm"), "--config", str(file)]
        child = Child(
            [
                *(*command, "--host", HOST, "--port", str(self.ports[0])),
                *("--num_workers", str(workers)),
            ],
            folder / "log",
            environment={
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_LOG": "ERROR",
                "PYTHONPATH": str(folder),
            },
            folder=folder,
        )
        stops.callback(child.end)
        child.wait_until(lambda: listening(self.ports[0]), _LITELLM_START_S)
        self.headers = {"Authorization": "Bearer sk-capped", "Content-Type": "application/json"}


def storm(
    ports: Sequence[int], headers: Mapping[str, str], calls: int, limit_s: float
) -> dict[str, int]:
    """Make so many calls at once; give how often each status was the answer."""
    wanted = {
        "ports": list(ports),
        "calls": calls,
        "path": "/v1/chat/completions",
        "headers": dict(headers),
        "body": BODY,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.storm"],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    if ran.returncode:
        raise CouldNotRun(f"the storm did not come: {ran.stderr.strip()[-300:]}")
    return dict(json.loads(ran.stdout))


def _configuration(upstream_port: int, store: str) -> dict[str, Any]:
    return {
        "org": "bench",
        "store": store,
        "providers": {
            "counted": {
                "kind": "openai",
                "api_key": "sk-benchmark-provider-key",
                "base_url": f"http://{HOST}:{upstream_port}/v1",
                "prices": {"input": 0, "output": USD_PER_MILLION},
                "models": [MODEL],
            }
        },
        "log_level": "warning",
    }


def _litellm_configuration(upstream_port: int) -> dict[str, Any]:
    served = {
        "model": f"openai/{MODEL}",
        "api_base": f"http://{HOST}:{upstream_port}/v1",
        "api_key": "sk-benchmark-provider-key",
        "input_cost_per_token": 0,
        "output_cost_per_token": USD_PER_MILLION / 1_000_000,
    }
    return {
        "model_list": [{"model_name": MODEL, "litellm_params": served}],
        "general_settings": {
            "master_key": _LITELLM_KEY,
            "custom_auth": "capped.authenticate",
            "custom_auth_run_common_checks": True,
            "fail_closed_budget_enforcement": True,
        },
        "litellm_settings": {"telemetry": False, "enable_post_custom_auth_checks": True},
    }


def _redis(folder: Path, stops: ExitStack) -> dict[str, Any]:
    program = shutil.which("redis-server")
    if program is None:
        raise CouldNotRun("redis-server is not installed; apt-get install redis-server")
    port = free_port()
    child = Child(
        [program, "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"],
        folder / "redis.log",
        folder=folder,
    )
    stops.callback(child.end)
    child.wait_until(lambda: listening(port))
    parameters = {"type": "redis", "host": HOST, "port": port, "supported_call_types": []}
    return {"cache": True, "cache_params": parameters}
