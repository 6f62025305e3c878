"""A cap holds in running gateways: with many calls at once, with several processes, to the cent."""

from __future__ import annotations

from pathlib import Path

import pytest

from budget_desks import CENT, DOLLAR, budget, only
from capped import answer, balances, call_at_once, capped
from rough_upstream import RoughUpstream

CALLS = 1_000
REFUSED = 402


@pytest.mark.parametrize(("limit", "sent"), [(5 * DOLLAR, 50), (10 * CENT, 1)])
def test_exactly_as_many_calls_reach_the_provider_as_the_cap_pays_for(
    limit: int, sent: int, tmp_path: Path
) -> None:
    with (
        RoughUpstream(answer) as provider,
        capped(tmp_path, provider, [budget(limit=limit)]) as made,
    ):
        statuses = call_at_once([(made.port, made.key)], CALLS)
        assert statuses == {200: sent, REFUSED: CALLS - sent}
        assert len(provider.requests) == sent
        made.stop()
        assert only(balances(made)).posted == limit
