"""kill -9 of a gateway whose calls hold budgets: no hold is left, no money lost, no drift."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from budget_desks import DOLLAR, budget
from call_load import CallLoad, load_on, wait_until
from capped import balances, keep_budgets
from running import Deployment, usual_configuration
from tollkeeper.domain.budget_book import Book, booked_sums, drifts
from tollkeeper.domain.budgets import Budget, BudgetScope, Mode, Unit
from tollkeeper.failpoints import GATEWAY_POINTS
from tollkeeper.services.budget_spending import spender_of, spending_booked

SEGMENT = {"journal": {"segment_mb": 1}}
DIES_S = 60.0
BUDGETS = (
    budget("a-org", 10_000 * DOLLAR),
    budget("b-key", 10_000 * DOLLAR, scope=BudgetScope.KEY, each=True),
    budget("c-model", 10**12, scope=BudgetScope.MODEL, each=True, unit=Unit.TOKENS),
    budget("d-calls", 10**9, scope=BudgetScope.ENDPOINT, each=True, unit=Unit.REQUESTS),
    budget("e-seen", DOLLAR, scope=BudgetScope.TOOL, each=True, mode=Mode.OBSERVE),
)
POINTS = [
    *("budget.exchange.before:2", "budget.exchange.after:2", "gateway.hold.before:9"),
    *("gateway.hold.after:9", "gateway.send.after:9", "gateway.post.before:9"),
    *("journal.write.before:30", "journal.write.after:30", "gateway.release.before:9"),
    *("journal.rotate.before", "journal.rotate.after", "recovery.before", "recovery.after"),
    *("spent.write.before", "spent.write.after", "budget.finish.before", "budget.finish.after"),
    "spent.removed",
]


def prepared(folder: Path, sandbox: str, budgets: Sequence[Budget]) -> Deployment:
    made = Deployment(folder, sandbox, usual_configuration(sandbox) | SEGMENT)
    keep_budgets(made, *budgets)
    made.start()
    return made


def run_until_death(made: Deployment, failpoint: str) -> None:
    """Run a gateway that kills itself at a fail point, of the start, of calls or of the end."""
    try:
        made.start(TOLLKEEPER_FAILPOINT=failpoint)
    except AssertionError as error:
        assert "did not start" in str(error)
        return
    assert made.gateway is not None
    gateway = made.gateway
    wait_until(lambda: gateway.process.poll() is not None, DIES_S, failpoint)
    assert gateway.wait() == -signal.SIGKILL
    made.gateway = None


def require_no_drift(made: Deployment, load: CallLoad) -> None:
    """Compare what balances say with what was booked, to the last unit. Nobody runs any more."""
    entries = made.entries()
    assert len({entry.entry_id for entry in entries}) == len(entries)
    rows = balances(made)
    assert [row for row in rows if row.held] == []
    bookings = [
        (spender_of(entry), entry.started_at_us, spending_booked(entry)) for entry in entries
    ]
    booked = booked_sums(Book(BUDGETS), bookings)
    assert sum(booked.values()) > 0
    assert drifts(rows, booked) == []
    assert load.whole


def test_the_fail_points_exist() -> None:
    assert {point.partition(":")[0] for point in POINTS} <= GATEWAY_POINTS.keys()


@pytest.mark.parametrize("points", [POINTS[:9], POINTS[9:]], ids=["calls", "starts and ends"])
def test_killed_at_fail_points_with_holds_in_each_state(
    points: list[str], sandbox: str, tmp_path: Path
) -> None:
    made = prepared(tmp_path, sandbox, BUDGETS)
    try:
        with load_on(made, padded=True) as load:
            load.wait_for(12)
            made.kill()
            for point in points:
                run_until_death(made, point)
                made.start()
                load.wait_for(3)
                made.kill()
            made.start()
            load.wait_for(3)
        time.sleep(1.5)  # what died is told of within a second
        made.stop()
        require_no_drift(made, load)
    finally:
        made.finish()


def killed_at_random(made: Deployment, rounds: int) -> None:
    source = random.Random()
    with load_on(made) as load:
        for _ in range(rounds):
            load.wait_for(1)
            time.sleep(source.uniform(0, 0.6))
            made.kill()
            made.start()
        load.wait_for(1)
    time.sleep(1.5)
    made.stop()
    require_no_drift(made, load)


@pytest.mark.parametrize(
    "rounds",
    [10, pytest.param(300, marks=pytest.mark.long)],
)
def test_killed_at_random(rounds: int, sandbox: str, tmp_path: Path) -> None:
    made = prepared(tmp_path, sandbox, BUDGETS)
    try:
        killed_at_random(made, rounds)
    finally:
        made.finish()
