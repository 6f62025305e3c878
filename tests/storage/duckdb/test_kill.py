"""kill -9 at random moments: every acknowledged batch is there, once, with its position."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("killed_loader.py")


def killed(folder: Path, rounds: int, *engine: str) -> dict[str, int]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    done = subprocess.run(
        [sys.executable, DRIVER, folder, str(rounds), str(seed), *engine],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, int] = json.loads(done.stdout)
    return report


def check(report: dict[str, int]) -> None:
    rows = 100 * report["position"]
    assert report["rows"] == report["ids"] == report["cost_nanos"] == rows
    assert report["backwards"] == 0
    # The batch that was under way when the last kill came may have been stored as well.
    assert report["position"] - report["acknowledged"] in {0, 1}
    assert report["again"] == 0


@pytest.mark.slow
def test_fifteen_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(killed(tmp_path, 15))


def test_four_kills_of_sqlite_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(killed(tmp_path, 4, "sqlite"))


@pytest.mark.long
def test_three_hundred_kills_of_sqlite_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(killed(tmp_path, 300, "sqlite"))


@pytest.mark.long
def test_a_thousand_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    check(killed(tmp_path, 1_000))
