"""Savings from what a ledger has noted are those from all of its entries, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledgers import open_duckdb, open_sqlite
from reports_of_entries import EntriesAlone
from savings_desks import DAY_US, MINUTE_US, NOW_US, PRICES, call, corrected
from tollkeeper.console.beside import Threads
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry, Outcome
from tollkeeper.ports import Position
from tollkeeper.reports.parameters import savings_question
from tollkeeper.reports.savings import Savings, savings
from tollkeeper.storage.duckdb import noted_entries
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite import cache_gaps
from tollkeeper.storage.sqlite.ledger import SqliteLedger

Noting = DuckDbLedger | SqliteLedger

_numbers = count()
BESIDE = Threads(cores=2)
START_US = (
    NOW_US - NOW_US % DAY_US - 29 * DAY_US - 60 * MINUTE_US
)  # 23:00 UTC is midnight in Berlin
MOMENTS = [
    NOW_US - 30 * MINUTE_US,
    NOW_US - 30 * MINUTE_US + 55_000_000,
    START_US - 2 * MINUTE_US,  # goes on within the period
    START_US + 7 * MINUTE_US,
    START_US - 13 * 60 * MINUTE_US,  # in neither period, nor in between
    NOW_US - 30 * DAY_US - 3 * MINUTE_US,  # goes on where the period before is cut off
    START_US - 30 * DAY_US,
]
USAGES = [
    {"input": 300, "output": 9},
    {"input": 40, "output": 5},
    {"cache_write": 3_000, "output": 5},
    {"cache_write_1h": 4_000, "output": 9},
    {"cache_read": 3_000, "cache_write": 200, "output": 9},
    {"cache_read": 1_000, "cache_write": 2_500, "output": 9},
]


class Burst(NamedTuple):
    """Calls that are alike, one after the other."""

    at_us: int
    calls: int
    apart_us: int
    model: str
    usage: dict[str, int]
    changes: dict[str, Any]
    taken_back: bool

    def entries(self) -> list[LedgerEntry]:
        found: list[LedgerEntry] = []
        for number in range(self.calls):
            at_us = self.at_us + number * self.apart_us
            made = call(at_us, self.model, self.usage, **self.changes)
            found.append(made)
            if self.taken_back and number == 0:
                found += corrected(made)
        return found


BURSTS = st.builds(
    Burst,
    st.sampled_from(MOMENTS),
    st.sampled_from([1, 1, 2, 4, 5, 11]),
    st.sampled_from([1_000_000, 20_000_000, 6 * MINUTE_US, 61 * MINUTE_US]),
    st.sampled_from(["claude-opus-9", "claude-opus-9", "ray-large-2", "ray-made-up"]),
    st.sampled_from([*USAGES, *USAGES[2:]]),
    st.fixed_dictionaries(
        {
            "key_id": st.sampled_from(["k1", "k1", "k2", ""]),
            "session_id": st.sampled_from(["s1", "s1", "s2", ""]),
            "team": st.sampled_from(["core", "core", "other"]),
            "tool": st.sampled_from(["claude-code", "curl"]),
            "outcome": st.sampled_from([Outcome.OK, Outcome.OK, Outcome.UPSTREAM_ERROR]),
            "endpoint": st.sampled_from(["chat", "embeddings"]),
        }
    ),
    st.booleans(),
)
QUESTIONS = st.tuples(
    st.lists(BURSTS, max_size=8),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from(
        ["", "", "", "", "tool:curl", "-model:ray-large-2", "outcome:ok", "session:s1"]
    ),
    st.sampled_from([None, None, None, frozenset({"core"})]),
)


@pytest.fixture(scope="module", params=["duckdb", "sqlite"])
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Noting]:
    """Give a ledger in which some sessions are long ones."""
    opened: Noting
    folder = tmp_path_factory.mktemp("noted")
    opened = open_duckdb(folder) if request.param == "duckdb" else open_sqlite(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noted_entries, "LONG_CALLS", 12)
        patch.setattr(cache_gaps, "LONG_CALLS", 12)
        yield opened
    opened.close()


def stored(ledger: Noting, entries: Sequence[LedgerEntry], first: int, then: int) -> Scope:
    """Put entries into an organisation of their own, in three batches; the last is not noted."""
    org = f"noted-{next(_numbers)}"
    mine = [
        entry._replace(org=org, session_id=entry.session_id and f"{org} {entry.session_id}")
        for entry in entries
    ]
    for number, batch in enumerate((mine[:first], mine[first : first + then])):
        ledger.append(batch, Position(org, number))
        ledger.sum_up(left_max=0)
    ledger.append(mine[first + then :], Position(org, 2))
    return Scope(org)


def check(
    ledger: Noting,
    bursts: list[Burst],
    first: int,
    then: int,
    filters: str,
    teams: frozenset[str] | None,
) -> Savings:
    entries = [entry for burst in bursts for entry in burst.entries()]
    scope = replace(stored(ledger, entries, first, then), teams=teams)
    filters = filters.replace("session:s1", f'session:"{scope.org} s1"')
    asked = {"period": "30d", "tz": "Europe/Berlin", "filter": filters}
    question = savings_question(asked, NOW_US)
    found = savings(ledger, scope, question, PRICES)
    assert found == savings(EntriesAlone(ledger, "", ""), scope, question, PRICES)
    assert found == savings(ledger, scope, question, PRICES, BESIDE)
    return found


@settings(max_examples=8, deadline=None)
@given(QUESTIONS)
def test_savings_are_the_same_with_notes_as_without(ledger: Noting, asked: Any) -> None:
    check(ledger, *asked)


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(QUESTIONS)
def test_many_savings_are_the_same_with_notes_as_without(ledger: Noting, asked: Any) -> None:
    check(ledger, *asked)


def test_a_late_call_makes_a_storm_of_calls_that_were_looked_at(ledger: Noting) -> None:
    for noted in (0, 4, 5):
        burst = Burst(
            *(NOW_US - 30 * MINUTE_US, 5, 1_000_000, "ray-large-2", {"input": 40}),
            {"key_id": "k1", "outcome": Outcome.UPSTREAM_ERROR},
            taken_back=False,
        )
        found = check(ledger, [burst], noted, 0, "", None)
        storm = next(each for each in found.findings if each.name == "retry_storms")
        assert storm.now.calls == 4


CACHED = {"key_id": "k1", "session_id": "s1", "team": "core", "tool": "claude-code"}
WRITES: dict[str, int] = {"cache_write": 3_000, "output": 5}
READS: dict[str, int] = {"cache_read": 3_000, "output": 5}


EARLIER_US = NOW_US - 180 * MINUTE_US


def writes(at_us: int, calls: int, **changes: Any) -> Burst:
    """Make calls that write to the cache anew each time, as it ran out before."""
    apart_us = 7 * MINUTE_US
    return Burst(
        at_us, calls, apart_us, "claude-opus-9", WRITES, {**CACHED, **changes}, taken_back=False
    )


@pytest.mark.parametrize(
    ("bursts", "expired"),
    [
        ([writes(NOW_US - 60 * MINUTE_US, 4)], 3),
        # the one before is in neither period; or in the former, but for some in between
        ([writes(START_US - 8 * MINUTE_US, 4)], 1),
        ([writes(START_US - 30 * DAY_US - 8 * MINUTE_US, 4)], 0),
        ([writes(NOW_US - 30 * DAY_US - 8 * MINUTE_US, 4), writes(START_US + MINUTE_US, 2)], 2),
        # a session goes on with another key, and is a long one
        ([writes(NOW_US - 90 * MINUTE_US, 3), writes(NOW_US - 89 * MINUTE_US, 3, key_id="k2")], 4),
        ([writes(NOW_US - 180 * MINUTE_US, 20)], 19),
        ([writes(NOW_US - 180 * MINUTE_US, 11), writes(NOW_US - 90 * MINUTE_US, 9)], 19),
        # late, and by calls that only read from the cache
        ([writes(EARLIER_US, 11), writes(EARLIER_US + 3 * MINUTE_US, 4)._replace(usage=READS)], 6),
    ],
)
@pytest.mark.parametrize(("first", "then"), [(0, 0), (3, 0), (11, 40), (40, 0)])
def test_what_ran_out_is_found_however_much_of_a_session_was_looked_at(
    ledger: Noting, bursts: list[Burst], expired: int, first: int, then: int
) -> None:
    found = check(ledger, bursts, first, then, "", None)
    assert found.findings[0].now.calls == expired
