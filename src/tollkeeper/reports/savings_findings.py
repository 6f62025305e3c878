"""What a finding of waste says: money at stake, how many calls, since when, and whose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tollkeeper.domain.access import Scope
from tollkeeper.domain.money import usd
from tollkeeper.domain.price_sums import rounded_nanos
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.comparison import Change
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period
from tollkeeper.reports.selection import Selection

if TYPE_CHECKING:
    import ibis.expr.types as ir

GROUPS_MAX: Final = 5_000
"""How many groups are read for one finding, the largest first."""

TOP: Final = 10
ZERO: Final = Decimal(0)


class Stake(NamedTuple):
    """How many calls a finding has, and their money at stake in USD.

    ``unknown`` counts the calls among them whose money is not known; None is the money where
    that is so for all of them.
    """

    calls: int = 0
    usd: Decimal | None = ZERO
    unknown: int = 0

    @staticmethod
    def of(calls: int, usd: Decimal | None, unknown: int) -> Stake:
        """Make a stake; money of which nothing is known is unknown, not 0."""
        if unknown and unknown >= calls:
            usd = None
        return Stake(calls, usd, unknown)


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a finding.

    ``keys`` maps dimensions to values, as a filter takes them; ``name`` is what people read for
    a key's id. ``first_us`` and ``last_us`` bound its calls where it is one event in time,
    ``last_us`` excluded. ``note`` says what is particular about it.
    """

    keys: Mapping[str, str]
    stake: Stake
    name: str = ""
    first_us: int | None = None
    last_us: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which money is wasted, now and in the period before.

    ``groups`` has the largest parts of now. ``more`` tells that there were more parts than are
    read, so that the figures are a lower bound.
    """

    name: str
    now: Stake = field(default_factory=Stake)
    before: Stake = field(default_factory=Stake)
    groups: tuple[Group, ...] = ()
    more: bool = False

    @property
    def change(self) -> Change:
        """Compare the money."""
        return Change(self.now.usd, self.before.usd)


class Parts:
    """Adds up the parts of a finding: exact amounts in price units, or amounts of the ledger."""

    def __init__(self) -> None:
        self._calls: dict[tuple[Any, ...], int] = {}
        self._usd: dict[tuple[Any, ...], Decimal] = {}
        self._units: dict[tuple[Any, ...], list[int]] = {}
        self._unknown: dict[tuple[Any, ...], int] = {}

    def add(
        self,
        place: tuple[Any, ...],
        calls: int,
        *,
        usd: Decimal | None = None,
        units: int = 0,
        unknown: int = 0,
    ) -> None:
        """Add some calls to a part."""
        self._calls[place] = self._calls.get(place, 0) + calls
        self._usd[place] = self._usd.get(place, ZERO) + (usd or ZERO)
        self._units.setdefault(place, []).append(units)
        self._unknown[place] = self._unknown.get(place, 0) + unknown

    def stakes(self) -> dict[tuple[Any, ...], Stake]:
        """Give every part."""
        return {
            place: Stake.of(
                calls,
                self._usd[place] + usd(rounded_nanos(self._units[place])),
                self._unknown[place],
            )
            for place, calls in self._calls.items()
        }

    def total(self) -> Stake:
        """Give all parts together, rounded once."""
        units = [each for several in self._units.values() for each in several]
        return Stake.of(
            sum(self._calls.values()),
            sum(self._usd.values(), ZERO) + usd(rounded_nanos(units)),
            sum(self._unknown.values()),
        )


def largest(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Give the groups with most money at stake; what is unknown comes last, then by calls."""
    return tuple(
        sorted(
            groups,
            key=lambda it: (it.stake.usd is None, -(it.stake.usd or 0), -it.stake.calls),
        )[:TOP]
    )


# ------------------------------------------------------------------ two periods at once


class TwoPeriods(NamedTuple):
    """A period and the one before, for queries that look at both in one pass."""

    selection: Selection
    values: Mapping[str, object]


def two_periods(scope: Scope, period: Period, filters: tuple[Filter, ...]) -> TwoPeriods:
    """Select both periods. The values are those of the selection and of ``in_either``."""
    before = period.previous()
    selection = Selection(scope, before.start_us, period.end_us, filters, period.zone)
    values = selection.values() | {
        "now_start": zones.moment_of(period.start_us),
        "before_until": zones.moment_of(before.until_us),
    }
    return TwoPeriods(selection, values)


def is_now(table: ir.Table) -> ir.BooleanValue:
    """Tell whether an entry belongs to the period itself."""
    return table.started_at >= bindings.moment("now_start")


def in_either(table: ir.Table) -> ir.BooleanValue:
    """Tell whether an entry belongs to one of the two periods, as far as they have elapsed."""
    return is_now(table) | (table.started_at < bindings.moment("before_until"))
