"""Bills of jobs as the loader books them: any order, any number of times, the same sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journal_twin import MemoryTail
from ledger_entries import START_US, ledger_entry
from ledgers import SMALL, open_duckdb
from tollkeeper.domain.errors import LedgerUnavailable
from tollkeeper.domain.job_bills import Billed
from tollkeeper.domain.jobs import JobMark, Role, bill_id, job_id
from tollkeeper.domain.ledger import LedgerEntry
from tollkeeper.ports import NO_JOBS, Position
from tollkeeper.services.job_memory import WAIT_MAX_S
from tollkeeper.services.loading import PAUSE_MAX_S, Loader
from tollkeeper.storage.duckdb.ledger import DuckDbLedger

JOB = job_id("openai", "batch/batch_1")
FILE = job_id("openai", "file/file_1")
NOW_US = START_US + 90_000_000
LATER_US = START_US + 60_000_000
FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def begun(**more: Any) -> tuple[JobMark, LedgerEntry]:
    """Make the call that begins a job."""
    entry = ledger_entry(
        entry_id="begin",
        call_id="begin",
        started_at_us=START_US,
        key_name="owner",
        user_name="Olga",
        basis="unpriced",
        unpriced_reason="pending",
        cost_nanos=None,
        list_cost_nanos=None,
        saved_nanos=None,
        units={},
        **dict.fromkeys(_TOKENS, 0),
        **more,
    )
    return JobMark(JOB, Role.BEGUN), entry


_TOKENS = tuple(field for field in LedgerEntry._fields if field.endswith("_tokens"))


def priced(entry_id: str, nanos: int | None, tokens: int, **more: Any) -> LedgerEntry:
    empty = dict.fromkeys(_TOKENS, 0)
    return ledger_entry(
        **{
            **empty,
            "entry_id": entry_id,
            "call_id": "fetch",
            "started_at_us": LATER_US,
            "part": 1,
            "key_name": "fetcher",
            "basis": "unpriced" if nanos is None else "measured",
            "unpriced_reason": "unknown_model" if nanos is None else "",
            "cost_nanos": nanos,
            "list_cost_nanos": nanos,
            "saved_nanos": None,
            "units": {},
            "input_tokens": tokens,
            **more,
        }
    )


def line(number: int, nanos: int | None = 10, *, job: str = JOB) -> tuple[JobMark, LedgerEntry]:
    name = bill_id(job, f"line {number}")
    # What stands in a batch object comes with the name of the batch's file.
    return JobMark(job, Role.LINE, name, FILE if job == JOB else ""), priced(name, nanos, 100)


def bill(nanos: int | None = 50) -> tuple[JobMark, LedgerEntry]:
    name = bill_id(JOB, "")
    return JobMark(JOB, Role.BILL, name), priced(name, nanos, 500)


def total(nanos: int | None, tokens: int) -> tuple[JobMark, LedgerEntry]:
    name = f"{JOB}.total"
    return JobMark(JOB, Role.TOTAL, name, FILE), priced(name, nanos, tokens)


def seen(number: int, *, ended: bool, other: str = "") -> tuple[JobMark, LedgerEntry]:
    """Make a call that looks at the job."""
    entry = priced(f"seen-{number}", 0, 0, basis="free", part=0, call_id=f"seen-{number}")
    return JobMark(JOB, Role.SEEN, "", other, ended), entry


class Books:
    """A ledger, and a loader that reads what a test writes."""

    def __init__(self, ledger: DuckDbLedger) -> None:
        self.ledger = ledger
        self.tail = MemoryTail()
        self.told: list[LedgerEntry] = []
        self._now_s = 0.0
        self.restart()

    def restart(self) -> None:
        self._loader = Loader(self.tail, self.ledger, on_loaded=lambda new: self.told.extend(new))

    def write(self, *records: tuple[JobMark, LedgerEntry], segment: str = "one") -> None:
        for mark, entry in records:
            self.tail.write(segment, Billed(mark, [entry]))

    def advance(self, seconds: float = 0.1, *, faults: bool = False) -> None:
        self._now_s += seconds
        for _ in range(50):
            if self._loader.advance(NOW_US, self._now_s):
                break
        assert faults or self._loader.status.fault == ""

    def load(self, *records: tuple[JobMark, LedgerEntry], segment: str = "one") -> None:
        self.write(*records, segment=segment)
        self.advance()
        self.advance()

    def rows(self) -> list[dict[str, Any]]:
        return self.ledger.run(self.ledger.entries().order_by("entry_id"))

    def sums(self) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        for row in self.rows():
            counts["nanos"] += int((row["cost_usd"] or 0) * 10**9)
            counts.update({name: row[name] for name in ("input_tokens", "unpriced", "requests")})
            if row["cost_usd"]:
                counts[f"nanos of {row['key_name']}"] += int(row["cost_usd"] * 10**9)
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    ledger = open_duckdb(tmp_path)
    yield Books(ledger)
    ledger.close()


# ---------------------------------------------------------------------- one bill


def test_a_bill_books_the_pending_call_anew(books: Books) -> None:
    books.load(begun())
    assert books.sums() == {"unpriced": 1, "requests": 1}
    books.load(bill(), seen(1, ended=True))
    books.restart()
    books.load(bill(), seen(2, ended=True))
    assert books.sums() == {
        "nanos": 50,
        "nanos of owner": 50,
        "input_tokens": 500,
        "requests": 3,
    }


def test_a_bill_without_a_price_stays_unpriced_for_its_own_reason(books: Books) -> None:
    books.load(begun(), bill(None))
    assert books.sums() == {"input_tokens": 500, "unpriced": 1, "requests": 1}
    standing = [row for row in books.rows() if row["revision"] == 1 and row["sign"] == 1]
    assert [row["unpriced_reason"] for row in standing] == ["unknown_model"]


def test_an_id_that_a_provider_uses_twice_bills_each_call_its_own(books: Books) -> None:
    owns = [
        (JobMark(JOB, Role.OWN), priced(name, 7, 70, part=0, call_id=name)) for name in ("a", "b")
    ]
    books.load(*owns, bill())
    assert books.sums() == {
        "nanos": 14,
        "nanos of fetcher": 14,
        "input_tokens": 140,
        "requests": 2,
    }


def test_a_call_that_comes_after_its_bill_costs_nothing_more(books: Books) -> None:
    books.load(bill(), segment="two")
    books.load(begun())
    assert books.sums() == {
        "nanos": 50,
        "nanos of fetcher": 50,
        "input_tokens": 500,
        "requests": 1,
    }


class Forgetful(DuckDbLedger):
    """The real ledger, whose answers to commits get lost, and whose commits get lost."""

    lost: Sequence[str] = ()

    def append(
        self,
        entries: Sequence[LedgerEntry],
        position: Position | None,
        jobs: Mapping[str, str] = NO_JOBS,
    ) -> int:
        lost, self.lost = self.lost[:1], self.lost[1:]
        if "commit" in lost:
            raise LedgerUnavailable("it went away before it was committed")
        added = super().append(entries, position, jobs)
        if "answer" in lost:
            raise LedgerUnavailable("it went away after it was committed")
        return added


@pytest.mark.parametrize("lost", [["commit"], ["answer"], ["commit", "answer", "commit"]])
def test_a_ledger_that_goes_away_in_between_books_once(tmp_path: Path, lost: list[str]) -> None:
    ledger = Forgetful(tmp_path / "ledger.duckdb", SMALL)
    try:
        books = Books(ledger)
        for records in ([begun()], [total(35, 350), line(1)], [line(2), seen(1, ended=True)]):
            ledger.lost = lost
            books.write(*records)
            for _ in range(4):
                books.advance(PAUSE_MAX_S, faults=True)
        sums = books.sums()
        assert (sums["nanos"], sums["input_tokens"], sums["requests"]) == (20, 200, 2)
        assert "unpriced" not in sums
    finally:
        ledger.close()


# ---------------------------------------------------------------------- the order of segments


def test_a_bill_waits_for_its_beginning_in_another_segment(books: Books) -> None:
    """The gateways' segments are not read in the order of time."""
    books.write(bill(), segment="a")
    books.advance()
    books.write(begun(), segment="b")
    for _ in range(3):
        books.advance()
    assert books.sums()["nanos of owner"] == 50


def test_a_bill_waits_while_another_segment_has_more(books: Books) -> None:
    books.tail.most_entries = 1
    books.write(bill(), segment="a")
    books.write(*(seen(number, ended=False) for number in range(20)), begun(), segment="b")
    for _ in range(3):
        books.advance()
    assert books.sums()["nanos of owner"] == 50


def test_segments_do_not_wait_for_each_other(books: Books) -> None:
    for name in "abc":
        books.write(line(ord(name)), segment=name)
    for _ in range(4):
        books.advance()
    assert books.sums()["nanos of fetcher"] == 30


def test_it_does_not_wait_for_ever(books: Books) -> None:
    books.write(bill(), segment="a")
    books.advance()
    books.tail.endless = "b"
    books.write(seen(1, ended=False), segment="b")
    books.advance()
    assert "nanos" not in books.sums()
    books.advance(WAIT_MAX_S)
    assert books.sums()["nanos of fetcher"] == 50


# ---------------------------------------------------------------------- lines and totals


def test_totals_give_way_as_lines_come(books: Books) -> None:
    books.load(begun(), total(40, 400))
    assert books.sums() == {
        "nanos": 40,
        "nanos of owner": 40,
        "input_tokens": 400,
        "requests": 1,
    }
    books.load(line(1), line(2))
    assert books.sums()["nanos"] == 40
    assert books.sums()["input_tokens"] == 400
    books.load(line(2), line(3, 25), seen(1, ended=True))
    sums = books.sums()
    assert (sums["nanos"], sums["input_tokens"], sums["requests"]) == (45, 300, 2)
    assert "unpriced" not in sums
    books.load(total(40, 400), line(1), seen(2, ended=True))
    assert books.sums()["nanos"] == 45


def test_a_total_without_a_price_is_settled_by_the_lines(books: Books) -> None:
    books.load(begun(), total(None, 200))
    assert books.sums() == {"input_tokens": 200, "unpriced": 1, "requests": 1}
    books.load(line(1), line(2), seen(1, ended=True))
    assert books.sums() == {
        "nanos": 20,
        "nanos of owner": 20,
        "input_tokens": 200,
        "requests": 2,
    }


def test_lines_of_a_file_belong_to_the_batch_that_names_it(books: Books) -> None:
    books.load(begun(), line(1, job=FILE))
    books.load(seen(1, ended=False, other=FILE))
    books.load(line(1, job=FILE), line(2, job=FILE))
    assert books.sums() == {
        "nanos": 20,
        "nanos of fetcher": 10,  # it came before anybody had said whose it was
        "nanos of owner": 10,
        "input_tokens": 200,
        "unpriced": 1,
        "requests": 2,
    }
    ended = JobMark(FILE, Role.SEEN, ended=True)
    books.load((ended, seen(2, ended=True)[1]))
    assert "unpriced" not in books.sums()


def test_lines_give_way_once_when_a_file_becomes_a_batchs_in_the_same_breath(books: Books) -> None:
    """The line was booked as the file's; the sum that comes with the join takes it off once."""
    books.load(begun())
    books.load(line(1, job=FILE), total(35, 350))
    assert books.sums()["nanos"] == 35
    books.load(seen(9, ended=False, other=FILE))
    assert books.sums()["nanos"] == 35


def test_a_sum_gives_way_to_lines_that_were_booked_under_another_name(books: Books) -> None:
    books.load(begun(), line(1, job=FILE))
    mark, entry = total(35, 350)
    books.load((mark._replace(other=""), entry))
    assert books.sums()["nanos"] == 45  # nobody has said yet that the file is that batch's
    books.load(seen(9, ended=False, other=FILE))
    assert books.sums()["nanos"] == 35


_TOLD: Sequence[tuple[JobMark, LedgerEntry]] = (
    *(line(number, job=job) for number in range(4) for job in (JOB, FILE)),
    total(35, 350),
    seen(1, ended=False, other=FILE),
    seen(2, ended=False),
)


@FEW
@given(
    order=st.lists(st.sampled_from(_TOLD), max_size=25),
    cuts=st.lists(st.integers(1, 8), min_size=1, max_size=4),
)
def test_any_order_and_any_repetition_end_in_the_same_sums(
    tmp_path_factory: pytest.TempPathFactory, order: list[Any], cuts: list[int]
) -> None:
    ledger = open_duckdb(tmp_path_factory.mktemp("order"))
    try:
        books = Books(ledger)
        books.load(begun())
        at = 0
        for size in cuts:
            books.load(*order[at : at + size])
            at += size
            told = [entry for mark, entry in order[:at] if mark.role == Role.LINE]
            joined = any(mark.other for mark, _ in order[:at])
            if not joined:  # nobody has said yet that the file is that batch's
                continue
            seen_lines = {entry.entry_id.rpartition(".")[2] for entry in told}
            has_total = any(mark.role == Role.TOTAL for mark, _ in order[:at])
            lines = 10 * len(seen_lines)
            assert books.sums().get("nanos", 0) == max(lines, 35 if has_total else 0)
            books.restart()
        books.load(*_TOLD, seen(3, ended=True))
        books.load(*order, seen(4, ended=True))
        sums = books.sums()
        assert (sums["nanos"], sums["input_tokens"]) == (40, 400)
        assert sums.get("nanos of owner", 0) + sums.get("nanos of fetcher", 0) == 40
        assert "unpriced" not in sums
        assert sum(entry.cost_nanos or 0 for entry in books.told) == 40
    finally:
        ledger.close()
