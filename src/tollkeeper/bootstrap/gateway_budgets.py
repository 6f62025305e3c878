"""What the gateway process needs to keep to budgets: a desk, and what dead instances have spent."""

from __future__ import annotations

from collections.abc import Sequence

from tollkeeper import bootstrap
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.failpoints import FailPoint
from tollkeeper.gateway.authority_line import AuthorityLine
from tollkeeper.gateway.budget_desk import BudgetDesk
from tollkeeper.gateway.shared import Gateway
from tollkeeper.ports import DataFolder
from tollkeeper.services.budget_spending import charges_of
from tollkeeper.services.call_sizes import HoldSizes
from tollkeeper.services.hold_sizes import UsualReplies
from tollkeeper.services.settlement import settle_interrupted
from tollkeeper.storage.journal.recovery import recover
from tollkeeper.storage.journal.spent_files import SpentFiles


def recover_journal(
    data: DataFolder, prices: PriceBook, budgets: Sequence[Budget], failpoint: FailPoint | None
) -> None:
    """Account for what was in flight when gateways died, and keep what they spent of budgets."""
    data.journal.mkdir(mode=0o700, exist_ok=True)
    recover(
        data.journal,
        lambda held: settle_interrupted(held, prices),
        failpoint=failpoint,
        charges_of=charges_of(Book(budgets)) if budgets else None,
    )


def set_up_desk(
    gateway: Gateway,
    prices: PriceBook,
    budgets: Sequence[Budget],
    data: DataFolder,
    public_url: str,
) -> None:
    """Let calls be admitted against budgets."""
    gateway.desk = BudgetDesk(
        gateway.journal.instance,
        AuthorityLine(lambda: bootstrap.open_budget_authority(data), gateway.failpoint),
        budgets,
        gateway.journal,
        SpentFiles(data.journal, gateway.failpoint),
        HoldSizes(prices, gateway.habits, UsualReplies()),
        count_bytes=gateway.count_bytes,
        public_url=public_url,
    )
