"""Creates the virtual environment, also where the venv module was split off (Debian)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NEEDED = (3, 11)


def main() -> int:
    if sys.version_info < NEEDED:
        print(
            f"Tollkeeper needs Python {NEEDED[0]}.{NEEDED[1]} or newer, this is "
            f"{sys.version.split()[0]}. Try: make PYTHON=python3.11 run",
            file=sys.stderr,
        )
        return 1
    target = sys.argv[1]
    was_there = Path(target).exists()
    if _works([sys.executable, "-m", "venv", target]):
        return 0
    if not was_there:
        # Debian without python3-venv gives up halfway: what it left looks like a whole one.
        shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder]
        if _works([*pip, "--only-binary", ":all:", "virtualenv"]) and _works(
            [sys.executable, str(Path(folder) / "bin" / "virtualenv"), "--quiet", target],
            pythonpath=folder,
        ):
            return 0
    print(
        "cannot create a virtual environment: this Python has no working venv module. "
        "On Debian or Ubuntu: sudo apt install python3-venv",
        file=sys.stderr,
    )
    return 1


def _works(command: list[str], *, pythonpath: str | None = None) -> bool:
    environment = dict(os.environ)
    if pythonpath:
        environment["PYTHONPATH"] = pythonpath
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
