"""kill -9 of the console, which loads: at each of its fail points, and at random moments."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from call_load import load_on, wait_until
from money_trail import load_all, require_nothing_lost_or_doubled
from running import Deployment, Process, deployment
from tollkeeper.failpoints import CONSOLE_POINTS

CHECKPOINTER = Path(__file__).parent.parent / "checkpointing_loader.py"
DIES_S = 60.0
PAUSE_S = 0.03  # between calls: consoles take a while to start, and need the machine for it
# The console makes checkpoints once a minute; these two are proven with a loader that does
# nothing else in between.
CHECKPOINTS = [point for point in CONSOLE_POINTS if point.startswith("ledger.checkpoint.")]
REMOVALS = ["loader.remove.before", "loader.remove.after", "ledger.forget.after"]
LOADING = [point for point in CONSOLE_POINTS if point not in {*CHECKPOINTS, *REMOVALS}]


def start_console(made: Deployment, failpoint: str = "") -> Process:
    arguments = ["--config", str(made.config_file), "--data", str(made.folder.root), "--alone"]
    environment = {"TOLLKEEPER_FAILPOINT": failpoint}
    console = Process("tollkeeper.bootstrap.console", arguments, environment)
    made.watch(console)
    return console


def run_until_death(made: Deployment, failpoint: str) -> None:
    try:
        console = start_console(made, failpoint)
    except AssertionError as error:
        assert "did not start" in str(error)
        return
    wait_until(lambda: console.process.poll() is not None, DIES_S, failpoint)
    assert console.wait() == -signal.SIGKILL


def loaded_by_console(made: Deployment) -> None:
    """Let a console load everything, then stop it."""
    console = start_console(made)
    console.end()  # at its end it loads what the journal still holds
    assert load_all(made.folder) == 0, "the console left something"


def test_killed_at_every_fail_point_of_loading(sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made:
        with load_on(made, callers=3, pause_s=PAUSE_S) as load:
            load.wait_for(12)
            for point in LOADING:
                for count in (1, 3) if point.startswith("ledger.commit") else (1,):
                    run_until_death(made, f"{point}:{count}")
            load.wait_for(12)
        made.stop()
        loaded_by_console(made)
        print(require_nothing_lost_or_doubled(made, load))


def test_killed_while_segments_are_removed(sandbox: str, tmp_path: Path) -> None:
    """Each console finds a segment that is loaded to its end, and dies over it."""
    with deployment(tmp_path, sandbox) as made:
        with load_on(made, callers=3, pause_s=PAUSE_S) as load:
            load.wait_for(12)
            for point in REMOVALS:
                made.kill()
                made.start()  # closes the segment of the one before
                load.wait_for(6)
                run_until_death(made, point)
        made.stop()
        loaded_by_console(made)
        print(require_nothing_lost_or_doubled(made, load))


@pytest.mark.parametrize("point", CHECKPOINTS)
def test_killed_at_a_checkpoint(point: str, sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made, load_on(made, callers=3, pause_s=PAUSE_S) as load:
        load.wait_for(12)
        arguments = [made.folder.journal, made.folder.ledger, f"{point}:2"]
        done = subprocess.run([sys.executable, CHECKPOINTER, *arguments], timeout=DIES_S)
        assert done.returncode == -signal.SIGKILL
        load.stop()
        made.stop()
        load_all(made.folder)
        require_nothing_lost_or_doubled(made, load)


def killed_at_random(made: Deployment, rounds: int, pause_s: float = PAUSE_S) -> str:
    """Kill the loading console again and again while calls go on, then compare."""
    source = random.Random()
    with load_on(made, callers=3, pause_s=pause_s) as load:
        for _ in range(rounds):
            console = start_console(made)
            time.sleep(source.uniform(0, 0.6))
            console.signal(signal.SIGKILL)
            assert console.wait() == -signal.SIGKILL
        load.wait_for(1)
    made.stop()
    loaded_by_console(made)
    return f"{rounds} kills: {require_nothing_lost_or_doubled(made, load)}"


@pytest.mark.slow
def test_six_random_kills_lose_nothing_and_double_nothing(sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made:
        print(killed_at_random(made, 6))


@pytest.mark.long
def test_two_hundred_random_kills_lose_nothing_and_double_nothing(
    sandbox: str, tmp_path: Path
) -> None:
    with deployment(tmp_path, sandbox) as made:
        # The simulated provider remembers its last hundred thousand calls.
        print(killed_at_random(made, 200, 10 * PAUSE_S))
