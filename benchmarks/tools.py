"""Finds or installs what the benchmarks compare with: wrk, nginx, LiteLLM.

LiteLLM lives in a virtual environment of its own, outside the project. Its proxy extra
names exact versions of two companion packages (database migrations and paid features, not
used here) that are not always published, so those two are taken in the newest version.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.processes import CouldNotRun

LITELLM_VERSION: Final = "1.109.3"
_INSTALL_S: Final = 420.0
_PACKAGES: Final = {"wrk": "wrk", "nginx": "nginx-light"}
_EXTRA: Final = re.compile(r"\s*(?:and\s+)?extra\s*==\s*['\"]proxy['\"]\s*(?:and\s+)?")
_LIST_EXTRA: Final = """\
import importlib.metadata, sys
print("\\n".join(importlib.metadata.requires("litellm") or []))
"""


def require_program(name: str) -> str:
    """Give the path of wrk or nginx; install it where this user may.

    Raises CouldNotRun, which names the command that installs it.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is not None:
        return path
    package = _PACKAGES[name]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        install = ["apt-get", "install", "-y", "-q", package]
        if subprocess.run(install, **quiet, timeout=_INSTALL_S, check=False).returncode:
            subprocess.run(["apt-get", "update", "-q"], **quiet, timeout=_INSTALL_S, check=False)
            subprocess.run(install, **quiet, timeout=_INSTALL_S, check=False)
        path = shutil.which(name, path="/usr/bin:/usr/sbin:/sbin")
        if path is not None:
            return path
    raise CouldNotRun(f"{name} is not installed; install it with: apt-get install {package}")


def litellm_home() -> Path:
    """Give the folder of LiteLLM's own environment."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "tollkeeper-bench" / f"litellm-{LITELLM_VERSION}"


def require_litellm() -> Path:
    """Give LiteLLM's own Python environment; build it on the first run.

    Raises CouldNotRun with pip's last words.
    """
    home = litellm_home()
    done = home / "complete"
    if done.exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    _checked([sys.executable, "-m", "venv", str(home)])
    python = str(home / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _checked([*pip, "--only-binary", ":all:", f"litellm=={LITELLM_VERSION}"])
    listed = _checked([python, "-c", _LIST_EXTRA]).splitlines()
    _checked([*pip, *proxy_requirements(listed), "async_timeout"])
    done.touch()
    return home


def proxy_requirements(listed: Sequence[str]) -> list[str]:
    """Pick the proxy extra out of a package's requirements; its companions unpinned."""
    wanted = []
    for line in listed:
        requirement, _, marker = line.partition(";")
        if not _EXTRA.search(marker):
            continue
        requirement = requirement.strip()
        if requirement.startswith("litellm-"):
            requirement = re.split(r"[=<>!~ ]", requirement, maxsplit=1)[0]
        rest = _EXTRA.sub("", marker).strip()
        wanted.append(f"{requirement}; {rest}" if rest else requirement)
    return wanted


def _checked(command: Sequence[str]) -> str:
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CouldNotRun(f"{command[0]} took more than {_INSTALL_S:.0f} s") from None
    if ran.returncode:
        last = [line for line in ran.stderr.splitlines() if line.strip()][-1:]
        raise CouldNotRun((last or ["it failed without a word"])[0][:300])
    return ran.stdout
