"""What providers say that a call cost: booked as stated, and equal to the list or explained."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from oracle_rows import BEGIN, END, MADE_UP, Row, explanation, oracle_rows, oracle_table
from recorded_replies import COMPATIBLE, read_reply, records
from tollkeeper.domain.ledger import Basis

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "accuracy-oracle.md"


@pytest.fixture(scope="module")
def rows(shared: Path) -> list[Row]:
    return oracle_rows(shared)


def test_every_stated_cost_is_booked_as_it_was_stated(rows: list[Row]) -> None:
    assert len(rows) > 180
    for row in rows:
        part = row.part
        assert (part.basis, part.cost_nanos) == (
            Basis.PROVIDER_REPORTED,
            row.stated_nanos,
        ), row.record.name


def test_the_list_cost_is_equal_or_the_difference_is_explained(rows: list[Row]) -> None:
    unexplained = {
        row.record.name: (row.model, row.stated_nanos, row.part.list_cost_nanos, row.part.reason)
        for row in rows
        if row.difference != 0 and explanation(row) is None
    }
    assert unexplained == {}


def test_replies_that_were_priced_directly_are_equal_to_the_nano_dollar(rows: list[Row]) -> None:
    """All but those that a tool, another place or another hand had a part in."""
    equal = Counter(row.provider for row in rows if row.difference == 0)
    assert equal == {"openrouter": 107, "xai": 45, "perplexity": 5}
    different = Counter(
        (row.provider, why.kind)
        for row in rows
        if row.difference != 0 and (why := explanation(row)) is not None
    )
    assert different == {
        ("openrouter", "searches"): 4,
        ("openrouter", "another model"): 2,
        ("openrouter", "PDF"): 1,
        ("openrouter", "another place"): 4,
        ("openrouter", "cached twice"): 1,
        ("openrouter", "changed recording"): 1,
        ("openrouter", "rounded"): 1,
        ("perplexity", "rounded"): 10,
        ("xai", "pictures in"): 1,
    }


def test_a_rule_explains_nothing_but_its_own_sum(rows: list[Row]) -> None:
    """The arithmetic is checked: one nano-dollar more or less is not explained any more."""
    for row in rows:
        if row.difference != 0 and row.provider != "perplexity":
            for nanos in (1, -1):
                other = replace(row, stated_usd=row.stated_usd + Decimal(nanos).scaleb(-9))
                assert explanation(other) is None, row.record.name


def test_with_a_callers_own_key_the_list_is_what_the_maker_bills(
    rows: list[Row], shared: Path
) -> None:
    seen = 0
    for record in records(shared, ("openrouter",)):
        usage = read_reply(record).usage if record.reader else None
        if usage is None or usage.provider_list_nanos is None:
            continue
        plain = Row(record, rows[0].stated_usd, {}, record.at_us, rows[0].book)
        own = plain.settled(usage)
        assert (own.cost_nanos, own.list_cost_nanos) == (0, usage.provider_list_nanos)
        by_the_book = plain.settled(
            usage._replace(provider_cost_nanos=None, provider_list_nanos=None)
        )
        assert by_the_book.cost_nanos == own.list_cost_nanos, record.name
        seen += 1
    assert seen == 4


def test_what_was_left_out_is_made_up(shared: Path) -> None:
    left = {record.name for record in records(shared, COMPATIBLE) if record.name in MADE_UP}
    assert left == MADE_UP


def test_the_document_has_this_table(rows: list[Row]) -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == oracle_table(rows), (
        "run: .venv/bin/python tests/oracle_rows.py ../shared docs/accuracy-oracle.md"
    )
