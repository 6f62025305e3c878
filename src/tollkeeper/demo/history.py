"""The calls of the made-up company, in the order of time: any number, in bounded memory.

Every call is settled by the product's own rules with the shipped price book (under the
company's two contracts), so quantities, costs, reasons and price keys agree with each other as
they do in a running deployment, and ``calls explain`` comes to the same cost.

For a test that wants a ledger with the company in it::

    from tollkeeper.demo.history import demo_entries

    entries = list(demo_entries(now_us, 5_000))            # LedgerEntry, oldest first
    ledger = open_duckdb(tmp_path)                         # tests/ledgers.py
    ledger.append(entries, None)                           # or in pieces of some thousand

``demo_company(now_us)`` says who is who and what was planted when (``.stories``, ``.people``,
``.services``, ``.customers``); ``demo.prices.price_book(company.stories)`` is the book.
About 25,000 entries are made in a second; the same (now_us, entries, seed) give the same ones.
``demo.people.settle_in`` puts the people, teams, keys and plans into a store.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple

from tollkeeper.demo.callers import Callers
from tollkeeper.demo.company import SEED, Company, company_of
from tollkeeper.demo.dice import Dice
from tollkeeper.demo.prices import price_book
from tollkeeper.demo.rhythm import Hour, hours
from tollkeeper.demo.sessions import AgentSession, Session
from tollkeeper.demo.stories import DAY_US, HOUR_US
from tollkeeper.demo.usage import usage_of
from tollkeeper.domain import usage as u
from tollkeeper.domain.calls import Held, Profile, Settled
from tollkeeper.domain.ids import IdMint
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome, entries_of
from tollkeeper.domain.usage import Usage
from tollkeeper.services.settlement import Ending, settle

_AGENT_TURNS: Final = 16
_AGENT_TURNS_MAX: Final = 120
_LAST_US: Final = 20_000_000  # the last call ended so long ago
_AGENTS, _SERVICES, _NIGHTLY = "agents", "services", "nightly"
_STAND_IN_US: Final = 2 * HOUR_US
_SPARE_MAX: Final = 40
_PLANTED_MIN: Final = 3  # calls an hour
_REFUSED_STATUS: Final = 402


class Call(NamedTuple):
    """One attempt: what a gateway journals before and after. Together they make its entries."""

    held: Held
    settled: Settled

    def entries(self) -> list[LedgerEntry]:
        return entries_of(self.held, self.settled)


Record = Call | LedgerEntry
"""What a gateway journals: an attempt, or the entry of a call that was refused."""


def demo_company(now_us: int, seed: int = SEED) -> Company:
    """Give the company whose history ends at a moment."""
    return company_of(now_us, seed)


def demo_entries(now_us: int, entries: int, seed: int = SEED) -> Iterator[LedgerEntry]:
    """Give so many ledger entries of the ninety days before a moment, the oldest first."""
    for record in History(now_us, entries, seed).records():
        if isinstance(record, Call):
            yield from record.entries()
        else:
            yield record


class History:
    """The past of the company. ``entries`` is how many ledger entries it comes to, exactly."""

    def __init__(self, now_us: int, entries: int, seed: int = SEED) -> None:
        self.company = company_of(now_us, seed)
        self._now_us = now_us
        self._entries = entries
        self._dice = Dice(seed)
        self._mint = IdMint(mark=seed)
        self._book = price_book(self.company.stories)
        self._callers = Callers(self.company, self._dice, self._book)
        self._due: list[tuple[int, int, Session]] = []  # a heap by time
        self._spare = min(_SPARE_MAX, entries // 50)  # sessions go on longer than was owed
        self._begun = self._given = 0
        self._owed = {_AGENTS: 0.0, _SERVICES: 0.0, _NIGHTLY: 0.0}  # entries, by kind of work
        self._at_work: dict[str, AgentSession] = {}

    def records(self) -> Iterator[Record]:
        """Give all records in the order of time. May be called once."""
        for hour in hours(self.company, self._now_us - _LAST_US):
            self._callers.on(hour.from_us // DAY_US)
            yield from self._refusals(hour)
            self._begin(hour)
            yield from self._until(hour.until_us)
        # What was to come after now is left out; single calls of the last hours stand in.
        self._due.clear()
        until_us = self._now_us - _LAST_US
        while self._given < self._entries:
            for _ in range(min(self._entries - self._given, 1_000)):
                self._push(until_us - self._dice.below(_STAND_IN_US), self._callers.app())
            yield from self._until(until_us)
            self._due.clear()

    # ------------------------------------------------------------------ beginnings

    def _begin(self, hour: Hour) -> None:
        """Let begin what is to begin in an hour: each kind of work as much as is owed to it."""
        self._begin_stories(hour)
        for lane, owed in self._owed.items():
            owed += (self._entries - self._spare) * hour.lanes[lane]
            while owed >= 1:
                at_us = hour.from_us + self._dice.below(hour.until_us - hour.from_us)
                if lane == _AGENTS:
                    owed -= self._sit_down(at_us)
                else:
                    app = self._callers.app(nightly=lane == _NIGHTLY)
                    owed -= app.turns_left
                    self._push(at_us, app)
            self._owed[lane] = owed

    def _begin_stories(self, hour: Hour) -> None:
        """Let the loop and the thief go on through an hour of theirs."""
        for lane, begin in (("runaway", self._callers.loop), ("leak", self._callers.thief)):
            calls = self._planted(hour, lane)
            if calls:
                pause_us = (hour.until_us - hour.from_us) // calls
                self._push(hour.from_us + pause_us // 2, begin(calls, pause_us))

    def _planted(self, hour: Hour, lane: str) -> int:
        """Say how many calls of a story lie in an hour: few in a short history, but some."""
        exact = self._entries * hour.lanes[lane]
        calls = max(_PLANTED_MIN, round(exact)) if exact else 0
        self._owed[_SERVICES] -= calls - exact
        return calls

    def _sit_down(self, at_us: int) -> int:
        """Let somebody work with an agent, or go on with it; give how many turns that is."""
        person, tool = self._callers.somebody()
        turns = min(self._dice.turns(_AGENT_TURNS), _AGENT_TURNS_MAX)
        running = self._at_work.get(person.user_id)
        if running is not None and running.turns_left:
            running.turns_left += turns
            return turns
        session = self._callers.agent(person, tool, turns)
        self._at_work[person.user_id] = session
        self._push(at_us, session)
        return turns

    def _push(self, at_us: int, session: Session) -> None:
        self._begun += 1
        heappush(self._due, (at_us, self._begun, session))

    # ------------------------------------------------------------------ calls

    def _until(self, until_us: int) -> Iterator[Record]:
        """Give what happens before a time."""
        due, dice = self._due, self._dice
        while due and due[0][0] < until_us and self._given < self._entries:
            at_us, number, session = heappop(due)
            if self._is_revoked(session, at_us):
                self._owed[_AGENTS] += session.turns_left
                session.turns_left = 0
                continue
            yield from self._calls(at_us, session)
            session.turns_left -= 1
            if session.turns_left:
                heappush(due, (at_us + session.pause_us(dice) + 1_000_000, number, session))

    def _is_revoked(self, session: Session, at_us: int) -> bool:
        """Tell whether a session's key is the leaked one, and no longer good."""
        company = self.company
        revoked = at_us >= company.stories.leak.until_us
        return revoked and session.profile.key_id == company.leaked.key_id

    def _calls(self, at_us: int, session: Session) -> Iterator[Record]:
        """Give the attempts of one call: mostly one, two where the first one failed."""
        dice, profile = self._dice, session.profile
        usage = usage_of(session.api, profile.model, session.quantities(dice, at_us))
        call_id = self._mint.next(at_us // 1_000)
        fate = dice.chance()
        in_outage = profile.provider == "openai" and _is_within(at_us, self.company)
        if in_outage and fate < 0.6:
            yield self._failed(call_id, 1, at_us, profile, 503, "server_error")
        elif fate < 0.012 and self._given + 1 < self._entries:
            yield self._failed(call_id, 1, at_us, profile, *_FAULTS[dice.below(len(_FAULTS))])
            yield self._answered(call_id, 2, at_us + 900_000, profile, usage)
            self._owed[_SERVICES] -= 1
        elif fate < 0.017:
            yield self._lost(call_id, at_us, profile)
        elif fate < (0.036 if profile.streamed else 0.018) and u.OUTPUT in usage.quantities:
            yield self._cut(call_id, at_us, profile, usage)
        elif fate < 0.0375:
            yield self._refusal(call_id, at_us, profile, "model_not_allowed", 403)
        else:
            yield self._answered(call_id, 1, at_us, profile, usage)

    def _answered(
        self, call_id: str, attempt: int, at_us: int, profile: Profile, usage: Usage
    ) -> Call:
        dice, quantities = self._dice, usage.quantities
        output = quantities.get(u.OUTPUT, 0) + quantities.get(u.REASONING, 0)
        ttft_ms = dice.size(480, 0.5)
        duration_ms = ttft_ms + output * (9 + dice.below(9))
        ending = Ending(
            200,
            Outcome.OK,
            duration_ms,
            ttft_ms if profile.streamed else duration_ms,
            usage=usage,
            request_id=f"req_{dice.bits(80):020x}",
        )
        return self._call(call_id, attempt, at_us, profile, ending)

    def _cut(self, call_id: str, at_us: int, profile: Profile, usage: Usage) -> Call:
        """Give a call whose client left before the end: what came by then is estimated."""
        seen = 400 + self._dice.below(2_400)
        ending = Ending(
            200,
            Outcome.DISCONNECTED,
            2_000 + seen,
            450,
            usage=usage._replace(quantities={**usage.quantities, u.OUTPUT: 1}),
            output_bytes=seen,
            complete=False,
        )
        return self._call(call_id, 1, at_us, profile, ending)

    def _failed(
        self, call_id: str, attempt: int, at_us: int, profile: Profile, status: int, code: str
    ) -> Call:
        ending = Ending(status, Outcome.UPSTREAM_ERROR, 620, 618, error_code=code)
        return self._call(call_id, attempt, at_us, profile, ending)

    def _lost(self, call_id: str, at_us: int, profile: Profile) -> Call:
        """Give a call that was sent, and to which no answer came."""
        ending = Ending(
            0, Outcome.UPSTREAM_FAILED, 60_000, error_code="upstream_timeout", unknown=True
        )
        return self._call(call_id, 1, at_us, profile, ending)

    def _call(
        self, call_id: str, attempt: int, at_us: int, profile: Profile, ending: Ending
    ) -> Call:
        entry_id = call_id if attempt == 1 else self._mint.next(at_us // 1_000)
        held = Held(entry_id, call_id, at_us, attempt, True, 9_000, 400, profile)
        self._given += 1
        return Call(held, settle(held, ending, self._book))

    # ------------------------------------------------------------------ refusals

    def _refusals(self, hour: Hour) -> Iterator[Record]:
        """Give the calls of an hour for which a budget has no room."""
        calls = self._planted(hour, "refused")
        step_us = (hour.until_us - hour.from_us) // max(1, calls)
        for number in range(calls):
            if self._given < self._entries:
                at_us = hour.from_us + number * step_us
                call_id = self._mint.next(at_us // 1_000)
                profile = self._callers.refused()
                yield self._refusal(call_id, at_us, profile, "budget_exceeded", _REFUSED_STATUS)

    def _refusal(
        self, call_id: str, at_us: int, profile: Profile, code: str, status: int
    ) -> LedgerEntry:
        self._given += 1
        return LedgerEntry(
            entry_id=call_id,
            call_id=call_id,
            started_at_us=at_us,
            org=profile.org,
            team=profile.team,
            user_id=profile.user_id,
            user_name=profile.user_name,
            key_id=profile.key_id,
            key_name=profile.key_name,
            end_customer=profile.end_customer,
            session_id=profile.session_id,
            tool=profile.tool,
            tool_version=profile.tool_version,
            model_requested=profile.model_requested,
            endpoint=profile.endpoint,
            wire=profile.wire,
            streamed=profile.streamed,
            status=status,
            outcome=Outcome.REFUSED,
            error_code=code,
            basis=Basis.FREE,
            cost_nanos=0,
            list_cost_nanos=0,
        )


_FAULTS: Final = ((529, "overloaded_error"), (429, "rate_limit_error"), (500, "server_error"))


def _is_within(at_us: int, company: Company) -> bool:
    outage = company.stories.outage
    return outage.from_us <= at_us < outage.until_us
