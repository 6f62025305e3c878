"""Pricing old calls again: what is asked, what a step of it found, and what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tollkeeper.domain.corrections import Booking


@dataclass(frozen=True, slots=True)
class RepricingQuestion:
    """Which entries to price again: those that started in [``start_us``, ``end_us``).

    ``model`` is a glob over the model that answered (or was asked for, where none did),
    ``provider`` the operator's name for one, ``team`` a team's; "" means any.
    ``unpriced_only`` leaves every entry alone whose cost is known.
    """

    start_us: int
    end_us: int
    model: str = ""
    provider: str = ""
    team: str = ""
    unpriced_only: bool = False


class BookingsPage(NamedTuple):
    """Entries of one stretch of time, each as it stands now. The next stretch starts at
    ``next_us``, None after the last."""

    bookings: Sequence[Booking]
    next_us: int | None


class Bookings(Protocol):
    """The ledger's entries as repricing needs them."""

    def count(self, question: RepricingQuestion) -> int:
        """Count the entries that the question is about."""

    def page(self, question: RepricingQuestion, most: int) -> BookingsPage:
        """Give about so many entries, from the start of the question's time on."""


class Change(NamedTuple):
    """What a group of entries would change by. Amounts are nano-dollars.

    ``why`` is one word of ``domain.corrections.why``. ``before_nanos`` is None where the cost
    was unknown. ``list_difference_nanos`` is how much the list cost changes.
    """

    provider: str
    model: str
    why: str
    version_before: str
    entries: int
    before_nanos: int | None
    after_nanos: int
    list_difference_nanos: int

    @property
    def difference_nanos(self) -> int:
        """Say how much the known cost changes."""
        return self.after_nanos - (self.before_nanos or 0)


class LeftOut(NamedTuple):
    """Entries of a closed month that are not corrected, and how much that would have been."""

    month: str
    entries: int
    difference_nanos: int


class RepricingStep(NamedTuple):
    """What one step found, and, unless it only looked, did.

    ``seen`` counts the entries that were priced again, ``corrected`` those for which a
    correction was written, ``kept`` those whose known cost the prices of now do not know.
    ``unpriced`` counts those that still have none. The next step starts at ``next_us``.
    """

    price_version: str
    changes: Sequence[Change]
    closed: Sequence[LeftOut]
    seen: int
    corrected: int
    kept: int
    unpriced: int
    next_us: int | None


class PricingRun(NamedTuple):
    """One time that a price version was tried on the calls that had no price, by itself.

    ``ended_at_us`` is None until it is done. ``priced`` counts what got a price, ``unpriced``
    what still has none.
    """

    began_at_us: int
    ended_at_us: int | None
    price_version: str
    priced: int = 0
    unpriced: int = 0


class PricingRuns(Protocol):
    """Where such runs are kept."""

    def last_pricing_run(self) -> PricingRun | None:
        """Give the last run, None before the first."""

    def keep_pricing_run(self, run: PricingRun) -> None:
        """Keep a run, in place of what was known of it."""
