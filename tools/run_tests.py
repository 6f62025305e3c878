"""Runs the test suite as `make test` does: in parallel, with a limit on every test.

What is given is passed on to pytest: `make test ARGS="tests/wire -x"`. With `--long` the
tests run that `make test` leaves out. The last line is pytest's own closing line.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKERS_MAX = 8  # each test process may run servers of its own beside it
TEST_S = 300
LONG_TEST_S = 3_600


def main(arguments: list[str]) -> int:
    long = "--long" in arguments
    passed_on = [argument for argument in arguments if argument != "--long"]
    command = [
        *(sys.executable, "-m", "pytest"),
        *("-n", str(workers()), "--dist", "worksteal"),
        *("-m", "long" if long else "not long"),
        *("--timeout", str(LONG_TEST_S if long else TEST_S)),
        *passed_on,
    ]
    compileall.compile_dir(ROOT / "src", quiet=2, workers=workers())
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """Give what the tests run in: the same as here, but compiled modules are kept.

    The tests start many hundred processes, each of which would compile the package again.
    """
    kept = dict(os.environ)
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def workers() -> int:
    """Say how many processes share the tests: three for two cores that this process may use.

    Half of the suite's time is waiting, for servers that start, end or are slow on purpose.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min((cores or 1) * 3 // 2, WORKERS_MAX))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
