"""What can be asked of a group of entries: sums, counts, distinct counts and ratios.

In SQL money is only summed; every ratio is a Decimal made here. A sum of money is None
(unknown) when the group has entries and none of them has a known amount.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.ledger import TOKEN_FIELDS, Outcome
from tollkeeper.domain.money import EXACT
from tollkeeper.domain.sums import SESSION_KEY
from tollkeeper.reports.questions import BadQuestion, one_of, quoted

if TYPE_CHECKING:
    import ibis.expr.types as ir

Value = Decimal | int | None


class Kind(enum.Enum):
    """What a measure's value is."""

    MONEY = "money"  # Decimal USD, None when unknown
    COUNT = "count"  # int
    DISTINCT = "distinct"  # int, and the parts of a group do not add up to it
    MILLISECONDS = "milliseconds"  # int, nearest rank; None without a sample
    RATIO = "ratio"  # Decimal, None when there is nothing to divide by
    MONEY_RATIO = "money_ratio"


ADDITIVE: Final = (Kind.MONEY, Kind.COUNT)


class Measure(NamedTuple):
    """One thing that can be asked for.

    ``sql`` makes the aggregate (None for ratios and percentiles). A ratio names the two
    measures that it divides; a percentile names its column and its rank in percent. ``of_row``
    gives the measure of one row, where that is of sums, whose numbers are wide.
    """

    kind: Kind
    sql: Callable[[ir.Table], ir.Value] | None = None
    ratio: tuple[str, str] = ("", "")
    percentile: tuple[str, int] = ("", 0)
    of_row: Callable[[ir.Table], ir.Value] | None = None


def is_request(table: ir.Table) -> ir.BooleanValue:
    """Tell whether an entry is a request as it happened; corrections of it are no others."""
    return (table.requests == 1) & (table.revision == 0)


def _count(column: str) -> Measure:
    return Measure(
        Kind.COUNT, lambda table: table[column].sum(), of_row=lambda table: table[column]
    )


def _distinct(column: str) -> Measure:
    return Measure(
        Kind.DISTINCT,
        lambda table: table[column].nunique(where=table[column] != ""),
        of_row=lambda table: (table[column] != "").cast("int64"),
    )


def _session(table: ir.Table) -> ir.Value:
    """Give what tells sessions apart, NULL where there is none."""
    return table[SESSION_KEY] if SESSION_KEY in table.columns else table.session_id.nullif("")


_DISTINCT_COLUMNS: Final = {
    "users": "user_id",
    "keys": "key_id",
    "sessions": "session_id",
    "customers": "end_customer",
}


def counted_column(name: str, table: ir.Table) -> ir.StringValue:
    """Give the column whose different values a measure counts, but for "" (nobody)."""
    column: ir.StringValue = table[_DISTINCT_COLUMNS[name]]
    return column


def _money(column: str) -> Measure:
    return Measure(
        Kind.MONEY, lambda table: table[column].sum(), of_row=lambda table: table[column]
    )


def _ratio(above: str, below: str, kind: Kind = Kind.RATIO) -> Measure:
    return Measure(kind, ratio=(above, below))


MEASURES: Final[Mapping[str, Measure]] = {
    "cost_usd": _money("cost_usd"),
    "list_cost_usd": _money("list_cost_usd"),
    "saved_usd": _money("saved_usd"),
    "requests": _count("requests"),
    "calls": Measure(
        Kind.COUNT,
        lambda table: table.requests.sum(where=table.attempt == 1),
        of_row=lambda table: ibis.cases((table.attempt == 1, table.requests)),
    ),
    "refusals": _count("refusals"),
    "errors": _count("errors"),
    "disconnects": Measure(
        Kind.COUNT,
        lambda table: table.requests.sum(where=table.outcome == Outcome.DISCONNECTED.value),
        of_row=lambda table: ibis.cases(
            (table.outcome == Outcome.DISCONNECTED.value, table.requests)
        ),
    ),
    "unpriced": _count("unpriced"),
    "entries": _count("sign"),  # those that stand: what was taken back is no entry any more
    "tokens": Measure(
        # Two sums: they are wider than 64 bits, the sum of two columns of a row is not.
        Kind.COUNT,
        lambda table: table.tokens_in.sum() + table.tokens_out.sum(),
        of_row=lambda table: table.tokens_in + table.tokens_out,
    ),
    "tokens_in": _count("tokens_in"),
    "tokens_out": _count("tokens_out"),
    "tokens_cached": _count("tokens_cached"),
    **{field: _count(field) for field, _ in TOKEN_FIELDS},
    "users": _distinct("user_id"),
    "keys": _distinct("key_id"),
    "sessions": Measure(
        Kind.DISTINCT,
        lambda table: _session(table).nunique(),
        of_row=lambda table: _session(table).notnull().cast("int64"),
    ),
    "customers": _distinct("end_customer"),
    "duration_p50_ms": Measure(Kind.MILLISECONDS, percentile=("duration_ms", 50)),
    "duration_p95_ms": Measure(Kind.MILLISECONDS, percentile=("duration_ms", 95)),
    "duration_p99_ms": Measure(Kind.MILLISECONDS, percentile=("duration_ms", 99)),
    "ttft_p50_ms": Measure(Kind.MILLISECONDS, percentile=("ttft_ms", 50)),
    "ttft_p95_ms": Measure(Kind.MILLISECONDS, percentile=("ttft_ms", 95)),
    "cost_per_request_usd": _ratio("cost_usd", "requests", Kind.MONEY_RATIO),
    "cost_per_session_usd": _ratio("cost_usd", "sessions", Kind.MONEY_RATIO),
    "cost_per_user_usd": _ratio("cost_usd", "users", Kind.MONEY_RATIO),
    "cost_per_customer_usd": _ratio("cost_usd", "customers", Kind.MONEY_RATIO),
    "error_rate": _ratio("errors", "requests"),
    "cached_share": _ratio("tokens_cached", "tokens_in"),
}


OF_ENTRIES: Final = frozenset({"sessions", "customers"})
"""Measures that only finer sums and single entries can tell, besides percentiles."""


def check_measure(parameter: str, name: str) -> str:
    """Give the name back. Raises BadQuestion unless there is such a measure."""
    if name not in MEASURES:
        raise BadQuestion(parameter, f"{quoted(name)} is no metric; {one_of(MEASURES)}")
    return name


def summed(names: Iterable[str]) -> tuple[str, ...]:
    """List the measures that SQL has to give for these: ratios are replaced by their parts."""
    found: dict[str, None] = {}
    for name in names:
        measure = MEASURES[name]
        for needed in measure.ratio if measure.ratio[0] else (name,):
            if MEASURES[needed].sql is not None:
                found[needed] = None
    return tuple(found)


def aggregates(table: ir.Table, names: Iterable[str]) -> dict[str, ir.Value]:
    """Give the aggregates of measures that have one."""
    found = {}
    for name in names:
        sql = MEASURES[name].sql
        if sql is not None:
            found[name] = sql(table)
    return found


def known(name: str, value: Any, entries: int) -> Value:
    """Read an aggregate: nothing to count is 0; money is unknown only if there are entries."""
    if value is None and (MEASURES[name].kind is not Kind.MONEY or not entries):
        return Decimal(0) if MEASURES[name].kind is Kind.MONEY else 0
    if value is None or isinstance(value, Decimal):
        return value
    return int(value)


def added(left: Value, right: Value) -> Value:
    """Add two values of one measure; what is unknown adds nothing."""
    if left is None or right is None:
        return right if left is None else left
    if isinstance(left, Decimal) and isinstance(right, Decimal):
        return EXACT.add(left, right)
    return left + right


def less(whole: Value, part: Value) -> Value:
    """Take a part off; what is unknown takes nothing off, and stays so."""
    if whole is None or part is None:
        return whole
    if isinstance(whole, Decimal):
        return EXACT.subtract(whole, Decimal(part))
    return whole - part


def completed(values: Mapping[str, Value], names: Iterable[str]) -> dict[str, Value]:
    """Give the asked measures in order, ratios computed."""
    return {
        name: ratio(values[MEASURES[name].ratio[0]], values[MEASURES[name].ratio[1]])
        if MEASURES[name].ratio[0]
        else values[name]
        for name in names
    }


def ratio(above: Value, below: Value) -> Decimal | None:
    """Divide; None when either side is unknown or there is nothing to divide by."""
    if above is None or not below:
        return None
    return Decimal(above) / Decimal(below)
