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

from tollkeeper.domain.sums import LAST_AT, SESSION_NUMBER
from tollkeeper.reports.measures import MEASURES, Kind, aggregates
from tollkeeper.reports.selection import latest

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SESSIONS: Final = "sessions"
_SHIFT: Final = 5  # 32 bits: their numbers have no sign to look after
_MASK: Final = (1 << _SHIFT) - 1
_BLOCK: Final = "block_"
_BITS: Final = "bits_"
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
        return _by_bits(table, groups, measures, names)
    found = aggregates(table, measures)
    found |= {name: latest(table, column) for name, column in names.items()}
    return table.group_by(**groups).agg(**found) if groups else table.agg(**found)


def _by_bits(
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    measures: Sequence[str],
    names: Mapping[str, str],
) -> ir.Table:
    added = [name for name in measures if name != _SESSIONS]
    number = table[SESSION_NUMBER]
    found = aggregates(table, added)
    found[_BITS] = (ibis.literal(1, "int64") << (number & _MASK)).bit_or()
    for name, column in names.items():
        found[name] = latest(table, column)
        found[f"{name}{_AT}"] = table[LAST_AT].max()
    stage = table.group_by(**groups, **{_BLOCK: number >> _SHIFT}).agg(**found)
    sums = {name: stage[name].sum() for name in added}
    sessions = _bit_count(stage[_BITS]).sum().fill_null(0)
    values = {name: sessions if name == _SESSIONS else sums[name] for name in measures}
    values |= {name: stage[name].argmax(stage[f"{name}{_AT}"]) for name in names}
    return stage.group_by(list(groups)).agg(**values) if groups else stage.agg(**values)
