"""The arithmetic behind docs/benchmarks.md."""

from __future__ import annotations

import math

import pytest

from benchmarks import figures, hot_path
from benchmarks.figures import Bound, Target, Verdict


def test_median_of_even_and_odd_counts() -> None:
    assert figures.median([3.0, 1.0, 2.0]) == 2.0
    assert figures.median([4.0, 1.0, 2.0, 3.0]) == 2.5
    assert figures.median([]) is None


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1), (0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100)]
)
def test_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    values = [float(value) for value in range(100, 0, -1)]  # in any order
    assert figures.percentile(values, share) == expected


def test_percentile_of_few_values_is_one_of_them() -> None:
    assert figures.percentile([7.0], 0.99) == 7.0
    assert figures.percentile([1.0, 9.0], 0.99) == 9.0
    assert figures.percentile([], 0.5) is None


def test_ratios_are_taken_within_each_round() -> None:
    # The machine was ten times slower in the second round: the ratio does not show it.
    ours, nginx = [50.0, 5.0, 60.0], [100.0, 10.0, 100.0]
    assert figures.paired_median(ours, nginx, relative=True) == 0.5
    assert figures.paired_median(ours, nginx, relative=False) == -40.0
    assert figures.paired_median(ours, [], relative=True) is None
    assert figures.paired_median([1.0, 2.0], [0.0, 4.0], relative=True) == 0.5


@pytest.mark.parametrize(
    ("bound", "measured", "verdict"),
    [
        (Bound.AT_LEAST, 0.5, Verdict.MET),
        (Bound.AT_LEAST, 0.4999, Verdict.MISSED),
        (Bound.AT_MOST, 0.5, Verdict.MET),
        (Bound.AT_MOST, 0.5001, Verdict.MISSED),
        (Bound.BELOW, 0.4999, Verdict.MET),
        (Bound.BELOW, 0.5, Verdict.MISSED),
        (Bound.BELOW, math.inf, Verdict.MISSED),
        (Bound.AT_LEAST, None, Verdict.UNKNOWN),
        (Bound.AT_MOST, math.nan, Verdict.UNKNOWN),
    ],
)
def test_verdicts_at_the_limit(bound: Bound, measured: float | None, verdict: Verdict) -> None:
    assert Target("a figure", measured, bound, 0.5).verdict is verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (math.nan, "n/a"),
        (math.inf, "n/a"),
        (43_122.4, "43,122"),
        (263.4, "263"),
        (30.0, "30"),
        (22.94, "22.9"),
        (1.137, "1.14"),
        (0.5, "0.50"),
        (0.0871, "0.087"),
        (-0.25, "-0.25"),
    ],
)
def test_numbers_keep_the_digits_that_mean_something(value: float | None, text: str) -> None:
    assert figures.number(value) == text


def test_spread() -> None:
    assert figures.spread([2_000.0, 1_500.0]) == "1,500 to 2,000"
    assert figures.spread([]) == "n/a"


def test_a_profile_is_summed_up_by_package() -> None:
    relay, send = ("/src/tollkeeper/gateway/relay.py", 1, "f"), ("/x/http1/exchange.py", 80, "send")
    usage, queue = ("/src/tollkeeper/domain/usage.py", 5, "g"), ("/lib/queue.py", 9, "put")
    stats = {
        relay: (100, 100, 0.002, 0.009, {}),
        send: (100, 100, 0.004, 0.004, {}),
        usage: (100, 100, 0.001, 0.001, {}),
        queue: (1, 1, 0.0005, 0.0005, {}),
        ("~", 0, "<len>"): (
            300,
            300,
            0.003,
            0.003,
            {relay: (200, 200, 0.002, 0.002), usage: (100, 100, 0.001, 0.001)},
        ),
    }
    shares = hot_path.by_package(stats, 100)
    assert {name: round(took_us, 6) for name, took_us in shares.items()} == {
        "gateway": 40.0,
        "sending (the kernel's part of two writes)": 40.0,
        "domain": 20.0,
        "standard library and others": 5.0,
    }
    functions = hot_path.by_function(stats, 100)
    assert functions[0][0].endswith("exchange.py: send`")
    assert [round(took_us, 6) for _, took_us in functions] == [40.0, 30.0, 20.0, 10.0, 5.0]
