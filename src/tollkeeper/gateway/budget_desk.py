"""Where calls are admitted against budgets, in one gateway process.

Most calls are admitted in memory, in a microsecond. Where a lease has too little, a thread asks
the authority, and the call waits: for a few seconds at most, and with not too many others. No
call reaches a provider but through ``start``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from tollkeeper import clock
from tollkeeper.domain.budget_book import Book
from tollkeeper.domain.budgets import Budget
from tollkeeper.domain.calls import Held, Profile, Settled
from tollkeeper.domain.errors import BadRequest, Overloaded, TollkeeperError
from tollkeeper.domain.holds import Hold
from tollkeeper.domain.leases import LeaseAnswer
from tollkeeper.domain.ledger import Outcome
from tollkeeper.domain.money import NANOS_PER_USD
from tollkeeper.gateway.authority_line import AuthorityLine
from tollkeeper.gateway.ways import Way
from tollkeeper.ports import EndedSpending, Journal
from tollkeeper.services.budget_gate import (
    ADMITTED,
    UNREACHABLE,
    Admitted,
    Ask,
    BudgetGate,
    Decision,
    Subject,
)
from tollkeeper.services.budget_gate import Refused as NoRoom
from tollkeeper.services.budget_refusals import UNREACHABLE_RETRY_S, ask_link, refusal_error
from tollkeeper.services.budget_spending import output_of, spent_by
from tollkeeper.services.call_sizes import HoldSizes
from tollkeeper.telemetry import logger, spawn
from tollkeeper.wire.controls import Controls

if TYPE_CHECKING:
    from tollkeeper.gateway.relay import Relay

WAIT_S: Final = 3.0
"""So long a call waits for the authority's answer."""
WAITING_MAX: Final = 4_096
TICK_S: Final = 0.25
_REPORT_EVERY: Final = 4  # ticks: once a second
_LEFT_LINE: Final = b"x-tollkeeper-budget-left-usd: %d.%09d\r\n"
_OK: Final = Outcome.OK  # to look a member up takes longer than to compare it
_USD: Final = 0  # where in what was spent it stands
_AT_ONCE: Final = 250  # calls that waited, in one turn of the loop


class Asking(NamedTuple):
    """A call at the desk. ``hold`` is what it holds, ``body_bytes`` what it keeps in memory."""

    relay: Relay
    way: Way
    held: Held
    hold: Hold
    body_bytes: int
    until_s: float


class BudgetDesk:
    """Admits the calls of one process, and settles what they held.

    ``holds`` is not empty while calls hold something, so that others need not be looked up.
    ``public_url`` is where people ask for more. ``count_bytes`` is told of the request bodies
    that are kept in memory. Only the loop's thread may use a desk.
    """

    def __init__(
        self,
        instance: str,
        line: AuthorityLine,
        budgets: Sequence[Budget],
        journal: Journal,
        ended: EndedSpending,
        sizes: HoldSizes,
        *,
        count_bytes: Callable[[int], None],
        now_us: Callable[[], int] = clock.now_us,
        public_url: str = "",
    ) -> None:
        self._count_bytes = count_bytes
        self.sizes = sizes
        self.public_url = public_url
        self.waited = self.unreachable = 0
        self._line = line
        self._journal = journal
        self._ended = ended
        self._now_us = now_us
        self._budgets = budgets
        self._gate = BudgetGate(instance, Book(budgets), now_us())
        self.holds: Mapping[str, object] = self._gate.holds
        self._waiting: list[Asking] = []
        self._asked_at_s: float | None = None  # since when an exchange is under way
        self._away_since_s: float | None = None
        self._again_at_s = 0.0
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._is_unsaid, self._is_saying, self._has_complained = True, False, False
        self.counts = self._any_counts()

    @property
    def is_asking(self) -> bool:
        """Tell whether an exchange with the authority is under way."""
        return self._asked_at_s is not None

    def gauges(self) -> dict[str, tuple[str, float]]:
        """Give what a scrape shows: name to help text and value."""
        return {
            "tollkeeper_budget_holds": ("Calls that hold budgets", len(self.holds)),
            "tollkeeper_budget_waiting": ("Calls that wait for budgets", len(self._waiting)),
            "tollkeeper_budget_waited": ("Calls that had to wait so far", self.waited),
            "tollkeeper_budget_unreachable": ("Calls refused unasked so far", self.unreachable),
        }

    # ------------------------------------------------------------------ calls

    def hold_of(
        self, way: Way, controls: Controls, body: bytes, body_bytes: int, at_us: int
    ) -> Hold | None:
        """Say how much a call holds; None where no budget concerns it.

        ``body`` is its decoded body where it is at hand, ``body_bytes`` its size as far as
        that is known.
        """
        gate, spending = self._gate, way.spending
        subject = spending.subject
        if subject.seal is not gate.seal or not subject.since_us <= at_us < subject.until_us:
            gate.match(subject, at_us)
        if not subject.charges:
            return None
        sizes = spending.sizes
        if sizes is None:
            sizes = spending.sizes = self.sizes.of(spending.kind)
        output_max, choices, units = controls.max_output_tokens, controls.choices, controls.asked[0]
        prompt_bytes = body_bytes if way.has_prompt else 0
        hold: Hold = sizes.balanced(body, prompt_bytes, output_max, choices, units, at_us)
        if subject.is_strict:
            hold += sizes.strict(body, output_max, choices, units, at_us)
        return hold

    def start(
        self, relay: Relay, way: Way, held: Held, hold: Hold | None, body_bytes: int = 0
    ) -> bool:
        """Start a call if its budgets have room, at once or when that is known.

        False where they have none: then the call was refused and answered.
        """
        if hold is not None:
            subject = way.spending.subject
            decision = self._gate.admit(subject, held.entry_id, hold, held.started_at_us)
            if decision is not ADMITTED:
                asking = Asking(relay, way, held, hold, body_bytes, clock.monotonic_s() + WAIT_S)
                return self._decided(decision, asking)
        relay.start()
        return True

    def settle(self, held: Held, settled: Settled, way: Way) -> None:
        """Turn what a call held into what it spent. Its outcome is in the journal before.

        So a journal that goes on in a new segment says what was spent without it, and has its
        outcome behind that.
        """
        spent = spent_by(held, settled)
        if not self._gate.settle(held.entry_id, spent):
            return
        sizes = way.spending.sizes
        if sizes is not None and settled.outcome == _OK:
            sizes.unlearned -= 1
            if sizes.unlearned <= 0:
                sizes.learn(output_of(settled), spent[_USD])

    def void(self, entry_id: str) -> None:
        """Free what a call held that was never sent."""
        self._gate.void(entry_id)

    def require_alike(self, way: Way, profile: Profile, at_us: int) -> None:
        """Raise BadRequest where a call concerns other budgets by what became known of it late."""
        subject, now = way.spending.subject, Subject(profile)
        self._gate.match(subject, at_us)
        self._gate.match(now, at_us)
        if [row for row, _ in now.charges] != [row for row, _ in subject.charges]:
            raise BadRequest(
                "put the form field 'model' before the file: budgets depend on it",
                code="model_late",
            )

    def lines(self, way: Way) -> bytes:
        """Give the header line that says what is left of the scarcest budget in USD."""
        left = self._gate.left_nanos(way.spending.subject)
        return b"" if left is None else _LEFT_LINE % divmod(max(left, 0), NANOS_PER_USD)

    def _decided(self, decision: Decision, asking: Asking) -> bool:
        """Start a call, refuse it, or let it wait; False if it was refused."""
        if isinstance(decision, Admitted):
            asking.relay.start()
            return True
        if isinstance(decision, NoRoom):
            self._refuse(asking, decision)
            return False
        is_full = len(self._waiting) >= WAITING_MAX
        if is_full or self._closed or self._is_away(clock.monotonic_s()):
            if isinstance(decision, Ask):
                self._gate.failed()  # nobody was asked
            self._refuse_unasked(asking)
            return False
        self.waited += 1
        self._waiting.append(asking)
        self._count_bytes(asking.body_bytes)
        if isinstance(decision, Ask):
            self._exchange(decision)
        return True

    def _refuse(self, asking: Asking, refused: NoRoom) -> None:
        sizes = asking.way.spending.sizes
        error = refusal_error(
            refused,
            self._now_us(),
            ask_link(self.public_url, refused),
            model=asking.held.profile.model,
            reason="" if sizes is None else sizes.why_unknown(asking.held.started_at_us),
        )
        asking.relay.not_held(error, refused.budget.budget_id)

    def _refuse_unasked(self, asking: Asking) -> None:
        """Refuse a call because its budgets cannot be asked, or are known to be spent."""
        subject = asking.way.spending.subject
        refused = self._gate.unreachable(subject, asking.hold, self._now_us())
        if refused is None or refused.code == UNREACHABLE:
            self.unreachable += 1
        if refused is not None:
            self._refuse(asking, refused)
            return
        busy = Overloaded(
            "budgets cannot be checked at the moment",
            code="budget_unreachable",
            retry_after_s=UNREACHABLE_RETRY_S,
        )
        asking.relay.not_held(busy, "")

    # ------------------------------------------------------------------ the authority

    def _is_away(self, now_s: float) -> bool:
        """Tell whether it makes no sense to wait: nothing was heard for as long as one may."""
        asked, away = self._asked_at_s, self._away_since_s
        return (asked is not None and now_s - asked > WAIT_S) or (
            away is not None and now_s - away > WAIT_S
        )

    def _exchange(self, asked: Ask) -> None:
        """Put a question to the authority. What it is told is in the journal before."""
        if self._closed or not self._journal.flush():
            self._failed(OSError("the journal cannot be written"))
            return
        self._asked_at_s = clock.monotonic_s()
        future = self._line.exchange(self._gate.gateway, asked.requests, self._now_us())
        future.add_done_callback(partial(self._answered, asked))

    def _answered(self, asked: Ask, future: asyncio.Future[LeaseAnswer]) -> None:
        self._asked_at_s = None
        if future.cancelled():
            self._gate.failed()
            return
        error = future.exception()
        if error is not None:
            self._failed(error)
            return
        if self._away_since_s is not None:
            self._away_since_s = None
            logger.warning("budgets can be asked again")
        new = self._gate.answered(asked, future.result(), self._now_us())
        if new:
            self._journal.account(new)
        self._go_on()

    def _failed(self, error: BaseException) -> None:
        self._gate.failed()
        now_s = clock.monotonic_s()
        self._again_at_s = now_s + TICK_S
        if self._away_since_s is None:
            self._away_since_s = now_s
            logger.error("budgets cannot be asked", extra={"error": str(error)})
        if not isinstance(error, OSError | TollkeeperError):
            logger.error("the budget authority failed", exc_info=error)

    def _go_on(self) -> None:
        """Decide about the calls that wait, in their order, some in each turn of the loop."""
        waiting, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        left: list[Asking] = []
        for asking in waiting:
            self._count_bytes(-asking.body_bytes)
            if not asking.relay.wanted():
                continue
            subject, held = asking.way.spending.subject, asking.held
            decision = self._gate.admit(subject, held.entry_id, asking.hold, held.started_at_us)
            if isinstance(decision, (Admitted, NoRoom)):
                self._decided(decision, asking)
                continue
            left.append(asking)
            self._count_bytes(asking.body_bytes)
            if isinstance(decision, Ask):
                self._exchange(decision)
        is_more = len(self._waiting) > 0 and len(left) < len(waiting)
        self._waiting = left + self._waiting
        if is_more and len(waiting) == _AT_ONCE:
            asyncio.get_running_loop().call_soon(self._go_on)

    # ------------------------------------------------------------------ upkeep

    def open(self) -> None:
        """Begin to report, and to look after calls that wait."""
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def follow(self, budgets: Sequence[Budget]) -> None:
        """Take over changed budgets. Calls in flight go on."""
        if budgets is not self._budgets:
            self._budgets = budgets
            self._gate.use(Book(budgets))
            self.counts = self._any_counts()

    def _any_counts(self) -> bool:
        if self._budgets and self._journal.accounts is None:
            self._journal.accounts = self._gate.accounts
        now_us = self._now_us()
        return any(budget.until_us > now_us for budget in self._budgets)

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        now_s = clock.monotonic_s()
        self._ticks += 1
        if self._ticks % _REPORT_EVERY == 0:
            self.counts = self._any_counts()
            self._report()
            if self._is_unsaid and not self._is_saying:
                spawn(self._say_what_was_spent(), name="say-what-was-spent")
        if self._waiting:
            self._refuse_late(now_s)
            if self._asked_at_s is None and now_s >= self._again_at_s:
                self._go_on()

    def _report(self) -> None:
        asked = self._gate.reports(self._now_us())
        if asked is not None:
            self._exchange(asked)

    def _refuse_late(self, now_s: float) -> None:
        """Refuse whoever has waited long enough, and forget whose client has left."""
        waiting, self._waiting = self._waiting, []
        kept: list[Asking] = []
        for asking in waiting:
            if asking.relay.wanted() and now_s < asking.until_s:
                kept.append(asking)
                continue
            self._count_bytes(-asking.body_bytes)
            if asking.relay.wanted():
                self._refuse_unasked(asking)
        self._waiting = kept + self._waiting

    async def finish(self) -> None:
        """Say what was spent in all, if nothing is left open, and close the line."""
        if not (self._gate.open_calls or self._journal.open_calls):
            await self._say_what_was_spent()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._line.close)

    async def _say_what_was_spent(self) -> None:
        """Tell the authority of the instances that have ended; what fails is said again."""
        self._is_saying = True
        try:
            for instance, accounts in self._ended.ended().items():
                spent = {each.key: each.spent for each in accounts if each.in_all}
                untold = {each.key: each.spent for each in accounts if not each.in_all}
                await self._line.finish(instance, spent, untold, self._now_us())
                self._ended.said(instance)
            self._is_unsaid = self._has_complained = False
        except (OSError, TollkeeperError, ValueError) as error:
            if not self._has_complained:  # it is tried again every second
                self._has_complained = True
                logger.error("what was spent of budgets is not said", extra={"why": str(error)})
        finally:
            self._is_saying = False

    def close(self) -> None:
        """Refuse who still waits, and ask nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, []
        for asking in waiting:
            self._count_bytes(-asking.body_bytes)
            if asking.relay.wanted():
                self._refuse_unasked(asking)
