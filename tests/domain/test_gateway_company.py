"""Who shares a store, by everybody's own clock; and that parts of a limit are the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.gateway_company import COUNTS_S, GONE_S, Beat, Company, Share

SECOND_US = 1_000_000
NOW_US = 1_790_000_000_000_000


@given(st.integers(1, 10**12), st.integers(1, 200))
def test_all_parts_together_are_the_limit_unless_it_is_smaller_than_their_number(
    limit: int, count: int
) -> None:
    parts = [Share(rank, count).of(limit) for rank in range(count)]
    assert sum(parts) == max(limit, count)
    assert max(parts) - min(parts) <= 1
    assert min(parts) >= 1


def test_one_that_comes_counts_at_once_and_one_that_is_gone_for_a_minute_more() -> None:
    company = Company("b")
    assert company.heard([Beat("b", NOW_US)], NOW_US, 0.0) == Share(0, 1)
    two = [Beat("b", NOW_US + 1), Beat("a", NOW_US)]
    assert company.heard(two, NOW_US, 2.0) == Share(1, 2)
    alone = [Beat("b", NOW_US + 2)]
    assert company.heard(alone, NOW_US, 4.0) == Share(0, 2)
    assert company.heard(alone, NOW_US, 2.0 + COUNTS_S) == Share(0, 2)
    assert company.heard(alone, NOW_US, 4.0 + COUNTS_S) == Share(0, 1)
    assert company.heard(alone, NOW_US, 6.0 + COUNTS_S) == Share(0, 1)


def test_one_that_says_nothing_new_is_gone_whatever_its_clock_says() -> None:
    company = Company("a")
    company.heard([], NOW_US, 0.0)
    ahead = Beat("b", NOW_US + 3_600 * SECOND_US)
    assert company.heard([ahead], NOW_US, 1.0).gateways == 2
    assert (
        company.heard([ahead._replace(seen_at_us=5)], NOW_US, 2.0).gateways == 2
    )  # it was put back
    living = company.heard([Beat("b", 6)], NOW_US, 9.0)
    assert living.gateways == 2
    company.heard([Beat("b", 6)], NOW_US, 9.0 + GONE_S)
    assert company.heard([Beat("b", 6)], NOW_US, 9.0 + GONE_S + COUNTS_S).gateways == 1


def test_whoever_died_long_before_the_start_does_not_count() -> None:
    long_ago = int(NOW_US - GONE_S * SECOND_US)
    dead, living = Beat("a", long_ago), Beat("c", NOW_US - SECOND_US)
    company = Company("b")
    assert company.heard([dead, living, Beat("b", NOW_US)], NOW_US, 0.0) == Share(0, 2)
    gone = company.heard([dead, living, Beat("b", NOW_US + 1)], NOW_US, GONE_S - 1 + COUNTS_S)
    assert gone == Share(0, 2)  # it counted until just now
    later = GONE_S - 1 + 2 * COUNTS_S
    assert company.heard([dead, living, Beat("b", NOW_US + 2)], NOW_US, later) == Share(0, 1)
