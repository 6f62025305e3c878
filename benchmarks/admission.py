"""What budgets add to a call: finding them, sizing the hold, admitting and settling it.

Also what it takes to say in the reply how much is left.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import CouldNotRun
from tollkeeper import bootstrap, clock
from tollkeeper.domain.budget_windows import WindowKind, WindowRule
from tollkeeper.domain.budgets import Budget, BudgetScope, Unit
from tollkeeper.domain.calls import Held, Part, Profile, Settled
from tollkeeper.domain.ledger import Basis, Outcome
from tollkeeper.gateway.authority_line import AuthorityLine
from tollkeeper.gateway.budget_desk import BudgetDesk
from tollkeeper.gateway.ways import Spending, Way
from tollkeeper.ports import DataFolder
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.services.call_sizes import CallKind, HoldSizes
from tollkeeper.services.hold_sizes import UsualReplies
from tollkeeper.services.model_habits import ModelHabits
from tollkeeper.storage.journal.spent_files import SpentFiles
from tollkeeper.storage.journal.writer import JournalWriter
from tollkeeper.wire.controls import Controls

ADMISSION: Final = "admission of a call with 5 budgets, and its settlement"
BUDGET_LEFT: Final = "what is left of 5 budgets, for the reply's header line"

_MODEL: Final = "gpt-4.1-mini"
_LIMIT: Final = 10**18
_WAIT_TURNS: Final = 2_000
_PROMPT_BYTES: Final = 1_000
_PROFILE: Final = Profile(
    *("acme", "core", "u1", "Alice", "k1", "laptop", "", "s1", "codex", "1.0", "openai"),
    *("openai", _MODEL, _MODEL, "chat/completions", "openai"),
    streamed=False,
    flat_rate=False,
)
_SCOPES: Final = (
    *(BudgetScope.ORG, BudgetScope.TEAM, BudgetScope.USER, BudgetScope.KEY, BudgetScope.MODEL),
)


class _Sent:
    """Stands in for a relay: counts the calls that may go."""

    count = 0

    def start(self) -> None:
        self.count += 1

    def wanted(self) -> bool:
        return True


def admission_us(time_us: Callable[[Callable[[], object]], float]) -> dict[str, float]:
    """Give what one call costs by part, with a function that times a piece of work in µs."""
    with tempfile.TemporaryDirectory(prefix="admission-") as folder:
        return asyncio.run(_measured(DataFolder(Path(folder)), time_us))


async def _measured(
    data: DataFolder, time_us: Callable[[Callable[[], object]], float]
) -> dict[str, float]:
    bootstrap.open_store(data).close()
    data.journal.mkdir()
    journal = JournalWriter(data.journal, now_us=clock.now_us(), on_fatal=_fatal)
    line = AuthorityLine(lambda: bootstrap.open_budget_authority(data))
    budgets = _budgets(data)
    habits, book = ModelHabits(), shipped_price_book()
    sizes = HoldSizes(book, habits, UsualReplies())
    desk = BudgetDesk(
        journal.instance,
        line,
        budgets,
        journal,
        SpentFiles(data.journal),
        sizes,
        count_bytes=lambda more: None,
    )
    kind = CallKind(
        "openai",
        _MODEL,
        "k1",
        "codex",
        "",
        costless=False,
        flat_rate=False,
        has_prompt=True,
        has_output=True,
    )
    way: Any = _way(kind)
    sent: Any = _Sent()
    controls = Controls(model=_MODEL, max_output_tokens=1_000)
    now_us, ids = clock.now_us(), map(str, itertools.count())

    def begin() -> Held:
        hold = desk.hold_of(way, controls, b"", _PROMPT_BYTES, now_us)
        held = Held(next(ids), "c", now_us, 1, False, _PROMPT_BYTES, 256, _PROFILE)
        desk.start(sent, way, held, hold)
        return held

    def call() -> None:
        held = begin()
        desk.settle(held, _outcome(held), way)

    def nothing() -> None:
        held = Held(next(ids), "c", now_us, 1, False, _PROMPT_BYTES, 256, _PROFILE)
        sent.start()
        _outcome(held)

    await _leased(begin, desk, sent)
    took_us = {
        ADMISSION: time_us(call) - time_us(nothing),
        BUDGET_LEFT: time_us(lambda: desk.lines(way)),
    }
    desk.close()
    journal.close()
    line.close()
    return took_us


async def _leased(begin: Callable[[], Held], desk: BudgetDesk, sent: _Sent) -> None:
    """Make calls until one needs to ask nobody."""
    begin()
    for _ in range(_WAIT_TURNS):
        await asyncio.sleep(0.002)
        before = sent.count
        begin()
        if sent.count > before and desk.waited and not desk.is_asking:
            return
    raise CouldNotRun("no budget was leased")


def _outcome(held: Held) -> Settled:
    part = Part(_MODEL, {"input": 250, "output": 120}, Basis.MEASURED, 292_000, 292_000)
    return Settled(held.entry_id, 200, Outcome.OK, "", 900, 300, "r", "1", [part])


def _way(kind: CallKind) -> Way:
    no: Any = None
    spending = Spending(_PROFILE, kind)
    return Way(no, no, _PROFILE, b"", False, False, True, True, no, spending, no)


def _budgets(data: DataFolder) -> list[Budget]:
    month = WindowRule(WindowKind.MONTH, "Europe/Berlin")
    store = bootstrap.open_store(data)
    budgets = [
        Budget(f"b{number}", f"budget {number}", scope, Unit.USD, _LIMIT, month)
        for number, scope in enumerate(_SCOPES)
    ]
    for budget in budgets:
        store.add_budget(budget, clock.now_us(), "benchmark")
    store.close()
    return budgets


def _fatal(error: OSError) -> None:
    raise error
