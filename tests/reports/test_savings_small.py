"""Small calls of dear models are the same from their sums, from notes and from single entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledgers import open_duckdb, open_sqlite
from reports_of_entries import EntriesAlone
from savings_desks import LAB, MINUTE_US, NOW_US, call, corrected
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry, Outcome
from tollkeeper.domain.price_data import ModelRow, ProviderRow
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.rate_card import instant_us
from tollkeeper.ports import Position
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.masking import MaskedLedger
from tollkeeper.reports.period import period_named
from tollkeeper.reports.savings_findings import Finding
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.reports.savings_small_calls import small_calls
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

if TYPE_CHECKING:
    import ibis.expr.types as ir

CHEAPER = "2026-11-20T10:07:30"
"""Within a quarter-hour."""

PERIOD = period_named("30d", "Europe/Berlin", NOW_US)
MOMENTS_US = [
    *(instant_us(CHEAPER) + apart for apart in (-MINUTE_US, -1, 0, MINUTE_US)),
    *(NOW_US - 30 * MINUTE_US, PERIOD.start_us - 1, PERIOD.start_us),
    *(PERIOD.previous().until_us - 1, PERIOD.previous().until_us, PERIOD.previous().start_us),
]
PIECES = {"web_searches": 2}
USAGES: list[dict[str, int]] = [
    *({"input": 300, "output": 9}, {"input": 40, "output": 5}, {"input": 1_500, "output": 64}),
    *({"input": 2_000, "output": 1}, {"input": 2_001, "output": 1}, {"input": 9, "output": 65}),
    {"cache_read": 200, "input": 20, "output": 9},
    {"input": 30, "output": 9, **PIECES},
]
TIERS = [{}, {}, {"tier": "priority"}, {"batch": True}, {"speed": "fast"}]
Noting = DuckDbLedger | SqliteLedger
_numbers = count()


def book_of(steps: Sequence[int]) -> PriceBook:
    """Give prices of which those of the cheaper model change above some sizes, and once."""
    usd = {"input": "0.4", "output": "1.6", "web_searches": "10"}
    small: ModelRow = {
        "model": "ray-small-2",
        "prices": [
            {"usd": usd, "above": [(size, {"input": "0.8"}) for size in steps]},
            {"since": CHEAPER, "usd": {"input": "0.2", "output": "0.8"}},
        ],
    }
    large = next(each for each in LAB["models"] if each["model"] == "ray-large-2")
    provider: ProviderRow = {"provider": "lab", "name": "Lab", "models": [large, small]}
    return PriceBook("test-1", {"lab": provider})


PLAIN, LARGE, WITHIN = book_of(()), book_of((2_000, 128_000)), book_of((1_000,))


class Made(NamedTuple):
    """Some calls that are alike, and whether the first was taken back and booked anew."""

    at_us: int
    calls: int
    usage: dict[str, int]
    conditions: dict[str, Any]
    changes: dict[str, Any]
    again: bool

    def entries(self) -> list[LedgerEntry]:
        found = []
        for number in range(self.calls):
            given = (self.at_us + number * 1_000_000, "ray-large-2", self.usage)
            made = call(*given, usage=self.conditions, **self.changes)
            found += [made, *corrected(made)] if self.again and not number else [made]
        return found


CALLS = st.builds(
    Made,
    st.sampled_from(MOMENTS_US),
    st.integers(1, 3),
    st.sampled_from(USAGES),
    st.sampled_from(TIERS),
    st.fixed_dictionaries(
        {
            "team": st.sampled_from(["core", "core", "other"]),
            "tool": st.sampled_from(["claude-code", "curl"]),
            "session_id": st.sampled_from(["s1", "s2"]),
            "flat_rate": st.sampled_from([False, False, True]),
            "outcome": st.sampled_from([Outcome.OK, Outcome.OK, Outcome.UPSTREAM_ERROR]),
        }
    ),
    st.booleans(),
)
QUESTIONS = st.tuples(
    st.lists(CALLS, max_size=8),
    st.integers(0, 30),
    st.sampled_from([PLAIN, LARGE, WITHIN]),
    st.sampled_from(["", "", "", "tool:curl", "-model:ray-large-2", "outcome:ok", "session:s1"]),
    st.sampled_from([None, None, None, frozenset({"core"})]),
)


@pytest.fixture(scope="module", params=["duckdb", "sqlite"])
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Noting]:
    opened: Noting
    folder = tmp_path_factory.mktemp("small")
    opened = open_duckdb(folder) if request.param == "duckdb" else open_sqlite(folder)
    yield opened
    opened.close()


class WithSums(MaskedLedger):
    """A ledger that is asked for sums of small calls, also where each row is an entry."""

    def sums_small_calls(self) -> bool:
        return True

    def __hash__(self) -> int:  # queries that are kept for it are of no use to others
        return hash((WithSums, self._ledger))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WithSums) and other._ledger == self._ledger


def stored(ledger: Noting, made: Sequence[Made], summed: int) -> Scope:
    """Put calls into an organisation of their own; those after the first are not summed up."""
    org = f"small-{next(_numbers)}"
    mine = [entry._replace(org=org) for each in made for entry in each.entries()]
    ledger.append(mine[:summed], Position(org, 1))
    ledger.sum_up(left_max=0)
    ledger.append(mine[summed:], Position(org, 2))
    return Scope(org)


def check(
    ledger: Noting,
    made: Sequence[Made],
    summed: int,
    book: PriceBook,
    filters: str,
    teams: frozenset[str] | None,
) -> Finding:
    scope = replace(stored(ledger, made, summed), teams=teams)
    asked = (scope, PERIOD, parse_filters(filters), SavingsPrices(book, {}), {"lab": ["x"]})
    found = small_calls(ledger, *asked)
    assert found == small_calls(EntriesAlone(ledger, "", ""), *asked)
    assert found == small_calls(WithSums(ledger, "", ""), *asked)
    return found


@settings(max_examples=12, deadline=None)
@given(QUESTIONS)
def test_small_calls_are_the_same_from_sums_as_from_entries(ledger: Noting, asked: Any) -> None:
    check(ledger, *asked)


@pytest.mark.long
@settings(max_examples=500, deadline=None)
@given(QUESTIONS)
def test_small_calls_are_the_same_in_many_ways(ledger: Noting, asked: Any) -> None:
    check(ledger, *asked)


class SumsAlone(MaskedLedger):
    """A ledger of which neither entries nor notes are asked for by those who could have sums."""

    def entries(self) -> ir.Table:
        raise AssertionError("single entries were asked for")

    def noted(self, finding: str, begin: ir.Value, end: ir.Value) -> ir.Table:
        raise AssertionError("notes were asked for")


ALL = [
    Made(at_us, 2, usage, conditions, {"tool": "curl"}, again=True)
    for at_us in MOMENTS_US
    for usage in USAGES
    for conditions in TIERS[1:]
]


@pytest.mark.parametrize(("book", "enough"), [(PLAIN, True), (LARGE, True), (WITHIN, False)])
def test_sums_are_enough_unless_a_price_changes_above_a_small_size(
    ledger: Noting, book: PriceBook, enough: bool
) -> None:
    expected = check(ledger, ALL, 2 * len(ALL), book, "", None)
    assert expected.now.usd
    assert expected.before.usd
    scope = stored(ledger, ALL, 4 * len(ALL))
    asked = (scope, PERIOD, (), SavingsPrices(book, {}), {"lab": ["x"]})
    if enough and ledger.sums_small_calls():
        assert small_calls(SumsAlone(ledger, "", ""), *asked) == expected
    else:
        with pytest.raises(AssertionError, match="were asked for"):
            small_calls(SumsAlone(ledger, "", ""), *asked)
