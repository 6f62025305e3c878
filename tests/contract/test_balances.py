"""What the store says of balances is what the authority says, on every database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from budget_desks import CENT, DAILY, DOLLAR, NOW, budget, charge
from stores import DAY, open_folder
from tollkeeper.bootstrap import open_budget_authority
from tollkeeper.domain.budgets import Amounts, BudgetScope
from tollkeeper.domain.leases import LeaseRequest


def test_the_store_tells_of_the_same_balances(tmp_path: Path, store_url: str) -> None:
    folder = open_folder(tmp_path / "data", store_url)
    daily = budget("b1", 5 * DOLLAR, window=DAILY)
    each = budget("b2", 9 * DOLLAR, scope=BudgetScope.TEAM, each=True)
    with closing(folder.store) as store:
        for kept in (daily, each):
            store.add_budget(kept, NOW, "test")
        assert store.balances() == []
        with closing(open_budget_authority(folder.data)) as authority:
            for entry, at_us in (("e1", NOW - DAY), ("e2", NOW)):
                taken = [charge(daily, CENT, at_us=at_us), charge(each, CENT, "core", at_us)]
                assert authority.hold(entry, "g1", taken, at_us) is None
            authority.settle("e1", Amounts(CENT, 1), NOW)
            row = charge(each, 0, "web")
            asked = LeaseRequest(row.key, row.window_end_us, 0, 0, 0, amount=DOLLAR, wanted=DOLLAR)
            authority.exchange("g2", [asked], NOW)
            told = authority.balances()
        assert store.balances(at_us=NOW) == [
            each for each in told if each.key.window_start_us <= NOW < each.window_end_us
        ]
        assert store.balances() == told
        assert len(told) == 4
        assert store.balances("b2", NOW) == [each for each in told if each.key.budget_id == "b2"]
        assert sum(each.leased for each in told) > 0
