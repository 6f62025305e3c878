"""The first groups by session: as one query gives them, however many of them weigh the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger_entries import START_US, ledger_entry
from ledgers import open_duckdb, open_sqlite
from reports_of_entries import EntriesAlone
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis, LedgerEntry
from tollkeeper.ports import Position
from tollkeeper.reports import explore_sessions
from tollkeeper.reports.explore import explore
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.masking import MaskedLedger
from tollkeeper.reports.period import Period
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.sqlite.ledger import SqliteLedger

DAY_US = 86_400_000_000
END_US = START_US + 7 * DAY_US
PERIOD = Period("7d", "UTC", START_US, END_US, END_US)
COUNT = 80


def entry(number: int) -> LedgerEntry:
    """Give an entry of one of two periods; of sessions some go on, and most weigh the same."""
    return ledger_entry(
        entry_id=f"e{number}",
        call_id=f"c{number}",
        started_at_us=START_US + (number * 5 % 14 - 7) * DAY_US + number,
        cost_nanos=None if number % 13 == 0 else (number % 2) * 10**9,
        unpriced_reason="no price" if number % 13 == 0 else "",
        team=("core", "web")[number % 7 == 0],
        session_id="" if number % 9 == 0 else f"s{number * 37 % 61:02}",
    )


@pytest.fixture(scope="module", params=[open_duckdb, open_sqlite])
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DuckDbLedger | SqliteLedger]:
    with closing(request.param(tmp_path_factory.mktemp("sessions"))) as opened:
        entries = [entry(number) for number in range(COUNT)]
        opened.append(entries[:70], Position("segment", 1))
        opened.sum_up(left_max=0)
        opened.append(entries[70:], Position("segment", 2))
        yield opened


@pytest.mark.parametrize("spare", [1, 100])
@pytest.mark.parametrize(
    ("metric", "by", "sort"),
    [
        ("cost_usd", "session", "value"),
        ("cost_per_session_usd", "team session", "requests"),
    ],
)
def test_sessions_come_in_the_order_of_one_query(
    ledger: DuckDbLedger | SqliteLedger,
    monkeypatch: pytest.MonkeyPatch,
    metric: str,
    by: str,
    sort: str,
    spare: int,
) -> None:
    monkeypatch.setattr(explore_sessions, "SPARE", spare)
    question = ExploreQuestion(PERIOD, metric, tuple(by.split()), sort=sort, limit=5)
    scope = Scope("acme")
    in_steps = explore(MaskedLedger(ledger, "salt", ""), scope, question, PERIOD.end_us)
    at_once = explore(EntriesAlone(ledger, "salt", ""), scope, question, PERIOD.end_us)
    assert in_steps == at_once
    assert in_steps.groups > 15


@pytest.mark.parametrize("opened", [open_duckdb, open_sqlite])
def test_what_is_left_over_of_an_amount_is_not_known_where_it_was_not(
    opened: Callable[[Path], DuckDbLedger | SqliteLedger], tmp_path: Path
) -> None:
    """Entries without an amount, which no call without a price stands for: not known, and not 0."""
    paid = [
        ledger_entry(entry_id=f"e{number}", session_id="s1", started_at_us=START_US + number)
        for number in range(3)
    ]
    odd = ledger_entry(
        entry_id="odd",
        session_id="s2",
        started_at_us=START_US + 9,
        cost_nanos=None,
        basis=Basis.FREE,
        corrects="earlier",
    )
    question = ExploreQuestion(
        PERIOD, "cost_per_session_usd", ("session",), view="table", sort="requests", limit=1
    )
    with closing(opened(tmp_path)) as ledger:
        ledger.append([*paid, odd], Position("segment", 1))
        ledger.sum_up(left_max=0)
        found = explore(MaskedLedger(ledger, "salt", ""), Scope("acme"), question, PERIOD.end_us)
    assert [row.keys for row in found.rows] == [("s1",)]
    assert found.other is not None
    assert found.other.now is None
