"""Queries name the columns that they need, and answer what they answered with all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pytest
from ibis.backends.sql.compilers.duckdb import DuckDBCompiler

from ledger_entries import ledger_entry
from ledgers import SMALL
from tollkeeper.ports import Ledger, Position
from tollkeeper.storage.columns import COLUMNS
from tollkeeper.storage.duckdb import compiling
from tollkeeper.storage.duckdb.ledger import DuckDbLedger
from tollkeeper.storage.narrowing import narrowed
from tollkeeper.storage.summed_columns import ROW

if TYPE_CHECKING:
    import ibis.expr.types as ir

NAMES = {column.name for column in (*COLUMNS, *ROW)}


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    """Give entries of which some are summed up and some are not."""
    opened = DuckDbLedger(Path(":memory:"), SMALL)
    entries = [
        ledger_entry(team=team, model_served=model, cost_nanos=cost, started_at_us=number * 10**9)
        for number, (team, model, cost) in enumerate(
            [("a", "m1", 5), ("a", "m2", None), ("b", "m1", 7), ("", "m3", 0), ("b", "m3", 9)]
        )
    ]
    opened.append(entries[:3], Position("one", 1))
    opened.sum_up(left_max=0)
    opened.append(entries[3:], Position("one", 2))
    yield opened
    opened.close()


def queries(ledger: Ledger) -> dict[str, ir.Table]:
    """Questions of every kind."""
    sums, entries = ledger.summed(()), ledger.entries()
    changed = sums.mutate(team=sums.team.upper(), spare=sums.tokens_in + 1)
    dear = entries.filter(entries.cost_usd.notnull()).select("team", "model_served")
    kept = entries.semi_join(dear, "team")
    without = entries.anti_join(dear, [entries.model_served == dear.model_served])
    first = entries.order_by(entries.started_at.desc()).limit(2)
    both = ibis.union(sums.select("team", "sign"), entries.select("team", "sign"), distinct=True)
    among = entries.filter(entries.team.isin(dear.team))
    return {
        "sum": sums.agg(cost=sums.cost_usd.sum()),
        "filter": sums.filter(sums.team == "b").group_by("basis").agg(of=sums.requests.sum()),
        "changed": changed.group_by("team").agg(of=changed.sign.sum()),
        "rows": changed.agg(rows=changed.count()),
        "semi": kept.group_by("model_served").agg(of=kept.sign.sum()),
        "anti": without.select("team"),
        "first": first.select("model_served"),
        "distinct": sums.select("team", "basis").distinct().select("team"),
        "both": both.select("team").order_by("team"),
        "among": among.select("model_served"),
    }


NEEDED = {
    "sum": {"cost_usd"},
    "filter": {"team", "basis", "requests"},
    "changed": {"team", "sign"},
}
KINDS = (*NEEDED, "rows", "semi", "anti", "first", "distinct", "both", "among")


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_the_same_with_fewer_columns(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    expression = queries(ledger)[kind]
    few = ledger.run(expression)
    monkeypatch.setattr(compiling, "narrowed", lambda wide: wide)
    assert isinstance(ledger, DuckDbLedger)
    ledger._compiled.cache_clear()
    assert sorted(map(str, few)) == sorted(map(str, ledger.run(expression)))
    ledger._compiled.cache_clear()
    assert few


def test_every_kind_of_question_is_asked(ledger: Ledger) -> None:
    assert set(queries(ledger)) == set(KINDS)


@pytest.mark.parametrize("kind", NEEDED)
def test_sums_and_entries_are_put_together_with_what_is_needed(ledger: Ledger, kind: str) -> None:
    expression = queries(ledger)[kind]
    compiler = DuckDBCompiler()
    text = compiler.to_sqlglot(narrowed(expression)).sql(dialect=compiler.dialect)
    assert set(re.findall(r'"([a-z_]+)"', text)) & NAMES == NEEDED[kind]


def test_what_has_the_columns_that_it_needs_is_left_as_it_is(ledger: Ledger) -> None:
    entries = ledger.entries()
    expression = entries.group_by("team").agg(cost=entries.cost_usd.sum())
    assert narrowed(expression).equals(expression)
