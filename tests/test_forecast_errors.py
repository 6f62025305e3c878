"""The forecast's errors on whole companies stay what docs/forecast.md says they are."""

from __future__ import annotations

from statistics import median

import pytest

from forecast_errors import rounds


@pytest.mark.long
def test_errors_shrink_with_the_month_and_the_range_holds() -> None:
    for name, found in rounds([6, 7]).items():
        early, late = (
            median(each.missed for each in found if first <= each.day.day <= last)
            for first, last in ((1, 10), (21, 31))
        )
        assert late < 0.04 < 0.13 > early, name
        assert late < early, name
        held = sum(each.is_within for each in found) / len(found)
        assert 0.7 < held < 0.97, name
