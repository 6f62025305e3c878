"""Runs wrk, the load generator, and reads what it found."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import processes
from benchmarks.processes import LOAD_CORE, CouldNotRun
from benchmarks.targets import Target
from benchmarks.tools import require_program

CONNECTIONS: Final = 32
_GRACE_S: Final = 30.0
_MARK: Final = "figures "

_SCRIPT: Final = """\
wrk.method = "POST"
local file = io.open({body}, "rb")
wrk.body = file:read("*a")
file:close()
{headers}
{request}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d\\n", summary.requests, summary.duration,
    e.status, e.connect + e.read + e.write + e.timeout))
end
"""
_ANOTHER_HEAD_EACH_TIME: Final = """\
local before, after, count = nil, nil, 0
function init(arguments)
  wrk.headers["X-Trace"] = "@@@@"
  local text = wrk.format(nil, "/v1/chat/completions")
  local at = text:find("@@@@", 1, true)
  before, after = text:sub(1, at - 1), text:sub(at + 4)
end
function request()
  count = count + 1
  return before .. string.format("%032d", count) .. after
end
"""


_KEYS_IN_TURN: Final = """\
local requests, count = {{}}, 0
function init(arguments)
  for token in io.lines({tokens}) do
    wrk.headers["Authorization"] = "Bearer " .. token
    requests[#requests + 1] = wrk.format(nil, "/v1/chat/completions")
  end
end
function request()
  count = count % #requests + 1
  return requests[count]
end
"""


class Run(NamedTuple):
    """One run: answers per second, the target's processor time for each, the load core's use.

    ``cpu_us`` is None for a target without processes of its own.
    """

    per_s: float
    cpu_us: float | None
    load_core_busy: float
    failed: int


def write_script(
    path: Path,
    headers: Mapping[str, str],
    body: bytes,
    *,
    heads_differ: bool = False,
    tokens: Sequence[str] = (),
) -> Path:
    """Write what wrk is to send. With ``heads_differ`` no two requests have the same head;
    with ``tokens`` these keys call in turn."""
    data = path.with_suffix(".body")
    data.write_bytes(body)
    lines = [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in headers.items()]
    request = _ANOTHER_HEAD_EACH_TIME if heads_differ else ""
    if tokens:
        listed = path.with_suffix(".keys")
        listed.write_text("\n".join(tokens) + "\n")
        request = _KEYS_IN_TURN.format(tokens=_lua(str(listed)))
    path.write_text(_SCRIPT.format(body=_lua(str(data)), headers="\n".join(lines), request=request))
    return path


def run(target: Target, script: Path, seconds: float) -> Run:
    """Load a target for some seconds. Raises CouldNotRun when wrk fails."""
    # wrk counts in whole seconds
    command = ["taskset", "-c", str(LOAD_CORE), require_program("wrk"), "-t", "1"]
    command += ["-c", str(CONNECTIONS), "-d", f"{max(1, round(seconds))}s", "-s", str(script)]
    cpu_s, busy_s = target.cpu_s(), processes.core_busy_s(LOAD_CORE)
    try:
        ran = subprocess.run(
            [*command, "--timeout", "10s", f"{target.url}/v1/chat/completions"],
            capture_output=True,
            text=True,
            timeout=seconds + _GRACE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CouldNotRun("wrk did not end") from None
    cpu_s = target.cpu_s() - cpu_s
    busy_s = processes.core_busy_s(LOAD_CORE) - busy_s
    requests, took_s, failed = parse(ran.stdout)
    if not requests:
        raise CouldNotRun(f"no request to {target.name} was answered: {ran.stderr[-200:]}")
    return Run(
        requests / took_s,
        cpu_s / requests * 1e6 if target.pids else None,
        min(1.0, busy_s / took_s),
        failed,
    )


def parse(output: str) -> tuple[int, float, int]:
    """Read requests, seconds and failures from what the script printed at the end.

    Raises CouldNotRun when the line is missing.
    """
    for line in output.splitlines():
        if line.startswith(_MARK):
            requests, took_us, status, other = map(int, line.removeprefix(_MARK).split())
            return requests, took_us / 1e6, status + other
    raise CouldNotRun(f"wrk said nothing useful: {output[-200:]}")


def _lua(text: str) -> str:
    """Write a Lua string."""
    return json.dumps(text)
