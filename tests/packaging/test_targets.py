"""What people and CI start: the targets of the contract, .ci/run, and the tools behind them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
CONTRACT = ("setup", "run", "test", "test-long", "check", "bench", "test-agents", "screenshots")


def tool(name: str) -> ModuleType:
    """Load a tool, which is a script and no part of the package."""
    spec = spec_from_file_location(f"tool_{name}", ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def environment(**changes: str) -> dict[str, str]:
    """Give this environment without what a parallel run of tests puts into it."""
    inherited = dict(os.environ)  # noqa: TID251
    return {name: text for name, text in inherited.items() if "PYTEST" not in name} | changes


@pytest.mark.parametrize("target", CONTRACT)
def test_every_target_of_the_contract_explains_itself(target: str) -> None:
    shown = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(rf"^{target} +\S", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize("target", CONTRACT)
def test_every_file_that_a_target_starts_is_there(target: str, tmp_path: Path) -> None:
    planned = subprocess.run(
        ["make", "-n", target, f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for script in re.findall(r"(?<=[ ])(?:tools|tests)/\S+\.py", planned):
        assert (ROOT / script).is_file(), script
    installs = [line for line in planned.splitlines() if "pip" in line and " install " in line]
    assert installs
    for line in installs:
        ours = "--no-index --editable ." in line and "--no-deps" in line
        assert ours or ("--only-binary :all:" in line and "--require-hashes" in line), line


_MAKE = """#!/bin/sh
echo "made $1, CI=$CI"
[ "$1" != "$BROKEN" ]
"""


@pytest.mark.parametrize(
    ("broken", "made", "code"),
    [("", ["check", "test"], 0), ("check", ["check"], 1), ("test", ["check", "test"], 1)],
)
def test_ci_runs_checks_and_tests_and_fails_with_either(
    tmp_path: Path, broken: str, made: list[str], code: int
) -> None:
    stand_in = tmp_path / "make"
    stand_in.write_text(_MAKE)
    stand_in.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251
    done = subprocess.run(
        [ROOT / ".ci" / "run"],
        cwd=tmp_path,
        env=environment(PATH=path, BROKEN=broken),
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == bool(code)
    assert done.stdout.splitlines() == [f"made {name}, CI=true" for name in made]


def test_the_suite_ends_with_the_closing_line(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "@pytest.mark.long\ndef test_left_out(): raise AssertionError\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long: takes long\n")
    command = [sys.executable, ROOT / "tools" / "run_tests.py", tmp_path, "-p", "no:cacheprovider"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0
    assert re.fullmatch(r"=+ 1 passed in .*=+", done.stdout.splitlines()[-1])
    long = subprocess.run([*command, "--long"], env=environment(), capture_output=True, text=True)
    assert long.returncode == 1
    assert "1 failed" in long.stdout.splitlines()[-1]


def test_what_is_missing_is_named_in_one_command() -> None:
    packages = tool("system_packages")
    missing = list(packages.GROUPS["test"])
    command = packages.command_for(missing)
    assert "\n" not in command
    if packages.has_apt():
        assert command.startswith("sudo apt-get install ")
        assert {"chromium", "util-linux", "mount", "git"} <= set(command.split())
    nowhere = missing[0]._replace(commands=("no-such-program",))
    assert not packages.is_there(nowhere) or sys.platform == "darwin"
    assert packages.is_there(missing[1])


def test_a_group_that_there_is_not_is_wrong_usage() -> None:
    command = [sys.executable, ROOT / "tools" / "system_packages.py", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "test|bench|cap|agents" in done.stderr
