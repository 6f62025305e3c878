"""Many gateways on a bad network against one authority: no cap is ever overrun."""

from __future__ import annotations

import pytest

from budget_simulation import Simulation

SEEDS = 200
SEEDS_LONG = 10_000
STEPS = 300
BATCH = 25


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_no_seed_overruns_a_cap_or_loses_a_hold(first: int) -> None:
    for seed in range(first, first + BATCH):
        _run(seed)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_calls_that_cost_more_than_they_held_are_booked_as_they_are(first: int) -> None:
    for seed in range(first, first + 10):
        _run(seed, overshoot=True)


def test_the_seeds_do_what_they_are_for() -> None:
    done = [_run(seed) for seed in range(20)]
    assert sum(each.admitted for each in done) > 1_000
    assert sum(each.refused for each in done) > 100
    assert sum(each.kills for each in done) > 50
    assert sum(each.failures for each in done) > 200


@pytest.mark.long
@pytest.mark.parametrize("first", range(SEEDS, SEEDS_LONG, 100))
def test_no_seed_of_many_overruns_a_cap(first: int) -> None:
    for seed in range(first, first + 100):
        _run(seed)


def _run(seed: int, *, overshoot: bool = False) -> Simulation:
    simulation = Simulation(seed, overshoot=overshoot)
    try:
        simulation.run(STEPS)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return simulation
