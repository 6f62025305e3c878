"""What is booked in each month, worked out again from plain SQL and what was told before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zoneinfo import ZoneInfo

from one_ledger import Facts, Recount, recount
from tollkeeper.domain.months import month_bounds_us
from tollkeeper.domain.sharing import Sharing
from tollkeeper.domain.statements import following_month


class Sums(NamedTuple):
    """Sums of entries: USD and counts."""

    cost: Decimal = Decimal(0)
    requests: int = 0
    tokens: int = 0
    unpriced: int = 0

    def minus(self, other: Sums) -> Sums:
        """Give the difference to what was told before."""
        return Sums(*(mine - told for mine, told in zip(self, other, strict=True)))

    def plus(self, other: Sums) -> Sums:
        """Add up."""
        return Sums(*(one + two for one, two in zip(self, other, strict=True)))


NOTHING = Sums()


class Booked(NamedTuple):
    """What a month has to say: its use, corrections of earlier months, shared cost of both."""

    use: Sums
    corrections: Sums
    shared: Decimal


class Told:
    """Remembers what issued statements told, by month of use and condition in SQL."""

    def __init__(self, zone: str, sharing: Sharing) -> None:
        self.zone = ZoneInfo(zone)
        self.issued: dict[str, dict[str, Booked]] = {}
        self._told: dict[tuple[str, str], Sums] = {}
        marks = [f"coalesce(tags['{key}'], '') = '{value}'" for key, value in sharing.tags]
        named = [f"team = '{team}'" for team in ("", *sharing.teams)]
        self._shared = f"({' OR '.join([*marks, *named])})"

    def booked(self, again: Recount, month: str, where: str) -> Booked:
        """Say what a month books where a condition holds; an issued one, what it did then."""
        if month in self.issued:
            return self.issued[month][where]
        corrections = NOTHING
        for earlier in self._corrected_in(month):
            now, told = self._now(again, earlier, where), self._told[earlier, where]
            corrections = corrections.plus(now.minus(told))
        return Booked(
            self._now(again, month, where), corrections, self._shared_of(again, month, where)
        )

    def close(self, again: Recount, month: str, wheres: Sequence[str]) -> None:
        """Note what a month tells as it is issued, for each condition that is asked for later."""
        booked = {where: self.booked(again, month, where) for where in wheres}
        corrected = self._corrected_in(month)
        self.issued[month] = booked
        for of in (month, *corrected):
            for where in (*wheres, *map(self._also_shared, wheres)):
                self._told[of, where] = self._now(again, of, where)

    def next_open(self, month: str) -> str:
        """Name the month that tells what is learned of an issued one."""
        month = following_month(month)
        while month in self.issued:
            month = following_month(month)
        return month

    def _shared_of(self, again: Recount, month: str, where: str) -> Decimal:
        """Give the cost that is everybody's, of the month and of what it corrects."""
        shared = self._also_shared(where)
        found = self._now(again, month, shared).cost
        for earlier in self._corrected_in(month):
            now, told = self._now(again, earlier, shared), self._told[earlier, shared]
            found += now.cost - told.cost
        return found

    def _also_shared(self, where: str) -> str:
        return f"({where}) AND {self._shared}"

    def _corrected_in(self, month: str) -> list[str]:
        """List the issued months that this one is the next open month of."""
        return [
            each for each in sorted(self.issued) if each < month and self.next_open(each) == month
        ]

    def _now(self, again: Recount, month: str, where: str) -> Sums:
        return sums(again.facts(where, *month_bounds_us(month, self.zone)))


def sums(facts: Facts) -> Sums:
    """Give what statements tell of what plain SQL says."""
    return Sums(facts.known, facts.requests, facts.tokens, facts.unpriced)


@contextmanager
def recounted(ledger: Path) -> Iterator[Recount]:
    """Open a copy of a ledger's file for a moment."""
    with TemporaryDirectory() as folder, recount(ledger, Path(folder)) as again:
        yield again
