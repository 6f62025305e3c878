"""Exact percentiles of several groupings in two passes, neither of which sorts what it reads.

The first pass counts values by their cell (whatever is in the same groups of all groupings) and the
whole part of their square root: some hundred buckets, narrow where most values are. From these
counts, which are few, follows for each group of each grouping the bucket in which its rank falls.
The second pass takes the values of these buckets, a hundredth of all, of what lies around them.

What is found on the way stands in small temporary tables: in one statement the engine would keep
every value between the passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import isqrt
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis
import ibis.expr.datatypes as dt

if TYPE_CHECKING:
    import ibis.expr.types as ir

SET: Final = "set_"
VALUE: Final = "value"
_CELL: Final = "cell_"
_BUCKET: Final = "bucket_"
_PLACE: Final = "place_"
_COUNT: Final = "count_"
_GROUP: Final = "of_group_"
_MISSING: Final = "missing_"
_FROM: Final = "from_"
_TO: Final = "to_"
_MOST: Final = (1 << 63) - 1
_ROOT_MAX: Final = isqrt(_MOST)
_EXACT: Final = 1 << 24
"""Up to here the whole part of a square root is what floating point says."""

_BUCKET_BITS: Final = 32
_WIDE: Final = "wide_"
_WIDE_BITS: Final = 4
_BUCKETS: Final = 1 << _BUCKET_BITS
"""More than there are: square roots of numbers of 64 bits have 32."""


class Ranking(NamedTuple):
    """The temporary tables in the order in which they are made, and what is asked of them."""

    tables: tuple[tuple[str, ir.Table], ...]
    answer: ir.Table


def each_value(table: ir.Table, column: str) -> ir.Table:
    """Give a row for each value of a column that has one in each row, or a list of them."""
    if table[column].type().is_array():
        return table.mutate(**{column: table[column].unnest()})
    return table.filter(table[column].notnull())


def nearest_ranks(
    table: ir.Table, column: str, cells: ir.Table, sets: Sequence[Sequence[str]], percent: int
) -> Ranking:
    """Give the value at rank ceil(n * percent / 100) of each group of each of several groupings.

    A single number that tells cells apart and is declared to be in each row is below 2 ** 31.
    """
    names = [name for name in table.columns if name != column]
    keys = [name for name in cells.columns if name not in names]
    of_cells = cells.mutate(**{_CELL: ibis.dense_rank().over(order_by=keys)})
    if _is_number(table, names):
        (number,) = names
        of_cells = cells.mutate(**{_CELL: cells[number]})
    numbered = ibis.table(of_cells.schema(), name="ranked_cells")
    of_groups = _groups(numbered.select(_CELL, *keys).distinct(), keys, sets)
    groups = ibis.table(of_groups.schema(), name="ranked_groups")
    values = _placed(table, column, numbered, names)
    of_counts = values.group_by(_PLACE).agg(**{_COUNT: values.count()})
    counts = ibis.table(of_counts.schema(), name="ranked_counts")
    of_places = _wanted(counts, groups, percent)
    places = ibis.table(of_places.schema(), name="ranked_places")
    of_hulls = _hulls(numbered, places)
    hulls = ibis.table(of_hulls.schema(), name="ranked_hulls")
    near = _placed(table, column, hulls, names)
    answer = groups.drop(_CELL).distinct().join(_found(near, column, places), _GROUP)
    return Ranking(
        tables=(
            ("ranked_cells", of_cells),
            ("ranked_groups", of_groups),
            ("ranked_counts", of_counts),
            ("ranked_places", of_places),
            ("ranked_hulls", of_hulls),
        ),
        answer=answer.drop(_GROUP),
    )


def _placed(table: ir.Table, column: str, cells: ir.Table, names: Sequence[str]) -> ir.Table:
    """Give each value with its place: its cell and bucket as one number.

    A cell that is known by a number in each row needs no looking for. Two columns would let the
    engine look for the cell of a place before it opens the lists. Where cells have bounds, values
    outside are left out.
    """
    its = {f"its_{name}": cells[name] for name in names}
    bounds = [name for name in (_FROM, _TO) if name in cells.columns]
    if not bounds and _is_number(table, names):
        (cell,) = (table[name] for name in names)
        return _in_buckets(each_value(table.select(column, first_=cell * _BUCKETS), column), column)
    cells = cells.select(*bounds, first_=cells[_CELL] * _BUCKETS, **its)
    same = [_same(table[name], cells[f"its_{name}"]) for name in names]
    values = each_value(table.join(cells, same).select("first_", *bounds, column), column)
    if bounds:
        values = values.filter(values[column] >= values[_FROM], values[column] <= values[_TO])
    return _in_buckets(values, column)


def _in_buckets(values: ir.Table, column: str) -> ir.Table:
    bucket = values[column].cast("float64").sqrt().floor().cast("int64")
    return values.select(column, **{_PLACE: values.first_ + bucket})


def _is_number(table: ir.Table, names: Sequence[str]) -> bool:
    """Tell whether the one column that cells are known by is a number that each row has."""
    return [table[name].type() for name in names] == [dt.Int64(nullable=False)]


def _same(one: ir.Column, other: ir.Column) -> ir.BooleanValue:
    """Compare, as equal what has no NULL: only then are small numbers found without hashing."""
    return one.identical_to(other) if one.type().nullable else one == other


def _groups(cells: ir.Table, keys: Sequence[str], sets: Sequence[Sequence[str]]) -> ir.Table:
    """Say of which groups each cell is: a row for each of them, numbered."""
    found = []
    for number, group_by in enumerate(sets):
        mine = cells.filter(*(cells[name].notnull() for name in group_by)) if group_by else cells
        columns: dict[str, ir.Value] = {_CELL: mine[_CELL], SET: ibis.literal(number, "int64")}
        for name in keys:
            kind = cells[name].type().copy(nullable=True)
            columns[name] = mine[name].cast(kind) if name in group_by else ibis.null(kind)
        found.append(mine.select(**columns))
    groups = reduce(lambda one, other: one.union(other), found)
    return groups.mutate(**{_GROUP: ibis.dense_rank().over(order_by=[SET, *keys])})


def _wanted(counts: ir.Table, groups: ir.Table, percent: int) -> ir.Table:
    """Give the places that are looked into, and how much of a rank each group misses there.

    A rank is n * percent / 100, rounded up: a hundred times as much is a whole number.
    """
    of_cells = groups.select(_CELL, _GROUP)
    counts = counts.mutate(
        **{_CELL: counts[_PLACE] >> _BUCKET_BITS, _BUCKET: counts[_PLACE] & (_BUCKETS - 1)}
    )
    sums = counts.join(of_cells, _CELL).group_by([_GROUP, _BUCKET])
    sums = sums.agg(**{_COUNT: ibis._[_COUNT].sum().cast("int64")})
    every = sums.group_by(_GROUP).agg(**{_MISSING: (sums[_COUNT].sum() * percent).cast("int64")})
    # Among all buckets a window takes longer than twice among few.
    wide = sums.group_by(_GROUP, **{_WIDE: sums[_BUCKET] >> _WIDE_BITS})
    wide = wide.agg(**{_COUNT: sums[_COUNT].sum().cast("int64")})
    wide = _reached(wide.join(every, _GROUP), _WIDE).select(_GROUP, _WIDE, _MISSING)
    near = sums.mutate(**{_WIDE: sums[_BUCKET] >> _WIDE_BITS}).join(wide, [_GROUP, _WIDE])
    chosen = _reached(near, _BUCKET)
    wanted = of_cells.join(chosen.select(_GROUP, _BUCKET, _MISSING), _GROUP)
    place = wanted[_CELL] * _BUCKETS + wanted[_BUCKET]
    return wanted.select(_GROUP, _MISSING, **{_PLACE: place})


def _reached(counts: ir.Table, bucket: str) -> ir.Table:
    """Give of each group the bucket of its rank, and what the rank misses at its beginning."""
    below = ibis.window(
        group_by=counts[_GROUP], order_by=counts[bucket], preceding=None, following=0
    )
    upto = counts[_COUNT].sum().over(below)
    missing = counts[_MISSING] - (upto - counts[_COUNT]) * 100
    counts = counts.mutate(**{_MISSING: missing.cast("int64")})
    return counts.filter(counts[_MISSING] > 0, counts[_MISSING] <= counts[_COUNT] * 100)


def _hulls(cells: ir.Table, places: ir.Table) -> ir.Table:
    """Give the cells that are looked into, with bounds around all buckets that are wanted there.

    A comparison with bounds costs a tenth of looking for a value's place. Of very
    large numbers they have one bucket more on each side, for roots of these are rounded.
    """
    place = places[_PLACE]
    bucket = place & (_BUCKETS - 1)
    wanted = places.group_by(**{_CELL: place >> _BUCKET_BITS})
    wanted = wanted.agg(lowest_=bucket.min(), highest_=bucket.max())
    lowest, above = wanted.lowest_, wanted.highest_ + 1
    lowest = (lowest > _EXACT).ifelse(lowest - 1, lowest)
    above = (above > _EXACT).ifelse(above + 1, above)
    most = ibis.literal(_MOST, "int64")
    bounds = {
        _FROM: _square(lowest),
        _TO: (above > _ROOT_MAX).ifelse(most, _square(above)),
    }
    wanted = wanted.select(_CELL, **{name: each.cast("int64") for name, each in bounds.items()})
    return cells.join(wanted, _CELL)


def _square(root: ir.IntegerValue) -> ir.IntegerValue:
    root = ibis.least(root, _ROOT_MAX)
    return root * root


def _found(values: ir.Table, column: str, places: ir.Table) -> ir.Table:
    """Give the value of each group."""
    # Of rows of a list the engine knows that they are few. Otherwise it may look for these places
    # among all values, and keep those.
    listed = places.agg(all_=ibis.struct({name: places[name] for name in places.columns}).collect())
    few = listed.select(one_=listed.all_.unnest())
    few = few.select(**{name: few.one_[name] for name in places.columns})
    picked = values.join(few, _PLACE)
    counted = picked.group_by([_GROUP, _MISSING, column]).agg(**{_COUNT: picked.count()})
    below = ibis.window(
        group_by=counted[_GROUP], order_by=counted[column], preceding=None, following=0
    )
    counted = counted.mutate(upto_=counted[_COUNT].sum().over(below))
    reached = counted.filter(counted.upto_ * 100 >= counted[_MISSING])
    return reached.group_by(_GROUP).agg(**{VALUE: reached[column].min()})
