"""Installs the OpenID provider that the tests sign in at; silent when it is there.

`python tools/node_packages.py`. The versions are pinned with hashes in
`tests/oidc_provider/package-lock.json`; they go into the environment that runs this.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "tests" / "oidc_provider"
INSTALLED = Path(sys.prefix) / "oidc_provider"
NODE_MAJOR_MIN = 20
INSTALL_S = 300.0
FILES = ("package.json", "package-lock.json")


def main() -> int:
    fault = why_not()
    if not fault:
        return 0
    npm = shutil.which("npm")
    if npm is None or node_major() < NODE_MAJOR_MIN:
        print(f"skipped: single sign-on needs Node.js {NODE_MAJOR_MIN} and npm", file=sys.stderr)
        return 0
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(SOURCE / name, INSTALLED / name)
    print("installing the OpenID provider of the tests", flush=True)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    return subprocess.run(command, cwd=INSTALLED, check=False, timeout=INSTALL_S).returncode


def why_not() -> str:
    """Say why the provider cannot be started, "" if it can."""
    if node_major() < NODE_MAJOR_MIN:
        return f"there is no Node.js {NODE_MAJOR_MIN} or later"
    if not (INSTALLED / "node_modules" / "oidc-provider" / "package.json").is_file():
        return "it is not installed: python tools/node_packages.py"
    for name in FILES:
        if (INSTALLED / name).read_bytes() != (SOURCE / name).read_bytes():
            return "another version is installed: python tools/node_packages.py"
    return ""


def node_major() -> int:
    """Give the version of Node.js, 0 where there is none."""
    node = shutil.which("node")
    if node is None:
        return 0
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    number = said.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdecimal() else 0


if __name__ == "__main__":
    raise SystemExit(main())
