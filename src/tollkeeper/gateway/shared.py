"""What all calls of one gateway process share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tollkeeper import clock
from tollkeeper.domain.calls import Held, Profile, Settled
from tollkeeper.domain.errors import Overloaded
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import LedgerEntry, Outcome
from tollkeeper.failpoints import FailPoint
from tollkeeper.gateway.counters import Counters
from tollkeeper.gateway.plans import Planner
from tollkeeper.gateway.rate_limits import count_used
from tollkeeper.http1.origin import Origin
from tollkeeper.http1.pool import UpstreamPool
from tollkeeper.ports import Journal
from tollkeeper.runtime import GatewaySettings
from tollkeeper.services.model_habits import ModelHabits
from tollkeeper.services.rate_gate import RateGate, Ticket
from tollkeeper.services.refusal_memory import RefusalMemory
from tollkeeper.services.settlement import NO_HINTS, Ending, Hints, Prices
from tollkeeper.services.verified_keys import VerifiedKeys
from tollkeeper.wire.clients import ClientTable
from tollkeeper.wire.headers import HeaderFilter
from tollkeeper.wire.request_text import request_text

if TYPE_CHECKING:
    from tollkeeper.gateway.budget_desk import BudgetDesk
    from tollkeeper.gateway.console_relay import ConsoleRelay
    from tollkeeper.gateway.relay import Relay
    from tollkeeper.gateway.ways import Way


class Gateway:
    """The ports, tables and counters of the data plane. ``planner`` changes on a reload."""

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        planner: Planner,
        prices: Prices,
        keys: VerifiedKeys,
        journal: Journal,
        pool: UpstreamPool,
        console: Origin | None,
        failpoint: FailPoint | None = None,
        habits: ModelHabits | None = None,
        now_us: Callable[[], int] = clock.now_us,
    ) -> None:
        self.settings = settings
        self.planner = planner
        self.prices = prices
        self.keys = keys
        self.journal = journal
        self.pool = pool
        self.console = console
        self.failpoint = failpoint
        self.now_us = now_us
        self.counters = Counters()
        self.repeats = RefusalMemory(self.counters.repeated)
        self.clients = ClientTable()
        self.headers = HeaderFilter()
        self.habits = habits or ModelHabits()
        self.ids = IdMint()
        self.relays: set[Relay] = set()
        self.buffered_bytes = 0
        self.page_bytes = 0  # of requests for the console
        self.page_streams: set[ConsoleRelay] = set()  # replies to open pages, which never end
        self.drains = 0
        self.draining = False
        self.desk: BudgetDesk | None = None  # None where this process knows no budgets
        self.rates = RateGate()
        self.locked: Overloaded | None = None  # why no call is taken at the moment
        self.config_fault = ""  # why the latest configuration was not taken over

    def call_ended(self, way: Way, ending: Ending, prompt_bytes: int) -> None:
        """Count a call that ended, and learn from what it used."""
        output = way.series.add(ending)
        if ending.outcome is not Outcome.OK:
            return
        if ending.usage is not None:
            self.habits.learn(way.plan.model, output, prompt_bytes, ending.usage.quantities)
        elif not ending.free and ending.job is None:
            self.counters.unmetered += 1

    def void(self, held: Held, ticket: Ticket | None) -> None:
        """Free what is held for a call that was never sent, and its place at its rate limits."""
        if self.desk is not None and self.desk.holds:
            self.desk.void(held.entry_id)
        if ticket is not None:
            ticket.cancel()

    def settled(self, held: Held, settled: Settled, way: Way, ticket: Ticket | None) -> None:
        """Turn what was held for a call into what it spent; its outcome is posted."""
        if self.desk is not None and self.desk.holds:
            self.desk.settle(held, settled, way)
        if ticket is not None:
            count_used(ticket, held, settled)

    def require_alike(self, way: Way, profile: Profile, at_us: int) -> None:
        """Raise BadRequest where what became known of a call late decides over what it may do."""
        if self.desk is not None:
            self.desk.require_alike(way, profile, at_us)
        self.rates.require_alike(way.rates, profile)

    def count_bytes(self, more: int) -> None:
        """Count bytes of requests that are kept in memory, or fewer again."""
        self.buffered_bytes += more

    def refused(self, entry: LedgerEntry, about: str) -> None:
        """Write down a call that was refused; ``about`` is the budget or limit that did, or "".

        What one of these refuses again and again is counted, and written together.
        """
        for each in self.repeats.refused(entry, about) if about else (entry,):
            self.journal.note(each)

    def write_repeats(self, *, at_end: bool = False) -> None:
        """Write what stands for refusals that were only counted, as far as it is due."""
        for each in self.repeats.all() if at_end else self.repeats.due(self.now_us()):
            self.journal.note(each)

    def hints(self, way: Way, asked: bytes, ending: Ending) -> Hints:
        """Give what an estimate can go by: the request, and what is known of its model."""
        if ending.status >= 400 or ending.free:
            return NO_HINTS  # nothing is estimated
        model, habits = way.plan.model, self.habits
        text = request_text(asked) if asked else None
        return Hints(text, habits.bytes_per_token(model), habits.hidden_tokens(model))
