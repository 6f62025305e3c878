"""Measures of the groups of a table of entries, or of their sums.

Sessions that have numbers are counted by bits: in groups of 64 numbers a bit is set for each that
occurs, and the bits are counted. Sessions of one team have numbers side by side, so most groups
are of few such numbers, and a row costs little more than one that is added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.sums import SESSION_ALONE, SESSION_KEY, SESSION_NUMBER
from tollkeeper.reports.measures import MEASURES, Kind, aggregates, counted_column
from tollkeeper.reports.selection import last_at, latest

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SESSIONS: Final = "sessions"
_SHIFT: Final = 5  # 32 bits: their numbers have no sign to look after
_MASK: Final = (1 << _SHIFT) - 1
_BLOCK: Final = "block_"
_BITS: Final = "bits_"
_EACH: Final = "each_"
_ALONE: Final = "alone_"
_AT: Final = "_last_at_"


@ibis.udf.scalar.builtin(  # type: ignore[untyped-decorator]
    name="bit_count", signature=((dt.int64,), dt.int8)
)
def _bit_count(bits: object) -> object:
    """Count the bits that are set."""


def measured(
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    measures: Sequence[str],
    names: Mapping[str, str],
) -> ir.Table:
    """Give the measures of each group; of all together, as one row, if there are no ``groups``.

    ``names`` are further columns: each has the value that the newest entry has in another.
    """
    counted = [name for name in measures if MEASURES[name].kind is Kind.DISTINCT]
    if counted == [_SESSIONS] and SESSION_NUMBER in table.columns:
        found = in_stages(table, groups, measures, names)
        return measured_again(found, {name: found[name] for name in groups}, measures, names)
    found = aggregates(table, measures)
    found |= {name: latest(table, column) for name, column in names.items()}
    return table.group_by(**groups).agg(**found) if groups else table.agg(**found)


def in_stages(
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    measures: Sequence[str],
    names: Mapping[str, str],
    **further: ir.Value,
) -> ir.Table:
    """Give rows that ``measured_again`` gives measures of, also of larger groups than these.

    Each is of one of the ``groups`` and, where something different is counted, of one value of
    that, or of a block of numbers of sessions. ``further`` aggregates are columns as well.
    """
    counted = [name for name in measures if MEASURES[name].kind is Kind.DISTINCT]
    found = aggregates(table, [name for name in measures if name not in counted])
    also: dict[str, ir.Value] = {}
    for name in counted:
        if name == _SESSIONS and SESSION_NUMBER in table.columns:
            number = table[SESSION_NUMBER]
            also[_BLOCK] = number >> _SHIFT
            found[_BITS] = (ibis.literal(1, "int64") << (number & _MASK)).bit_or()
        elif name == _SESSIONS and SESSION_ALONE in table.columns:
            # A session of one row adds up; only others have to be told apart.
            number, alone = table[SESSION_KEY], table[SESSION_ALONE]
            also[f"{_EACH}{name}"] = alone.ifelse(ibis.null(), number)
            found[_ALONE] = (alone & number.notnull()).cast("int64").sum()
        else:
            also[f"{_EACH}{name}"] = counted_column(name, table)
    for name, column in names.items():
        found[name] = latest(table, column)
        found[f"{name}{_AT}"] = last_at(table).max()
    return table.group_by(**groups, **also).agg(**found, **further)


def measured_again(
    stage: ir.Table,
    groups: Mapping[str, ir.Value],
    measures: Sequence[str],
    names: Mapping[str, str],
) -> ir.Table:
    """Give what ``measured`` gives, of rows that ``in_stages`` gave."""
    if _BLOCK in stage.columns:
        stage = stage.mutate(**groups)
        of_blocks = {name: stage[name] for name in groups}
        found = _added_up(stage, [name for name in measures if name != _SESSIONS], names)
        found[_BITS] = stage[_BITS].bit_or()
        found |= {f"{name}{_AT}": stage[f"{name}{_AT}"].max() for name in names}
        stage = stage.group_by(**of_blocks, **{_BLOCK: stage[_BLOCK]}).agg(**found)
        groups = {name: stage[name] for name in groups}
    found = _added_up(stage, measures, names)
    values = {name: found[name] for name in (*measures, *names)}
    return stage.group_by(**groups).agg(**values) if groups else stage.agg(**values)


def _added_up(
    stage: ir.Table, measures: Sequence[str], names: Mapping[str, str]
) -> dict[str, ir.Value]:
    found: dict[str, ir.Value] = {}
    for name in measures:
        if name == _SESSIONS and _BITS in stage.columns:
            found[name] = _bit_count(stage[_BITS]).sum().fill_null(0)
        elif name == _SESSIONS and _ALONE in stage.columns:
            alone = stage[_ALONE].sum().fill_null(0)
            found[name] = alone + stage[f"{_EACH}{name}"].nunique()
        elif MEASURES[name].kind is Kind.DISTINCT:
            each = stage[f"{_EACH}{name}"]
            found[name] = each.nunique(where=each != "")
        else:
            found[name] = stage[name].sum()
    found |= {name: stage[name].argmax(stage[f"{name}{_AT}"]) for name in names}
    return found
