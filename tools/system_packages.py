"""Installs what tests, benchmarks and agents need from the system; silent when all is there.

`python tools/system_packages.py test` (or `bench`, `cap` or `agents`). As root on Debian or Ubuntu
it installs what is missing; anywhere else it prints the one command to run, and fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Need(NamedTuple):
    """A program: any of these ``commands`` will do.

    ``debian`` and ``brew`` name the package that has it; ``brew`` is empty for what only
    Linux has, and what only Linux is asked to have.
    """

    commands: Sequence[str]
    debian: str
    brew: str
    purpose: str


BROWSER = Need(
    ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chromium", "--cask chromium", "the pages are looked at in a real browser"),
)
NAMESPACES = Need(("unshare",), "util-linux", "", "a process can be cut off from the network")
POSTGRES = Need(("initdb",), "postgresql", "postgresql", "a store is kept on a real server")
GROUPS = {
    "test": (
        BROWSER,
        Need(("git",), "git", "git", "the tree itself is checked"),
        POSTGRES,
        Need(("node",), "nodejs", "node", "people sign in at a real OpenID provider"),
        Need(("npm",), "npm", "node", "that provider is installed with it"),
        Need(("setpriv",), "util-linux", "", "the server is run as somebody without rights"),
        Need(("mount",), "mount", "", "a disk is filled"),
    ),
    "bench": (
        BROWSER,
        Need(("nginx",), "nginx-light", "nginx", "the gateway is measured beside nginx"),
        Need(("wrk",), "wrk", "wrk", "the load comes from here"),
    ),
    "cap": (
        POSTGRES,
        Need(("redis-server",), "redis-server", "redis", "LiteLLM's workers share their counters"),
    ),
    "agents": (
        NAMESPACES,
        Need(("ip",), "iproute2", "", "a network of loopback alone"),
        Need(("git",), "git", "git", "agents work in a checkout"),
        Need(("npm",), "npm", "node", "most agents are installed with it"),
    ),
}
# Debian keeps some programs where only root's PATH looks.
SEARCHED = os.pathsep.join(
    (
        *(os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"),
        *map(str, Path("/usr/lib/postgresql").glob("*/bin")),
    )
)
MAC_BROWSERS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in GROUPS:
        print(f"usage: system_packages.py {'|'.join(GROUPS)}", file=sys.stderr)
        return 2
    missing = [need for need in GROUPS[arguments[0]] if not is_there(need)]
    if not missing:
        return 0
    if has_apt() and os.geteuid() == 0:
        return install(missing)
    for need in missing:
        print(f"missing: {need.commands[0]} ({need.purpose})", file=sys.stderr)
    print(f"run this, then try again: {command_for(missing)}", file=sys.stderr)
    return 1


def is_there(need: Need) -> bool:
    """Tell whether any of a need's programs can be started."""
    if sys.platform == "darwin":
        if not need.brew:
            return True
        if need is BROWSER and any(os.access(path, os.X_OK) for path in MAC_BROWSERS):
            return True
    return any(shutil.which(command, path=SEARCHED) for command in need.commands)


def has_apt() -> bool:
    """Tell whether this is a Debian or a descendant of it."""
    return shutil.which("apt-get", path=SEARCHED) is not None


def command_for(missing: list[Need]) -> str:
    """Give the one command that installs what is missing here."""
    if sys.platform == "darwin":
        return " && ".join(f"brew install {name}" for name in _names(need.brew for need in missing))
    packages = " ".join(_names(need.debian for need in missing))
    if has_apt():
        return f"sudo apt-get install --no-install-recommends {packages}"
    return f"your package manager's install command for: {packages}"


def install(missing: list[Need]) -> int:
    """Install with apt-get, with fresh lists where the old ones are not enough."""
    packages = _names(need.debian for need in missing)
    print(f"installing {', '.join(packages)}", flush=True)
    get = ["apt-get", "-qq", "-y", "--no-install-recommends"]
    if _run([*get, "install", *packages], quiet=True) == 0:
        return 0
    _run(["apt-get", "-qq", "update"], quiet=False)
    return _run([*get, "install", *packages], quiet=False)


def _run(command: list[str], *, quiet: bool) -> int:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command,
        check=False,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if quiet else None,
    ).returncode


def _names(packages: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(packages))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
