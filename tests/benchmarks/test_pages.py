"""The document about large ledgers: what is told of figures that were measured."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from benchmarks.larger import larger_ledgers
from benchmarks.page_questions import LIMITS_MS, OVERVIEW, ZONE, questions
from benchmarks.pages import Measured, Timed, document, on_paper, targets
from benchmarks.pages_sqlite import document as sqlite_document
from benchmarks.served_pages import ServedPages
from ledger_entries import ledger_entry
from ledgers import open_duckdb
from tollkeeper.demo.company import ORG
from tollkeeper.ports import Position


def some(entries: int, ms: float, others: float = 0.01) -> Measured:
    reports = tuple(Timed(page, "all", 2 * ms, (ms, ms), (ms,)) for page in LIMITS_MS)
    return Measured(entries, entries // 10, others, reports)


def test_what_is_on_paper_lies_on_the_line_through_the_largest() -> None:
    assert on_paper([(1, 9.0), (10, 20.0), (3, 6.0)], 100) == pytest.approx(200)
    assert on_paper([(10, 20.0)]) is None


def test_targets_are_of_the_slowest_report_of_a_page() -> None:
    found = some(1_000, 50)
    slow = found._replace(reports=(*found.reports, Timed(OVERVIEW, "x", 1, (400.0,), (1.0,))))
    assert [it.measured for it in targets(slow)] == [400, *[50] * (len(LIMITS_MS) - 1)]


def test_the_document_says_that_the_last_column_was_not_measured() -> None:
    text = document([some(1_000_000, 50), some(3_000_000, 110)], "python -m benchmarks.pages")
    assert "| Overview, whole page | < 100 ms | 50 | 110 | 3,020 |" in text
    assert "was not measured" in text
    assert "had other work" not in text
    assert text.count("Other work had 1.0% of the") == 2


def test_the_document_says_of_each_ledger_what_others_had_meanwhile() -> None:
    text = document([some(1_000_000, 50), some(3_000_000, 110, 0.07)], "…")
    assert re.search(r"had other work during this run\*\* \(1.0% of .*, 7.0% of .*\)", text)


def test_the_benchmarks_repeat_how_figures_grow() -> None:
    text = document([some(1_000_000, 50), some(3_000_000, 110)], "python -m benchmarks.pages")
    repeated = larger_ledgers(text)
    assert "| most core ms | wanted | 1,000,000 | 3,000,000 | 100,000,000, on paper |" in repeated
    assert "Of its run on 20" in repeated
    assert "What the sums come to" not in repeated
    assert larger_ledgers("# Nothing is measured yet\n") == ""


def test_of_sqlite_every_page_is_held_against_one_limit() -> None:
    text = sqlite_document([(some(1_000_000, 501, 0.2), 974_000_000)], "…")
    assert text.count("| < 500 ms | 501 ms | MISSED |") == len(LIMITS_MS)
    assert "| MB of the file | 974 |" in text
    assert "had other work during this run** (20.0% of" in text


def test_every_question_can_be_asked(tmp_path: Path) -> None:
    ledger = open_duckdb(tmp_path)
    try:
        asked = list(questions(ledger, lambda path, query: b"", 1_795_000_000_000_000))
        assert len({(page, name) for page, name, _ in asked}) == len(asked)
    finally:
        ledger.close()


def test_the_first_page_is_measured_as_it_is_served(tmp_path: Path) -> None:
    ledger = open_duckdb(tmp_path)
    now_us = ledger_entry().started_at_us + 1
    ledger.append([ledger_entry(org=ORG)], Position("a", 1))
    pages = ServedPages(tmp_path, ledger, ORG, now_us, ZONE)
    try:
        served = [
            ask for page, name, ask in questions(ledger, pages.get, now_us) if "whole" in name
        ]
        bodies = [gzip.decompress(ask()).decode() for ask in served]  # type: ignore[arg-type]  # bytes
        assert all("</html>" in body and "Budgets" in body for body in bodies)
    finally:
        pages.close()
        ledger.close()
