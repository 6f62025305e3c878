"""What the figures were measured on and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks.tools import LITELLM_VERSION, litellm_home

_PACKAGES: Final = ("uvloop", "httptools", "msgspec", "duckdb")
_ASK_S: Final = 20.0


def machine() -> dict[str, str]:
    """Describe processor, memory, system and disk."""
    model = memory = ""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal"):
                memory = f"{int(line.split()[1]) / 2**20:.0f} GB"
    return {
        "processor": f"{os.cpu_count()} x {model or platform.machine()}",
        "memory": memory,
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Give the versions of everything that takes part."""
    found = {"CPython": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    found["Tollkeeper"] = importlib.metadata.version("tollkeeper")
    commit = _said(["git", "rev-parse", "--short", "HEAD"])
    if commit:
        changed = _said(["git", "status", "--porcelain", "--", "src"])
        found["Tollkeeper"] += f" (commit {commit}{', changed since' if changed else ''})"
    found["nginx"] = _said(["nginx", "-v"]).rpartition("/")[2]
    found["wrk"] = (_said(["wrk", "-v"]).splitlines() or [""])[0].removeprefix("wrk ")[:20]
    if (litellm_home() / "complete").exists():
        found["LiteLLM"] = LITELLM_VERSION
    return found


def _said(command: Sequence[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (ran.stdout + ran.stderr).strip()
