"""What happened in one stretch of time, and how that compares with another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.money import EXACT
from tollkeeper.reports.measures import Value, added, known, ratio
from tollkeeper.reports.period import Period

MEASURES: Final = (
    "entries",
    "cost_usd",
    "list_cost_usd",
    "saved_usd",
    "requests",
    "refusals",
    "errors",
    "unpriced",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
)


class BasisSums(NamedTuple):
    """What is known in one way: how many requests and tokens, and what they cost.

    ``entries`` counts further models of a call as well; ``cost_usd`` is None where nothing of
    it is known.
    """

    requests: int = 0
    cost_usd: Decimal | None = None
    tokens: int = 0
    entries: int = 0


NOTHING: Final = BasisSums()


@dataclass(frozen=True, slots=True)
class Sums:
    """What one stretch of time adds up to.

    Money is Decimal USD: 0 when nothing happened, None when nothing of what happened has a
    known amount. ``unpriced`` counts the entries that are in no sum. ``saved_usd`` is what
    caches saved. ``by_basis`` has the sums of each ``Basis`` that occurs. ``unpriced_calls``
    counts the calls behind ``unpriced``, ``unpriced_tokens`` the tokens that nobody has a
    price for.
    """

    entries: int
    cost_usd: Decimal | None
    list_cost_usd: Decimal | None
    saved_usd: Decimal | None
    requests: int
    refusals: int
    errors: int
    unpriced: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    by_basis: Mapping[str, BasisSums]
    unpriced_calls: int
    unpriced_tokens: int

    @property
    def cost_per_request_usd(self) -> Decimal | None:
        return ratio(self.cost_usd, self.requests)

    @property
    def error_rate(self) -> Decimal | None:
        return ratio(self.errors, self.requests)

    @property
    def cached_share(self) -> Decimal | None:
        """Give the part of all input tokens that came from a provider's cache."""
        return ratio(self.tokens_cached, self.tokens_in)

    def share(self, basis: Basis) -> Decimal | None:
        """Give the part of the requests whose cost is known in one way; None without any."""
        return ratio(self.by_basis.get(basis, NOTHING).requests, self.requests)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A period so far, and the one before it up to the same point."""

    period: Period
    previous: Period
    now: Sums
    before: Sums

    @property
    def change(self) -> Change:
        """Compare the cost."""
        return Change(self.now.cost_usd, self.before.cost_usd)


@dataclass(frozen=True, slots=True)
class Change:
    """Two amounts compared; what is unknown on either side makes the change unknown."""

    now: Decimal | None
    before: Decimal | None

    @property
    def amount(self) -> Decimal | None:
        """Give the difference in USD."""
        if self.now is None or self.before is None:
            return None
        return EXACT.subtract(self.now, self.before)

    @property
    def ratio(self) -> Decimal | None:
        """Give the difference as a part of what was before (0.17 is 17 % more).

        None when either side is unknown or there was nothing before.
        """
        if self.amount is None or not self.before:
            return None
        return self.amount / self.before


def sums_of(rows: Iterable[Mapping[str, Any]], unpriced: Iterable[Mapping[str, Any]] = ()) -> Sums:
    """Add up rows that have ``basis`` and every one of ``MEASURES``.

    ``unpriced`` are rows of ``reports.unpriced``, with ``calls`` and ``tokens``.
    """
    totals: dict[str, Value] = dict.fromkeys(MEASURES)
    by_basis: dict[str, BasisSums] = {}
    for row in rows:
        for name in MEASURES:
            totals[name] = added(totals[name], row[name])
        before = by_basis.get(row["basis"], NOTHING)
        by_basis[row["basis"]] = BasisSums(
            before.requests + row["requests"],
            added(before.cost_usd, row["cost_usd"]),  # type: ignore[arg-type]  # both are money
            before.tokens + row["tokens_in"] + row["tokens_out"],
            before.entries + row["entries"],
        )
    entries = int(totals["entries"] or 0)
    found: dict[str, Any] = {name: known(name, totals[name], entries) for name in MEASURES}
    standing = {basis: sums for basis, sums in by_basis.items() if sums.entries}
    calls = tokens = 0
    for row in unpriced:
        calls, tokens = calls + row["calls"], tokens + row["tokens"]
    return Sums(**found, by_basis=standing, unpriced_calls=calls, unpriced_tokens=tokens)
