"""Runs the command line for tests: within the process, or as people do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from tollkeeper.cli.app import command_line


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read what was printed as JSON."""
        assert self.code == 0, self.err
        return json.loads(self.out)


class CommandLine:
    """The command line within this process, on one data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *arguments: str, typed: str | None = None) -> Ended:
        """Run a command on the folder."""
        return invoke(*arguments, "--data", str(self.data), typed=typed)


def invoke(*arguments: str, typed: str | None = None) -> Ended:
    """Run a command in this process. Only a failure that was meant to be told is one."""
    result = CliRunner().invoke(command_line(), arguments, input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def run_command(
    *arguments: str,
    folder: Path,
    typed: str = "",
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run the installed command in a folder, as a process of its own."""
    variables = {"PATH": os.environ["PATH"], "COLUMNS": "80", **(environment or {})}  # noqa: TID251
    done = subprocess.run(
        [sys.executable, "-m", "tollkeeper", *arguments],
        cwd=folder,
        env=variables,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
