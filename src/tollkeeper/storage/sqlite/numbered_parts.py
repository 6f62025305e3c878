"""Reads values of finer sums as columns, by the numbers that stand for what their entries have
alike.

What is asked of a kind of entries, of a label or of a moment is asked once for each of these, and
not for each row of sums. A kind's rows come as one row of lists, which SQLite writes by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis.expr.operations as ops

from tollkeeper.storage.sqlite import value_columns
from tollkeeper.storage.sqlite.finer_parts import FinerPart, finer_part, moved
from tollkeeper.storage.sqlite.finer_quarter_hours import KINDS
from tollkeeper.storage.sqlite.functions import as_blob, as_text, size, times_asked
from tollkeeper.storage.sqlite.partial_sums import parts_of
from tollkeeper.storage.sqlite.value_columns import NO_NUMBER, Column, Values

if TYPE_CHECKING:
    import ibis.expr.types as ir

    Ask = Callable[[ir.Table, Mapping[str, Any]], Iterable[Sequence[Any]]]
    """Runs a query with the values of some more slots."""

_TIMES: Final = "times_asked"
_KIND, _LISTS, _SIZES = "kind_", "lists_", "sizes_"
_NOTHING: Final[Mapping[str, Any]] = {}


class Numbers(NamedTuple):
    """What is known of a row by one of its numbers, which ``meaning`` is asked for.

    Without it the number is the value itself. ``of_times``: it is a moment, and asked for those
    that there are.
    """

    names: tuple[str, ...]
    meaning: ir.Table | None
    of_kind: bool = False
    of_times: bool = False


class NumberedPart(NamedTuple):
    """A part of a table. The query gives for each kind of entries its number, all values, the
    sizes of the rows' lists, and a list for each of ``numbers`` that is not the kind's.

    Without ``numbers`` it gives rows: what ``others`` names, and last their values.
    """

    query: ir.Table
    numbers: tuple[Numbers, ...] | None
    others: tuple[str, ...] = ()


def numbered_parts(table: ir.Table, column: str) -> Iterator[NumberedPart]:
    """Give the parts of a table, of which those of finer sums are read by numbers.

    Together they have its rows, but for those where ``column`` is NULL.
    """
    for part in parts_of(table.op()):
        yield _numbered(part, column) or _plain(part.to_expr(), column)


def read(part: NumberedPart, names: Sequence[str], ask: Ask) -> Values:
    """Read the values of a part, in cells by what they are in ``names``."""
    rows = ask(part.query, _NOTHING)
    if part.numbers is None:
        return value_columns.of_rows(rows, part.others, names)
    kinds, lists, sizes, *listed = list(zip(*rows, strict=True)) or [(), (), ()]
    if not kinds:
        return value_columns.together(())
    bytes_of, rows_of = value_columns.listed_numbers(sizes)
    others = iter(listed)
    columns = []
    for each in part.numbers:
        if each.of_kind:
            numbers = value_columns.repeated(kinds, rows_of)
        else:
            numbers, _ = value_columns.listed_numbers(next(others))
        meanings = None
        if each.meaning is not None:
            slots = {_TIMES: numbers.unique().to_pylist()} if each.of_times else _NOTHING
            meanings = {number: tuple(of) for number, *of in ask(each.meaning, slots)}
        columns.append(Column(each.names, numbers, meanings))
    return value_columns.of_lists(columns, names, b"".join(lists), bytes_of)


def _plain(part: ir.Table, column: str) -> NumberedPart:
    others = tuple(name for name in part.columns if name != column)
    rows = part.filter(part[column].notnull()).select(*others, column)
    return NumberedPart(rows, None, others)


def _numbered(part: Any, column: str) -> NumberedPart | None:
    """Give a part that is read from finer sums; None for any other, and where texts are asked."""
    finer = finer_part(part)
    if finer is None or not isinstance(part, ops.Project):
        return None
    values = {name: finer.value(value) for name, value in part.values.items()}
    given = values.pop(column)
    numbers, asked = _numbers(finer, values)
    if numbers is None:
        return None
    kept = ops.Filter(finer.chain, (*finer.predicates, ops.NotNull(given)))

    def of_kept(value: Any) -> Any:
        return moved(value, finer.chain, kept).to_expr()

    lists = {_LISTS: as_blob(of_kept(given)), _SIZES: as_text(size(of_kept(given)))}
    lists |= {f"list_{place}": as_text(of_kept(each)) for place, each in enumerate(asked)}
    kind = of_kept(finer.read_by)
    found = ops.Aggregate(
        kept, {_KIND: kind.op()}, {name: each.op() for name, each in lists.items()}
    )
    return NumberedPart(found.to_expr(), tuple(numbers))


def _numbers(finer: FinerPart, values: Mapping[str, Any]) -> tuple[list[Numbers] | None, list[Any]]:
    """Say by which numbers some values are known, and which of these are listed."""
    numbers, asked = [], []
    left = dict(values)
    for table, names in finer.by_table(values).items():
        meaning = finer.meaning(table, {name: left.pop(name) for name in names})
        numbers.append(Numbers(tuple(names), meaning.to_expr(), of_kind=table == KINDS))
        if table != KINDS:
            asked.append(finer.number(table))
    of_times = finer.of_times(left)
    if of_times:
        meaning = finer.meaning_of_times(of_times, times_asked(_TIMES))
        numbers.append(Numbers(tuple(of_times), meaning.to_expr(), of_times=True))
        asked.append(finer.began)
    for name, value in left.items():
        if name in of_times:
            continue
        if not value.dtype.is_integer():
            return None, []
        numbers.append(Numbers((name,), None))
        asked.append(ops.Coalesce((value, ops.Literal(NO_NUMBER, value.dtype))))
    return numbers, asked
