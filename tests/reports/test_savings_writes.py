"""What writing to caches cost is the same from sums and from entries, and as by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledgers import open_duckdb, open_sqlite
from reports_of_entries import EntriesAlone
from savings_desks import MINUTE_US, NOW_US, call, corrected
from tollkeeper.domain import usage as u
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import UNPAID, LedgerEntry
from tollkeeper.domain.money import usd
from tollkeeper.domain.price_data import ModelRow
from tollkeeper.domain.price_rules import PriceRule, PriceRules
from tollkeeper.domain.price_sums import piece_price, rounded_nanos
from tollkeeper.domain.pricing import PriceBook
from tollkeeper.domain.prompt_sizes import PROMPT_SIZES
from tollkeeper.domain.rate_card import Conditions, instant_us
from tollkeeper.ports import Position
from tollkeeper.providers.price_data import shipped_price_book
from tollkeeper.reports.filters import parse_filters
from tollkeeper.reports.masking import MaskedLedger
from tollkeeper.reports.period import period_named
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.reports.savings_writes import written_usd
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

if TYPE_CHECKING:
    import ibis.expr.types as ir

PLAIN, SIZED, ODD, BARE = "claude-plain-9", "claude-sized-9", "claude-odd-9", "claude-bare-9"
DEARER, RULED = "2026-11-20T10:07:30", "2026-11-20T10:11:00"
"""Both are within one quarter-hour."""

USD = {"input": "3", "cache_write": "3.75", "cache_write_1h": "6", "output": "15"}
MORE = {"input": "6", "cache_write": "7.77"}
DEAR = {"input": "4.3", "cache_write": "5", "cache_write_1h": "9.1", "output": "20"}
MODELS: list[ModelRow] = [
    {
        "model": PLAIN,
        "prices": [{"usd": USD}],
        "variants": [
            {"when": {"tier": "batch"}, "multiply": {"input": "0.5", "cache_write": "0.25"}},
            {"when": {"tier": "priority"}, "usd": {"cache_write": "11"}},
            {"when": {"speed": "fast"}, "multiply": {"cache_write": "6"}},
            {"when": {"search_context": "low"}, "usd": {"cache_write": "4"}},
        ],
        "geo": {"us": "1.1"},
    },
    {
        "model": SIZED,
        "prices": [
            {"usd": USD, "above": [(200_000, MORE), (272_000, {"input": "7"})]},
            {"usd": DEAR, "above": [(100_000, MORE)], "since": DEARER},
        ],
    },
    {"model": ODD, "prices": [{"usd": USD, "above": [(50_000, MORE)]}]},
    {"model": BARE, "prices": [{"usd": {"input": "3", "output": "15"}}]},
]
CUT = PriceRule("cut", model="claude-plain-*", discount_bp=3_333, since_us=instant_us(RULED))
PLAIN_BOOK = PriceBook(
    "test-1", {"anthropic": {"provider": "anthropic", "name": "Anthropic", "models": MODELS}}
)
BOOKS = [PLAIN_BOOK, PLAIN_BOOK.with_rules(PriceRules((CUT,)))]
PERIOD = period_named("30d", "Europe/Berlin", NOW_US)
MOMENTS_US = [
    *(instant_us(change) + apart for change in (DEARER, RULED) for apart in (-1, 0, 1_000_000)),
    instant_us(DEARER) - 10 * MINUTE_US,
    *(NOW_US - 30 * MINUTE_US, PERIOD.start_us - 1, PERIOD.start_us),
]
PROMPTS = [10, 10, 32_000, 50_000, 50_001, 100_001, 200_000, 200_001, 272_001]
KINDS = [u.CACHE_WRITE, u.CACHE_WRITE, u.CACHE_WRITE_1H, u.CACHE_READ]
CONDITIONS: list[dict[str, Any]] = [
    *({}, {}, {"tier": "priority"}, {"batch": True}, {"speed": "fast"}, {"geo": "us"}),
    *({"terms": "search_context=low"}, {"tier": "unheard-of"}),
]
Noting = DuckDbLedger | SqliteLedger
_numbers = count()


class Made(NamedTuple):
    """One call, and whether it was taken back and booked anew."""

    at_us: int
    model: str
    prompt: int
    kind: str
    usage: dict[str, Any]
    changes: dict[str, Any]
    again: bool

    def entries(self) -> list[LedgerEntry]:
        written = min(self.prompt, 7_001)
        tokens = {u.INPUT: self.prompt - written, self.kind: written, u.OUTPUT: 5}
        own = {"provider": "anthropic", **self.changes}
        made = call(self.at_us, self.model, tokens, usage=self.usage, book=PLAIN_BOOK, **own)
        return [made, *corrected(made)] if self.again else [made]


def calls(models: Sequence[str], conditions: Sequence[dict[str, Any]]) -> st.SearchStrategy[Made]:
    return st.builds(
        Made,
        st.sampled_from(MOMENTS_US),
        st.sampled_from(models),
        st.sampled_from(PROMPTS),
        st.sampled_from(KINDS),
        st.sampled_from(conditions),
        st.fixed_dictionaries(
            {
                "team": st.sampled_from(["core", "core", "other"]),
                "tool": st.sampled_from(["claude-code", "curl"]),
                "session_id": st.sampled_from(["s1", "s2"]),
                "flat_rate": st.sampled_from([False, False, True]),
            }
        ),
        st.booleans(),
    )


MODELS_OF_A_LEDGER = [[PLAIN], [SIZED], [PLAIN, SIZED], [PLAIN, SIZED], [SIZED, ODD]]
QUESTIONS = st.tuples(
    st.one_of(
        *(
            st.lists(calls(models, CONDITIONS[:-1]), min_size=1, max_size=8)
            for models in MODELS_OF_A_LEDGER
        ),
        st.lists(calls([PLAIN, BARE], CONDITIONS), max_size=3),
    ),
    st.integers(0, 24),
    st.sampled_from(BOOKS),
    st.sampled_from(["", "", "", "tool:curl", "-model:claude-sized-9", "session:s1"]),
    st.sampled_from([None, None, None, frozenset({"core"})]),
)


@pytest.fixture(scope="module", params=["duckdb", "sqlite"])
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Noting]:
    opened: Noting
    folder = tmp_path_factory.mktemp("writes")
    opened = open_duckdb(folder) if request.param == "duckdb" else open_sqlite(folder)
    yield opened
    opened.close()


def stored(ledger: Noting, entries: Sequence[LedgerEntry], summed: int) -> Scope:
    """Put entries into an organisation of their own; those after the first are not summed up."""
    org = f"writes-{next(_numbers)}"
    mine = [entry._replace(org=org) for entry in entries]
    ledger.append(mine[:summed], Position(org, 1))
    ledger.sum_up(left_max=0)
    ledger.append(mine[summed:], Position(org, 2))
    return Scope(org)


def by_hand(entries: Sequence[LedgerEntry], book: PriceBook) -> Decimal | None:
    units = []
    for entry in entries:
        paid = entry.price_key and entry.basis not in UNPAID
        if not paid or not PERIOD.start_us <= entry.started_at_us < PERIOD.end_us:
            continue
        given = Conditions(entry.tier_served, entry.batch, entry.speed, entry.geo, entry.terms)
        plan = book.plan(entry.price_provider, entry.model_served, given, entry.started_at_us)
        written = {
            u.CACHE_WRITE: entry.cache_write_tokens,
            u.CACHE_WRITE_1H: entry.cache_write_1h_tokens,
        }
        prompt = abs(entry.input_tokens + entry.cache_read_tokens + sum(written.values()))
        plain = piece_price(plan, prompt, u.INPUT)
        for quantity, tokens in written.items():
            price = piece_price(plan, prompt, quantity)
            if tokens and (price is None or plain is None):
                return None
            units.append(tokens * ((price or 0) - (plain or 0)))
    return usd(rounded_nanos(units))


def passes(entry: LedgerEntry, filters: str, teams: frozenset[str] | None) -> bool:
    passed = {
        "": True,
        "tool:curl": entry.tool == "curl",
        "-model:claude-sized-9": entry.model_served != SIZED,
        "session:s1": entry.session_id == "s1",
    }
    return passed[filters] and (teams is None or entry.team in teams)


def check(
    ledger: Noting,
    made: Sequence[Made],
    summed: int,
    book: PriceBook,
    filters: str,
    teams: frozenset[str] | None,
) -> None:
    entries = [entry for each in made for entry in each.entries()]
    scope = replace(stored(ledger, entries, summed), teams=teams)
    asked = (scope, PERIOD, parse_filters(filters), SavingsPrices(book, {}))
    expected = by_hand([each for each in entries if passes(each, filters, teams)], book)
    assert written_usd(ledger, *asked) == expected
    assert written_usd(EntriesAlone(ledger, "", ""), *asked) == expected


@settings(max_examples=12, deadline=None)
@given(QUESTIONS)
def test_writing_costs_the_same_from_sums_as_by_hand(ledger: Noting, asked: Any) -> None:
    check(ledger, *asked)


@pytest.mark.long
@settings(max_examples=500, deadline=None)
@given(QUESTIONS)
def test_writing_costs_the_same_in_many_ways(ledger: Noting, asked: Any) -> None:
    check(ledger, *asked)


class SumsAlone(MaskedLedger):
    """A ledger of which no single entries are asked for by those who could have sums."""

    def entries(self) -> ir.Table:
        raise AssertionError("single entries were asked for")


def one_of_each(models: Sequence[str]) -> list[Made]:
    return [
        Made(at_us, model, prompt, u.CACHE_WRITE, {}, {}, again=True)
        for at_us in MOMENTS_US
        for model in models
        for prompt in PROMPTS
    ]


@pytest.mark.parametrize("book", BOOKS)
def test_sums_are_enough_where_prices_change_above_known_sizes(
    ledger: Noting, book: PriceBook
) -> None:
    entries = [entry for each in one_of_each([PLAIN, SIZED]) for entry in each.entries()]
    scope = stored(ledger, entries, len(entries))
    sums = SumsAlone(ledger, "", "")
    expected = by_hand(entries, book)
    assert expected
    assert written_usd(sums, scope, PERIOD, (), SavingsPrices(book, {})) == expected


def test_sums_are_not_enough_where_a_price_changes_above_another_size(ledger: Noting) -> None:
    made = one_of_each([PLAIN, ODD])
    check(ledger, made, 3 * len(made), PLAIN_BOOK, "", None)


def test_what_no_price_is_known_for_is_unknown(ledger: Noting) -> None:
    for made in (
        Made(NOW_US - 1, BARE, 10, u.CACHE_WRITE, {}, {}, again=False),
        Made(NOW_US - 1, PLAIN, 10, u.CACHE_WRITE, {"tier": "unheard-of"}, {}, again=False),
    ):
        entries = [entry._replace(basis="measured") for entry in made.entries()]
        scope = stored(ledger, entries, 1)
        asked = (scope, PERIOD, (), SavingsPrices(PLAIN_BOOK, {}))
        assert by_hand(entries, PLAIN_BOOK) is None
        assert written_usd(ledger, *asked) is None


def test_all_sizes_are_known_above_which_a_shipped_price_of_writing_changes() -> None:
    book = shipped_price_book()
    named = [(place, model) for place in book.providers() for model in book.models(place)]
    plans = [book.plan(*each, Conditions(), NOW_US) for each in named]
    writing = [plan for plan in plans if any(u.CACHE_WRITE in it for it in plan.weights)]
    sizes = {size for plan in writing for size in plan.thresholds}
    assert {100_000, 200_000, 272_000} <= sizes <= set(PROMPT_SIZES)
