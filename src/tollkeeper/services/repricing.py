"""Pricing old calls again, step by step, and booking what comes out as corrections.

Each step takes the entries of one stretch of time, settles each anew from what stands on it,
and writes the corrections of all of them in one transaction. Nothing is kept between steps,
and an entry that has its price already is left alone: so a run that is repeated changes
nothing, and one that was killed is completed by running it again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from tollkeeper.domain.audit import Action, AuditLog, Target
from tollkeeper.domain.calls import Held, Part, Profile
from tollkeeper.domain.corrections import (
    Booking,
    correction,
    differs,
    forgets,
    price_inputs,
    why,
)
from tollkeeper.domain.ledger import Basis, LedgerEntry, Outcome
from tollkeeper.domain.months import ClosedMonth, ClosedMonths, month_of
from tollkeeper.domain.price_rules import base_of
from tollkeeper.domain.repricing import (
    Bookings,
    Change,
    LeftOut,
    RepricingQuestion,
    RepricingStep,
)
from tollkeeper.domain.statements import IssuedStatements
from tollkeeper.ports import Ledger
from tollkeeper.services import audit
from tollkeeper.services.loading import OnLoaded
from tollkeeper.services.settlement import Ending, Prices, part_of
from tollkeeper.telemetry import logger

STEP_ENTRIES: Final = 5_000


class CurrentPrices(NamedTuple):
    """What prices are found with now. ``accounts`` maps the operator's names of providers to
    where their prices stand in the book; one that is not configured any more is not there."""

    book: Prices
    accounts: Mapping[str, str]


class MonthStore(ClosedMonths, IssuedStatements, AuditLog, Protocol):
    """The store as repricing needs it."""

    def together(self) -> AbstractContextManager[None]: ...


class _Found(NamedTuple):
    booking: Booking
    part: Part


class Repricer:
    """Prices entries again. ``on_booked`` gets the corrections that were written.

    Safe to use from several threads: steps that write wait for each other.
    """

    def __init__(
        self,
        bookings: Bookings,
        ledger: Ledger,
        store: MonthStore,
        prices: Callable[[], CurrentPrices],
        now_us: Callable[[], int],
        on_booked: OnLoaded | None = None,
    ) -> None:
        self._bookings = bookings
        self._ledger = ledger
        self._store = store
        self._prices = prices
        self._now_us = now_us
        self._on_booked = on_booked
        self._one_at_a_time = threading.Lock()

    def count(self, question: RepricingQuestion) -> int:
        """Count the entries that all steps together will look at."""
        return self._bookings.count(question)

    def step(
        self,
        question: RepricingQuestion,
        *,
        write: bool,
        by: str,
        most: int = STEP_ENTRIES,
    ) -> RepricingStep:
        """Take one step from the start of the question's time. ``by`` is who wants it.

        Raises LedgerUnavailable or OSError; then it is not known what was written, and the
        same step can be taken again.
        """
        with self._one_at_a_time:
            return self._step(question, write=write, by=by, most=most)

    def _step(
        self, question: RepricingQuestion, *, write: bool, by: str, most: int
    ) -> RepricingStep:
        current = self._prices()
        page = self._bookings.page(question, most)
        priced = [(booking, repriced(booking.standing, current)) for booking in page.bookings]
        found = [_Found(booking, part) for booking, part in priced if part is not None]
        if question.unpriced_only:
            found = [each for each in found if each.booking.standing.cost_nanos is None]
        differing = [each for each in found if differs(each.booking.standing, each.part)]
        kept = [each for each in differing if forgets(each.booking.standing, each.part)]
        known = [each for each in differing if not forgets(each.booking.standing, each.part)]
        open_ones, closed = (
            self._booked(known, current.book.version, by) if write else self._split(known)
        )
        if write and open_ones:
            logger.info(
                "entries priced again",
                extra={
                    "entries": len(open_ones),
                    "price_version": current.book.version,
                    "by": by,
                },
            )
        return RepricingStep(
            current.book.version,
            changes_of(open_ones),
            left_out(closed),
            seen=len(found),
            corrected=len(open_ones) if write else 0,
            kept=len(kept),
            unpriced=sum(each.part.cost_nanos is None for each in found),
            next_us=page.next_us,
        )

    def _booked(
        self, found: Sequence[_Found], version: str, by: str
    ) -> tuple[list[_Found], list[tuple[ClosedMonth, _Found]]]:
        """Write corrections of open months; no month is closed while they are written."""
        if not found:
            return [], []
        with self._store.together():
            open_ones, closed = self._split(found)
            now_us = self._now_us()
            entries = [
                entry
                for each in open_ones
                for entry in correction(each.booking, each.part, version, now_us)
            ]
            if entries:
                said = {"entries": len(open_ones), "by": by}
                audit.record(self._store, Action.REPRICE, Target("price version", version), said)
                self._ledger.append(entries, None)
        if entries and self._on_booked is not None:
            self._on_booked(entries)
        return open_ones, closed

    def _split(
        self, found: Iterable[_Found]
    ) -> tuple[list[_Found], list[tuple[ClosedMonth, _Found]]]:
        issued = {each.month for each in self._store.issued_statements()}
        # What changes in a month whose statement is issued stands in the next one's.
        months = [each for each in self._store.closed_months() if each.month not in issued]
        open_ones: list[_Found] = []
        closed: list[tuple[ClosedMonth, _Found]] = []
        for each in found:
            month = month_of(months, each.booking.entry.started_at_us)
            if month is None:
                open_ones.append(each)
            else:
                closed.append((month, each))
        return open_ones, closed


def repriced(entry: LedgerEntry, current: CurrentPrices) -> Part | None:
    """Settle an entry anew, with the prices and terms of now as of its own time.

    None where no price book changes what it costs.
    """
    inputs = price_inputs(entry)
    if inputs is None:
        return None
    base = current.accounts.get(entry.provider, base_of(inputs.provider))
    held = Held(
        entry.entry_id,
        entry.call_id,
        entry.started_at_us,
        entry.attempt,
        sent=True,
        prompt_bytes=0,
        output_tokens=0,
        profile=_profile(entry, current.book.place(base, entry.provider, entry.team)),
    )
    ending = Ending(entry.status, Outcome(entry.outcome), entry.duration_ms)
    return part_of(held, ending, inputs.usage, current.book, stated=inputs.stated)


def _profile(entry: LedgerEntry, place: str) -> Profile:
    return Profile(
        org=entry.org,
        team=entry.team,
        user_id=entry.user_id,
        user_name=entry.user_name,
        key_id=entry.key_id,
        key_name=entry.key_name,
        end_customer=entry.end_customer,
        session_id=entry.session_id,
        tool=entry.tool,
        tool_version=entry.tool_version,
        provider=entry.provider,
        price_provider=place,
        model=entry.model_requested,
        model_requested=entry.model_requested,
        endpoint=entry.endpoint,
        wire=entry.wire,
        streamed=entry.streamed,
        flat_rate=entry.basis == Basis.FLAT_RATE,
        tier=entry.tier,
        tags=entry.tags,
    )


def changes_of(found: Iterable[_Found]) -> list[Change]:
    """Sum up what changes, by model, reason and the version that priced it before."""
    sums: dict[tuple[str, str, str, str, bool], Change] = {}
    for booking, part in found:
        before = booking.standing
        model = before.model_served or before.model_requested
        key = (
            before.provider,
            model,
            why(before, part),
            before.price_version,
            before.cost_nanos is None,
        )
        old = sums.get(key) or Change(*key[:4], 0, None if key[4] else 0, 0, 0)
        sums[key] = old._replace(
            entries=old.entries + 1,
            before_nanos=None
            if old.before_nanos is None
            else _sum(old.before_nanos, before.cost_nanos),
            after_nanos=_sum(old.after_nanos, part.cost_nanos),
            list_difference_nanos=old.list_difference_nanos
            + (part.list_cost_nanos or 0)
            - (before.list_cost_nanos or 0),
        )
    return list(sums.values())


def left_out(found: Iterable[tuple[ClosedMonth, _Found]]) -> list[LeftOut]:
    """Sum up what is not corrected, by closed month."""
    sums: dict[str, LeftOut] = {}
    for month, (booking, part) in found:
        difference = (part.cost_nanos or 0) - (booking.standing.cost_nanos or 0)
        old = sums.get(month.month, LeftOut(month.month, 0, 0))
        sums[month.month] = LeftOut(month.month, old.entries + 1, old.difference_nanos + difference)
    return list(sums.values())


def _sum(total: int, amount: int | None) -> int:
    return total + (amount or 0)


def following(question: RepricingQuestion, step: RepricingStep) -> RepricingQuestion | None:
    """Give the question that the next step starts with; None after the last."""
    return None if step.next_us is None else replace(question, start_us=step.next_us)
