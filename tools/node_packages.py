"""Installs the OpenID provider that the tests sign in at, and axe, which looks for what keeps
people from using a page; silent when they are there.

`python tools/node_packages.py`. The versions are pinned with hashes in
`tests/oidc_provider/package-lock.json`; they go into the environment that runs this, with a
Node.js of their own where the system's is too old. Only CI fails where that cannot be done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from agent_install import node_folder

SOURCE = Path(__file__).resolve().parent.parent / "tests" / "oidc_provider"
INSTALLED = Path(sys.prefix) / "oidc_provider"
NODE_MAJOR_MIN = 20
AXE = INSTALLED / "node_modules" / "axe-core" / "axe.min.js"
INSTALL_S = 300.0
FILES = ("package.json", "package-lock.json", "server.mjs")


def main() -> int:
    if not why_not():
        return 0
    print("installing the OpenID provider of the tests, and axe", flush=True)
    try:
        _install()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"not installed, their tests are skipped: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") else 0
    return 0


def _install() -> None:
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(SOURCE / name, INSTALLED / name)
    if _major(shutil.which("node")) < NODE_MAJOR_MIN:
        _own_node().unlink(missing_ok=True)
        _own_node().symlink_to(node_folder(INSTALLED) / "node")
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not here; install Node.js, which brings it")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=INSTALLED, check=True, timeout=INSTALL_S)


def why_not() -> str:
    """Say why the provider cannot be started, "" if it can."""
    if not node():
        return f"there is no Node.js {NODE_MAJOR_MIN} or later"
    if not (INSTALLED / "node_modules" / "oidc-provider" / "package.json").is_file():
        return "it is not installed: python tools/node_packages.py"
    for name in FILES:
        there = INSTALLED / name
        if not there.is_file() or there.read_bytes() != (SOURCE / name).read_bytes():
            return "another version is installed: python tools/node_packages.py"
    return ""


def node() -> str:
    """Give the program of a Node.js that is new enough, "" where there is none."""
    for found in (shutil.which("node"), str(_own_node())):
        if found is not None and _major(found) >= NODE_MAJOR_MIN:
            return found
    return ""


def _own_node() -> Path:
    return INSTALLED / "own-node"


def _major(program: str | None) -> int:
    if program is None or not Path(program).exists():
        return 0
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    number = said.stdout.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdecimal() else 0


if __name__ == "__main__":
    raise SystemExit(main())
