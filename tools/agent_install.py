"""Installs the agents into a scratch folder, each into a folder of its own."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from agent_catalogue import NODE_MAJOR_MIN, NODE_VERSION, Agent

INSTALL_S: Final = 300.0
_MACHINES: Final = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def node_folder(into: Path) -> Path:
    """Give the folder with a Node that is new enough; it is installed if there is none."""
    found = shutil.which("node")
    if found is not None and _major(found) >= NODE_MAJOR_MIN:
        return Path(found).parent
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    package = f"node-{sys.platform}-{machine}"
    _npm(into / "node", f"{package}@{NODE_VERSION}", Path(found).parent if found else None)
    return into / "node" / "node_modules" / package / "bin"


def install(agent: Agent, into: Path, node: Path) -> Path:
    """Install an agent and give its program. Raises RuntimeError when it does not install."""
    folder = into / agent.tool
    program = folder / "node_modules" / ".bin" / agent.program
    if not program.exists() or _installed(folder, agent) != agent.version:
        _npm(folder, f"{agent.package}@{agent.version}", node)
    if not program.exists():
        raise RuntimeError(f"{agent.package} has no program {agent.program}")
    return program


def _installed(folder: Path, agent: Agent) -> str:
    file = folder / "node_modules" / agent.package / "package.json"
    return str(json.loads(file.read_text("utf-8"))["version"]) if file.exists() else ""


def _npm(folder: Path, package: str, node: Path | None) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not here; install Node.js, which brings it")
    folder.mkdir(parents=True, exist_ok=True)
    path = f"{node}{os.pathsep}{os.environ['PATH']}" if node else os.environ["PATH"]
    _run([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", package], path)


def _run(command: list[str], path: str) -> None:
    environment = {**os.environ, "PATH": path}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{command[-1]} took more than {INSTALL_S:.0f} s to install") from None
    if done.returncode:
        raise RuntimeError(f"{command[-1]} does not install: {done.stderr.strip()[-500:]}")


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    number = said.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdecimal() else 0
