"""What the gateway process needs to keep to budgets: a desk, and what dead instances have spent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial

from tollkeeper import bootstrap, clock
from tollkeeper.config import Configuration
from tollkeeper.config.settings import Settings
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budget_words import is_of_file
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.file_budgets import file_changes, file_overdrafts
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.failpoints import FailPoint
from tollkeeper.gateway.authority_line import AuthorityLine
from tollkeeper.gateway.budget_desk import BudgetDesk
from tollkeeper.gateway.rate_shares import RateShares
from tollkeeper.gateway.shared import Gateway
from tollkeeper.ports import DataFolder
from tollkeeper.services.budget_spending import charges_of
from tollkeeper.services.call_sizes import HoldSizes
from tollkeeper.services.hold_sizes import UsualReplies
from tollkeeper.services.settlement import settle_interrupted
from tollkeeper.storage.journal.recovery import recover
from tollkeeper.storage.journal.spent_files import SpentFiles
from tollkeeper.telemetry import logger, spawn


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


def follow_file(
    configuration: Configuration,
    before: Configuration | None,
    known: Sequence[Budget],
    data: DataFolder,
) -> bool:
    """Keep the budgets of the configuration file in the store; tell whether any has changed.

    ``known`` are those of the store as far as is known, ``before`` is what was in force until
    now: mostly there is nothing to do. Raises ConfigError or OSError where the store cannot
    take them: no cap of the file would hold.
    """
    now_us = clock.now_us()
    changes = partial(file_changes, wanted=configuration.budgets, now_us=now_us)
    has_others = before is None or before.overdrafts != configuration.overdrafts
    is_concerned = has_others and any(is_of_file(budget.budget_id) for budget in known)
    if not changes(known) and not is_concerned:
        return False
    by = "" if configuration.file is None else configuration.file.name
    with closing(bootstrap.open_budget_authority(data)) as authority:
        overdrafts = partial(file_overdrafts, configuration.overdrafts, now_us)
        changed = authority.follow_file(changes, overdrafts, now_us, by)
    for budget in changed:
        logger.info("budget of the file", extra={"budget": budget.budget_id, "called": budget.name})
    return bool(changed)


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
        HoldSizes(prices, gateway.habits, UsualReplies.load(data.replies)),
        count_bytes=gateway.count_bytes,
        public_url=public_url,
    )


def renew_desk(gateway: Gateway, prices: PriceBook, public_url: str) -> None:
    """Let a desk take over changed prices, and the address where people ask for more."""
    if gateway.desk is not None:
        gateway.desk.sizes.use(prices)
        gateway.desk.public_url = public_url


@asynccontextmanager
async def sharing_rates(
    gateway: Gateway, settings: Settings, data: DataFolder
) -> AsyncIterator[None]:
    """Let gateways divide rate limits, where that is wanted and the store may have several."""
    if settings.limits.rate_share != "divide" or not data.store_url:
        yield
        return
    line = AuthorityLine(lambda: bootstrap.open_budget_authority(data))
    shares = RateShares(gateway.journal.instance, line, gateway.rates.divide)
    await shares.meet()  # before any call is let through
    keeping = spawn(shares.keep(), name="share-rate-limits")
    try:
        yield
    finally:
        keeping.cancel()
        await shares.leave()
