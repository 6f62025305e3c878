"""What is booked for each team: drafts of open months, statements as issued, and closing.

An issued statement never changes. Whatever the ledger learns of its month afterwards (a price,
a bill that came late, calls that were loaded late) becomes lines of the next open month: the
difference between what the ledger says now and all that was told of that month before. So the
statements of all months always add up to the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from tollkeeper.domain.errors import BadRequest, Conflict
from tollkeeper.domain.months import ClosedMonth, ClosedMonths, month_bounds_us, month_named
from tollkeeper.domain.people import Membership
from tollkeeper.domain.seat_plans import SeatPlan
from tollkeeper.domain.seat_shares import people_at, seats_of
from tollkeeper.domain.sharing import Sharing
from tollkeeper.domain.statements import (
    Facts,
    IssuedHead,
    IssuedStatement,
    IssuedStatements,
    MonthStatement,
    Use,
    differences,
    following_month,
    next_open,
    shares_of,
)
from tollkeeper.services.statement_documents import (
    canonical,
    sha256_of,
    statement_document,
    statement_of,
)
from tollkeeper.telemetry import logger

MONTHS_MAX: Final = 24
RUNNING: Final = "running"
OPEN: Final = "open"
LOCKED: Final = "locked"
ISSUED: Final = "issued"
_TRIES: Final = 3
_RESTORE: Final = "restore a backup of the store"


class StatementStore(ClosedMonths, IssuedStatements, Protocol):
    """The store as statements need it."""

    def memberships(self) -> list[Membership]: ...
    def together(self) -> AbstractContextManager[None]: ...


class Waiting(NamedTuple):
    """What a month that is not issued still waits for. ``unpriced`` counts entries by reason.

    ``ended_us_ago`` is how long the month is over, below zero while it runs.
    """

    unpriced: Mapping[str, int]
    ended_us_ago: int


class MonthView(NamedTuple):
    """A month: its statement, and where it stands.

    ``state`` is ``running`` (not over yet), ``open``, ``locked`` (closed, and no statement
    issued) or ``issued``; ``issued`` says when and by whom, None before. ``waiting`` is what was
    open when the statement was made: None once it is issued, and in a list of months.
    """

    statement: MonthStatement
    state: str
    issued: IssuedHead | None = None
    waiting: Waiting | None = None

    @property
    def may_close(self) -> bool:
        return self.state in {OPEN, LOCKED}


class _Known(NamedTuple):
    """The store's months as they were when a statement was made."""

    closed: Mapping[str, ClosedMonth]
    heads: Mapping[str, IssuedHead]


class StatementDesk:
    """Makes, shows and issues the statements of one organisation.

    ``zone`` is the billing zone, in which months begin; ``plans`` gives the flat-rate plans.
    Safe to use from several threads and, where statements are issued, several processes.
    """

    def __init__(
        self,
        facts: Facts,
        store: StatementStore,
        org: str,
        zone: ZoneInfo,
        sharing: Sharing,
        plans: Callable[[], Sequence[SeatPlan]],
        now_us: Callable[[], int],
    ) -> None:
        self._facts = facts
        self._store = store
        self._org = org
        self._zone = zone
        self._sharing = sharing
        self._plans = plans
        self._now_us = now_us
        self._read: dict[str, MonthStatement] = {}  # by hash: as they never change

    @property
    def zone(self) -> str:
        """Name the billing zone."""
        return str(self._zone)

    def months(self) -> list[MonthView]:
        """Give the months from the first entry to now, the newest first, at most so many."""
        known = self._known()
        with self._facts.snapshot():
            return [self._view(month, known) for month in self._names(known)]

    def month(self, month: str) -> MonthView:
        """Give one month and what it waits for. Raises BadRequest for none, or one to come."""
        known = self._known()
        if not self._is_open(month, known):
            return self._view(month, known)
        with self._facts.snapshot():
            view = self._view(month, known)
            return view._replace(waiting=self._waiting(view.statement))

    def asks_ledger(self, month: str) -> bool:
        """Tell whether a month is worked out from the ledger: it was not issued. Raises BadRequest
        where there is no such month, or it is to come."""
        return self._is_open(month, self._known())

    def _is_open(self, month: str, known: _Known) -> bool:
        start_us, _ = self._bounds(month, known)
        if start_us > self._now_us():
            raise BadRequest(f"{month} has not begun yet", code="month_not_begun")
        return month not in known.heads

    def close(self, month: str, by: str) -> MonthView:
        """Issue a month's statement and lock the month, both or nothing.

        Raises BadRequest for what is no month, Conflict for one that is not over, or whose
        statement was issued already, by whomever.
        """
        for _ in range(_TRIES):
            known = self._known()
            issued = self._issued(month, known, by)
            with self._store.together():
                if self._known() != known:
                    continue  # somebody closed a month meanwhile: corrections may go elsewhere
                self._store.issue_statement(issued)
                if month not in known.closed:
                    found = statement_of(json.loads(issued.document))
                    self._store.close_month(
                        ClosedMonth(
                            *(month, found.zone, found.start_us, found.end_us),
                            *(issued.issued_at_us, by),
                        )
                    )
            extra = {"month": month, "sha256": issued.sha256, "by": by}
            logger.info("statement issued", extra=extra)
            return self.month(month)
        raise Conflict("other months are being closed: try again", code="months_changed")

    def _issued(self, month: str, known: _Known, by: str) -> IssuedStatement:
        _, end_us = self._bounds(month, known)
        now_us = self._now_us()
        if month in known.heads:
            raise Conflict(f"the statement of {month} is issued already", code="month_closed")
        if end_us > now_us:
            raise Conflict(f"{month} is not over yet in {self._zone}", code="month_not_over")
        text = canonical(statement_document(self._draft(month, known)))
        return IssuedStatement(month, now_us, by, sha256_of(text), text)

    # ------------------------------------------------------------------ what is told

    def _view(self, month: str, known: _Known) -> MonthView:
        head = known.heads.get(month)
        if head is not None:
            return MonthView(self._told(head), ISSUED, head)
        draft = self._draft(month, known)
        if month in known.closed:
            return MonthView(draft, LOCKED)
        return MonthView(draft, RUNNING if draft.end_us > self._now_us() else OPEN)

    def _told(self, head: IssuedHead) -> MonthStatement:
        """Read a statement as it was issued. Raises OSError where its text is another one."""
        known = self._read.get(head.sha256)
        if known is not None:
            return known
        issued = self._store.issued_statement(head.month)
        if issued is None or sha256_of(issued.document) != head.sha256:
            raise OSError(f"the statement of {head.month} is not as it was issued: {_RESTORE}")
        found = statement_of(json.loads(issued.document))
        self._read[head.sha256] = found
        return found

    def _waiting(self, draft: MonthStatement) -> Waiting:
        """Say what is still open before a month can be closed in good conscience."""
        reasons = self._facts.reasons(draft.start_us, draft.end_us)
        return Waiting(reasons, self._now_us() - draft.end_us)

    def _draft(self, month: str, known: _Known) -> MonthStatement:
        start_us, end_us = self._bounds(month, known)
        with self._facts.snapshot():
            entries = {month: self._facts.count(start_us, end_us)}
            uses = self._facts.uses(month, start_us, end_us, self._sharing)
            corrections = self._corrections(month, known, entries)
        moment_us = min(self._now_us(), end_us) - 1
        people = people_at(self._store.memberships(), moment_us)
        return MonthStatement(
            *(month, self._org, str(self._zone), start_us, end_us, self._sharing),
            *(uses, corrections, shares_of(uses, corrections, self._sharing)),
            *(seats_of(self._plans(), people), entries),
        )

    def _corrections(self, month: str, known: _Known, entries: dict[str, int]) -> list[Use]:
        """Give what issued months say now beyond what was told, where this month is to tell it."""
        found: list[Use] = []
        told = [self._told(head) for _, head in sorted(known.heads.items())]
        for statement in told:
            of = statement.month
            if of >= month or next_open(of, known.heads) != month:
                continue
            count = self._facts.count(statement.start_us, statement.end_us)
            entries[of] = count
            if count == max(each.entries.get(of, 0) for each in told):
                continue
            now = self._facts.uses(of, statement.start_us, statement.end_us, statement.sharing)
            found += differences(now, _told_of(of, told))
        return found

    # ------------------------------------------------------------------ months

    def _known(self) -> _Known:
        return _Known(
            {each.month: each for each in self._store.closed_months()},
            {each.month: each for each in self._store.issued_statements()},
        )

    def _names(self, known: _Known) -> list[str]:
        first_us = self._facts.first_us()
        names = set(known.heads) | set(known.closed)
        now_us = self._now_us()
        if first_us is not None and first_us <= now_us:
            name, last = (month_named(at_us, self._zone) for at_us in (first_us, now_us))
            names |= {name, last}
            while name < last:
                name = following_month(name)
                names.add(name)
        return sorted(names, reverse=True)[:MONTHS_MAX]

    def _bounds(self, month: str, known: _Known) -> tuple[int, int]:
        """Give a month's bounds: as they were closed, or between those of its neighbours.

        So no moment is left out, or told twice, when the billing zone is changed.
        """
        try:
            start_us, end_us = month_bounds_us(month, self._zone)
        except ValueError as error:
            raise BadRequest(str(error), code="no_month") from None
        closed = known.closed.get(month)
        if closed is not None:
            return closed.start_us, closed.end_us
        for each in known.closed.values():
            if following_month(each.month) == month:
                start_us = each.end_us
            elif following_month(month) == each.month:
                end_us = each.start_us
        return start_us, end_us


def _told_of(month: str, told: Iterable[MonthStatement]) -> list[Use]:
    return [
        use
        for statement in told
        for use in (*statement.uses, *statement.corrections)
        if use.key.month == month
    ]
