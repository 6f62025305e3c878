"""Runs the real coding agents through the gateway: ``make test-agents``.

Each agent is installed from its registry into a scratch folder, then run in a network
namespace that has nothing but loopback, with an empty home folder and the settings that the
Keys page shows. It answers one prompt, and is refused in three ways. A table says what became
of it; the exit code is 1 if an agent that installed does not pass.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent_catalogue import AGENTS, Agent
from agent_install import install, node_folder
from agent_server import running
from agent_table import table, write_into
from agent_trial import Bench, Trial, try_agent, try_way

TIMEOUT_S: Final = 90.0
_SET_FLAGS: Final = 0x8914  # SIOCSIFFLAGS
_UP: Final = 0x1 | 0x40


def main(arguments: Sequence[str] | None = None) -> int:
    """Install and run; give the exit code."""
    given = _parser().parse_args(arguments)
    if given.inside:
        return _inside(given)
    if sys.platform != "linux" or shutil.which("unshare") is None:
        sys.stderr.write(
            "the agents are run in a network namespace: this needs Linux and unshare\n"
        )
        return 2
    into = Path(given.into).resolve()
    into.mkdir(parents=True, exist_ok=True)
    try:
        node = node_folder(into)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    programs: dict[str, str] = {}
    for agent in _chosen(given.agents):
        print(f"installing {agent.package} {agent.version}", flush=True)
        try:
            programs[agent.tool] = str(install(agent, into, node))
        except RuntimeError as error:
            print(f"  left out: {error}", flush=True)
    plan = into / "plan.json"
    plan.write_text(json.dumps({"node": str(node), "programs": programs}), "utf-8")
    own = ["--inside", "--into", str(into), "--timeout", str(given.timeout)]
    if given.write:
        own += ["--write", given.write]
    command = [sys.executable, __file__, *own]
    return subprocess.run([*_namespace(), *command], check=False).returncode


def _namespace() -> list[str]:
    """Give the command that starts another one with loopback only, and ends all of it at once."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *as_root, "--net", "--pid", "--mount-proc", "--fork", "--kill-child"]


def _inside(given: argparse.Namespace) -> int:
    """Try the installed agents, within the namespace."""
    _raise_loopback()
    into = Path(given.into)
    plan = json.loads((into / "plan.json").read_text("utf-8"))
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=into))
    trials: list[Trial] = []
    with running(folder) as server:
        bench = Bench(server, folder, Path(plan["node"]), given.timeout)
        for agent in AGENTS:
            if agent.tool in plan["programs"]:
                trials += _trials_of(bench, agent, Path(plan["programs"][agent.tool]))
    text = table(trials, _machine())
    print(f"\n{text}\nWhat each agent printed is below {folder}.")
    if given.write:
        write_into(Path(given.write), text)
    return 1 if not trials or any(trial.faults for trial in trials) else 0


def _trials_of(bench: Bench, agent: Agent, program: Path) -> list[Trial]:
    trials = [try_agent(bench, agent, program)]
    trials += [try_way(bench, agent, program, way) for way in agent.ways]
    for trial in trials:
        name = f"{agent.tool}, {trial.way}" if trial.way else agent.tool
        print(f"{name}: {'; '.join(trial.faults) or 'ok'}", flush=True)
    return trials


def _raise_loopback() -> None:
    """Switch loopback on: a new namespace has it, but down."""
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", _UP)
        fcntl.ioctl(any_socket, _SET_FLAGS, request)


def _machine() -> str:
    day = datetime.now(UTC).date().isoformat()
    return f"{day}, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _chosen(names: str) -> list[Agent]:
    wanted = [name for name in names.split(",") if name]
    unknown = set(wanted) - {agent.tool for agent in AGENTS}
    if unknown:
        raise SystemExit(f"no such agent: {', '.join(sorted(unknown))}")
    return [agent for agent in AGENTS if not wanted or agent.tool in wanted]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make test-agents", description=__doc__)
    scratch = Path(tempfile.gettempdir()) / "tollkeeper-agents"
    parser.add_argument("--into", default=str(scratch), help="the scratch folder")
    parser.add_argument("--agents", default="", help="only these, separated by commas")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds for each run")
    parser.add_argument("--write", default="", metavar="FILE", help="put the table into a page")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
