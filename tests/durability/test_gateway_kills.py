"""kill -9 of the gateway: at each of its fail points, and at random moments under load."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from budget_desks import DOLLAR, budget
from call_load import CallLoad, load_on, wait_until
from capped import keep_budgets
from money_trail import load_all, require_nothing_lost_or_doubled
from running import Deployment, deployment, usual_configuration
from tollkeeper.failpoints import GATEWAY_POINTS

SEGMENT = {"journal": {"segment_mb": 1}}
DIES_S = 60.0

_CREATE = [point for point in GATEWAY_POINTS if point.startswith("journal.create.")]
GROUPS = {
    "recovery": [point for point in GATEWAY_POINTS if point.startswith("recovery.")],
    # At a start after a crash a segment is made first by recovery, then by the new
    # instance; the third is made when that one is full.
    "segments at the start": [f"{point}:{count}" for point in _CREATE for count in (1, 2)]
    + ["journal.start.synced"],
    "segments under way": [f"{point}:3" for point in _CREATE],
    "full segments": [
        point
        for point in GATEWAY_POINTS
        if point.startswith(("journal.rotate.", "journal.finish."))
    ],
    "records": [
        *("journal.write.before:30", "journal.write.after:30"),
        *("journal.sync.before:5", "journal.sync.after:5"),
    ],
    "calls": [f"{point}:25" for point in GATEWAY_POINTS if point.startswith("gateway.")],
    "budgets": [
        *("budget.exchange.before:2", "budget.exchange.after:2"),
        *("spent.write.before", "spent.write.after", "budget.finish.before"),
        *("budget.finish.after", "spent.removed"),
    ],
    "the end": [point for point in GATEWAY_POINTS if point.startswith("journal.close.")],
}


def test_every_fail_point_of_the_gateway_is_in_a_group() -> None:
    used = {failpoint.partition(":")[0] for group in GROUPS.values() for failpoint in group}
    assert used == set(GATEWAY_POINTS)


def start_and_wait_for_death(made: Deployment, load: CallLoad, failpoint: str) -> None:
    """Run a gateway that kills itself at a fail point."""
    try:
        made.start(TOLLKEEPER_FAILPOINT=failpoint)
    except AssertionError as error:
        assert "did not start" in str(error)
        return
    assert made.gateway is not None
    if failpoint.startswith("journal.close."):
        load.wait_for(10)
        made.gateway.signal(signal.SIGTERM)
    wait_until(lambda: made.gateway.process.poll() is not None, DIES_S, failpoint)
    assert made.gateway.wait() == -signal.SIGKILL
    made.gateway = None


@pytest.mark.parametrize("group", GROUPS)
def test_killed_at_every_fail_point(group: str, sandbox: str, tmp_path: Path) -> None:
    """Each gateway begins with what the one before left when it died."""
    with deployment(tmp_path, sandbox, usual_configuration(sandbox) | SEGMENT) as made:
        if group == "budgets":
            keep_budgets(made, budget(limit=10_000 * DOLLAR))
        with load_on(made, padded=True) as load:
            load.wait_for(12)
            made.kill()
            for failpoint in GROUPS[group]:
                if failpoint.startswith("recovery."):  # which the one before may have ended
                    made.start()
                    load.wait_for(6)
                    made.kill()
                start_and_wait_for_death(made, load, failpoint)
            made.start()
            load.wait_for(12)
        made.stop()
        load_all(made.folder)
        print(f"{group}: {require_nothing_lost_or_doubled(made, load)}")


def killed_at_random(made: Deployment, rounds: int) -> str:
    """Kill a loaded gateway again and again, each time at a random moment, then compare."""
    source = random.Random()
    with load_on(made) as load:
        for number in range(rounds):
            load.wait_for(1)
            time.sleep(source.uniform(0, 0.25))
            made.kill()
            made.start()
            if number % 20 == 19:
                load_all(made.folder)
        load.wait_for(1)
    made.stop()
    load_all(made.folder)
    return f"{rounds} kills: {require_nothing_lost_or_doubled(made, load)}"


@pytest.mark.slow
def test_ten_random_kills_lose_nothing_and_double_nothing(sandbox: str, tmp_path: Path) -> None:
    with deployment(tmp_path, sandbox) as made:
        print(killed_at_random(made, 10))


@pytest.mark.long
def test_two_hundred_random_kills_lose_nothing_and_double_nothing(
    sandbox: str, tmp_path: Path
) -> None:
    with deployment(tmp_path, sandbox) as made:
        print(killed_at_random(made, 200))
