"""Pins all dependencies: `make lock`. Writes hashes, never an index address.

Each file is locked under the constraints of the one before it, so that the four
environments agree on every version.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    "run": "pyproject.toml",
    "build": "requirements/build.in",
    "check": "requirements/check.in",
    "test": "requirements/test.in",
}


def main() -> int:
    environment = os.environ | {"UV_CUSTOM_COMPILE_COMMAND": "make lock"}
    constraints: list[str] = []
    for name, source in SOURCES.items():
        target = f"requirements/{name}.txt"
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet"),
            *("--universal", "--no-strip-extras", "--python-version", "3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links"),
            *sys.argv[1:],
            *constraints,
            *("--output-file", target, source),
        ]
        print("locking", target, flush=True)
        subprocess.run(command, check=True, cwd=ROOT, env=environment)
        constraints += ["--constraint", target]
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
