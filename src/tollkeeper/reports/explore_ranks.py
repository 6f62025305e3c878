"""Percentiles for Explore: of all, of each group, of the rest and of each step.

None of them follows from the others, but all are found in the same two passes over the requests.
Where these are read one by one (for calls, and where there are no finer sums), what is made for
each takes more than is won by that: they are asked for one after the other, and steps by whoever
needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis
import ibis.expr.datatypes as dt

from tollkeeper.domain.beside import Beside
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings
from tollkeeper.reports import explore_queries as queries
from tollkeeper.reports.explore_queries import first_staged, numbered
from tollkeeper.reports.explore_session_queries import (
    NUMBER,
    ShownShape,
    many_column,
    number_column,
    placed_shown,
)
from tollkeeper.reports.explore_spans import AMONG, SPAN_COLUMN, PivotShape, spanned
from tollkeeper.reports.measures import MEASURES, Value
from tollkeeper.reports.percentiles import VALUE, values
from tollkeeper.reports.selection import selected
from tollkeeper.reports.usage_queries import GroupShape, group_columns
from tollkeeper.reports.usage_queries import ranked as one_grouping

if TYPE_CHECKING:
    import ibis.expr.types as ir

CELLS_MAX: Final = 5_000
"""So many steps of groups are counted together; where there are more, each has few values."""

FIRST_STEP: Final = "first_step"
"""The slot of the key of the first step of time, where there are steps."""

_SHAPES_REMEMBERED: Final = 256
_GROUPS_FEW: Final = 2_000
_STEP_COLUMN: Final = "step_"
_REQUESTS: Final = "explored_requests"
_LABEL: Final = "label_"
_SPAN_BITS: Final = 2
_SPAN: Final = "of_span"
_STEP: Final = "of_step"
_PLACE: Final = "of_place"
_SERIES: Final = "of_series"
_OTHERS: Final = -1
_NO_NUMBER: Final = -(2**62)
"""Stands for the numbers of sessions that are not kept."""

_SPANS: Final = {"before": 0, "now": 2}


class RankedShape(NamedTuple):
    """What is ranked: the requests of ``pivot``, apart for the groups that ``kept`` gives.

    ``everything`` selects the same without groups; ``kept`` is None where there are none. ``step``
    groups by the step of time alone, None for no steps; the first ``series`` groups are told apart
    by step. ``shown`` is set where the first groups are of sessions or calls. ``placed`` tells that
    the groups that are kept, if any, were set aside.
    """

    pivot: PivotShape
    everything: PivotShape
    kept: PivotShape | None
    step: GroupShape | None
    series: int
    shown: ShownShape | None = None
    placed: bool = False


class Ranked(NamedTuple):
    """Percentiles by span ("now", "before"), by place of the group and span, by step and series.

    ``steps`` has for each step those of the first series by their places, of all others as None,
    and ``whole`` those of everything. Whoever has no values is left out.
    """

    total: Mapping[str, Value]
    places: Mapping[tuple[int | None, str], Value]
    steps: Mapping[tuple[Any, int | None], Value]
    whole: Mapping[Any, Value]

    def of(self, place: int | None) -> dict[str, Value]:
        """Give the values of one group, or of all others, as columns of a row."""
        return {f"value_{span}": self.places.get((place, span)) for span in _SPANS}

    def of_all(self) -> dict[str, Value]:
        """Give the values of everything, as columns of a row."""
        return {f"value_{span}": self.total.get(span) for span in _SPANS}

    def by_step(
        self, steps: Sequence[Any], series: int
    ) -> tuple[list[tuple[Value, ...]], tuple[Value, ...]]:
        """Give the values of each series by step, last those of the rest; and those of all."""
        whole = tuple(self.whole.get(step) for step in steps)
        if not series:
            return [], whole
        places = (*range(series), None)
        return [tuple(self.steps.get((step, place)) for step in steps) for place in places], whole


NOTHING_RANKED: Final = Ranked({}, {}, {}, {})


def read_ahead(
    ledger: Ledger, lent: Beside, shape: RankedShape, slots: Mapping[str, object]
) -> None:
    """Begin with what ``ranked`` reads whatever the groups are, where that is told apart."""
    if shape.pivot.groups.selection.timed and not ledger.hashes_texts():
        requests, _ = _requests(ledger, shape)
        ledger.read_ahead(lent, requests, VALUE, slots)


def ranked(
    ledger: Ledger,
    shape: RankedShape,
    found: Sequence[Mapping[str, Any]],
    slots: Mapping[str, object],
) -> Ranked:
    """Ask for the percentiles of a shape; ``found`` are the rows of the groups that it keeps."""
    if not shape.pivot.groups.selection.timed:
        return _one_by_one(ledger, shape, found, slots)
    of_many = shape.shown is not None or ledger.hashes_texts()
    if _by_number(shape) and not ledger.hashes_texts():
        slots = {**slots, AMONG: [row[NUMBER] for row in found if row[NUMBER] is not None]}
        requests, cells = _requests(ledger, shape)
    elif shape.pivot.groups.selection.finer and of_many:
        ledger.set_aside(_REQUESTS, _labelled_requests(ledger, shape), slots)
        requests, cells = _of_labels(ledger, shape)
    else:
        requests, cells = _requests(ledger, shape)
    _, percent = MEASURES[shape.pivot.metric].percentile
    sets = _sets(shape)
    rows = ledger.nearest_ranks(requests, VALUE, cells, sets, percent, slots)
    names = {number: name for name, number in _SPANS.items()}
    by_set: Mapping[tuple[str, ...], list[Mapping[str, Any]]] = {
        each: [row for row in rows if row["set_"] == number] for number, each in enumerate(sets)
    }
    return Ranked(
        total={names[row[_SPAN]]: row["value"] for row in by_set[(_SPAN,)]},
        places={
            (_place(row[_PLACE]), names[row[_SPAN]]): row["value"]
            for row in by_set.get((_SPAN, _PLACE), ())
        },
        steps={
            (row[_STEP], _place(row[_SERIES])): row["value"]
            for row in by_set.get((_STEP, _SERIES), ())
        },
        whole={row[_STEP]: row["value"] for row in by_set.get((_STEP,), ())},
    )


def _one_by_one(
    ledger: Ledger,
    shape: RankedShape,
    found: Sequence[Mapping[str, Any]],
    slots: Mapping[str, object],
) -> Ranked:
    """Rank everything, then each group, then all others; no steps."""
    (row,) = ledger.run(queries.pivoted_percentiles(ledger, shape.everything, None), slots)
    total = {span: row[f"value_{span}"] for span in _SPANS}
    places: dict[tuple[int | None, str], Value] = {}
    if shape.kept is not None and found:
        # Where groups are few, looking for some of them takes longer than taking all.
        groups = int(found[0]["groups_"])
        of = None if groups <= _GROUPS_FEW else shape.kept
        query = queries.pivoted_percentiles(ledger, shape.pivot, of)
        keys = [f"group_{index}" for index in range(len(shape.pivot.groups.group_by))]
        place_of = {tuple(row[key] for key in keys): place for place, row in enumerate(found)}
        for row in ledger.run(query, slots):
            place = place_of.get(tuple(row[key] for key in keys))
            if place is not None:
                places |= {(place, span): row[f"value_{span}"] for span in _SPANS}
        if groups > len(found):
            (row,) = ledger.run(queries.rest(ledger, shape.pivot, shape.kept), slots)
            places |= {(None, span): row[f"value_{span}"] for span in _SPANS}
    return Ranked(total, places, {}, {})


@lru_cache(_SHAPES_REMEMBERED)
def ranked_cells(ledger: Ledger, shape: GroupShape, column: str) -> tuple[ir.Table, ir.Table]:
    """Give the requests of each group, and the groups as cells with columns ``of_0``…."""
    table = selected(ledger, shape.selection)
    groups = group_columns(ledger, table, shape)
    requests = table.select(**groups, **{VALUE: values(table, column)})
    cells = requests.filter(requests[VALUE].notnull()).drop(VALUE).distinct()
    labels = {f"of_{place}": cells[name] for place, name in enumerate(groups)}
    return requests, cells.mutate(**labels)


def by_group(
    ledger: Ledger, shape: GroupShape, metric: str, slots: Mapping[str, object]
) -> dict[tuple[Any, ...], Value]:
    """Give a percentile of each group, where all of its columns are known."""
    column, percent = MEASURES[metric].percentile
    names = [f"of_{place}" for place in range(len(shape.group_by))]
    if shape.selection.timed and not ledger.hashes_texts():
        requests, cells = ranked_cells(ledger, shape, column)
        rows = ledger.nearest_ranks(requests, VALUE, cells, (names,), percent, slots)
        found = {tuple(row[name] for name in names): row["value"] for row in rows}
        return dict(sorted(found.items()))
    rows = ledger.run(one_grouping(ledger, shape, column, (percent,)), slots)
    groups = [f"group_{place}" for place in range(len(shape.group_by))]
    return {tuple(row[name] for name in groups): row[f"p{percent}"] for row in rows}


def _place(number: int) -> int | None:
    return None if number == _OTHERS else number


def _sets(shape: RankedShape) -> Sequence[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [(_SPAN,)]
    if shape.kept is not None:
        found.append((_SPAN, _PLACE))
    if shape.step is not None:
        found.append((_STEP,))
        if shape.kept is not None:
            found.append((_STEP, _SERIES))
    return found


@lru_cache(_SHAPES_REMEMBERED)
def _requests(ledger: Ledger, shape: RankedShape) -> tuple[ir.Table, ir.Table]:
    """Give the requests with what they are grouped by, and the cells that this makes."""
    table, groups = spanned(ledger, shape.pivot)
    now = groups[SPAN_COLUMN] == _SPANS["now"]
    column, _ = MEASURES[shape.pivot.metric].percentile
    if _by_number(shape):  # one cell of all that are not kept
        number = table[number_column(ledger)]
        told_apart = number.isnull() | bindings.is_among(number, AMONG)
        groups[many_column(shape.pivot)] = told_apart.ifelse(number, _NO_NUMBER)
    columns: dict[str, ir.Value] = {**groups, VALUE: values(table, column)}
    if shape.step is not None:
        (step,) = group_columns(ledger, table, shape.step).values()
        columns[_STEP_COLUMN] = now.ifelse(step, None)
    requests = table.select(**columns)
    cells = requests.filter(requests[VALUE].notnull()).drop(VALUE).distinct()
    return requests, _labelled(ledger, cells, shape)


@lru_cache(_SHAPES_REMEMBERED)
def _labelled_requests(ledger: Ledger, shape: RankedShape) -> ir.Table:
    """Give the requests of finer sums, each row with its step, span and place as one number.

    There are too many different groups for each to be a cell, and too many rows to look for the
    texts of their groups in both passes. Steps are counted from the first one: of numbers that are
    small, an engine finds the cell without hashing.
    """
    table, groups = spanned(ledger, shape.pivot)
    column, _ = MEASURES[shape.pivot.metric].percentile
    by_number = _by_number(shape)
    if by_number:
        groups[many_column(shape.pivot)] = table[number_column(ledger)]
    columns: dict[str, ir.Value] = {**groups, VALUE: values(table, column)}
    step: ir.Value = ibis.literal(0, "int64")
    if shape.step is not None:
        (step,) = group_columns(ledger, table, shape.step).values()
        step = step - bindings.integer(FIRST_STEP)
        step = (groups[SPAN_COLUMN] == _SPANS["now"]).ifelse(step, 0)
    requests = table.select(**columns, **{_STEP_COLUMN: step})
    requests = requests.filter(requests[VALUE].notnull())
    place: ir.Value = ibis.literal(_OTHERS, "int64")
    if shape.kept is not None:
        names = [name for name in groups if name.startswith("group_")]
        kept = _first(ledger, shape, shape.kept)
        if by_number:
            kept = kept.mutate(**{many_column(shape.pivot): kept[NUMBER]})
        kept = kept.select("place_", **{f"kept_{name}": kept[name] for name in names})
        same = [requests[name].identical_to(kept[f"kept_{name}"]) for name in names]
        requests = requests.left_join(kept, same)
        place = requests.place_.fill_null(_OTHERS)
    label = (requests[_STEP_COLUMN] << _SPAN_BITS) + requests[SPAN_COLUMN]
    label = (label << _place_bits(shape)) + place - _OTHERS
    return requests.select(requests[VALUE], **{_LABEL: label})


def _by_number(shape: RankedShape) -> bool:
    """Tell whether the first groups are of sessions that are known by numbers."""
    return shape.shown is not None and not shape.shown.by_text


def _place_bits(shape: RankedShape) -> int:
    """Say how many bits the places of the groups that are kept have, and of all others."""
    return shape.kept.limit.bit_length() if shape.kept is not None else 0


def _first(ledger: Ledger, shape: RankedShape, kept: PivotShape) -> ir.Table:
    """Give the table of the first groups, as it has been set aside."""
    if shape.shown is None:
        return first_staged(ledger, kept)
    return ibis.table(placed_shown(ledger, shape.shown, kept.limit).schema(), name=queries.FIRST)


@lru_cache(_SHAPES_REMEMBERED)
def _of_labels(ledger: Ledger, shape: RankedShape) -> tuple[ir.Table, ir.Table]:
    """Give the table that ``_labelled_requests`` is set aside as, and its cells."""
    kinds = dict(_labelled_requests(ledger, shape).schema().items())
    requests = ibis.table(kinds | {_LABEL: dt.Int64(nullable=False)}, name=_REQUESTS)
    cells = requests.select(_LABEL).distinct()
    label = cells[_LABEL]
    place_bits = _place_bits(shape)
    span = (label >> place_bits) & ((1 << _SPAN_BITS) - 1)
    labels: dict[str, ir.Value] = {_SPAN: span}
    if shape.step is not None:
        step = (label >> (place_bits + _SPAN_BITS)) + bindings.integer(FIRST_STEP)
        labels[_STEP] = (span == _SPANS["now"]).ifelse(step, None)
    if shape.kept is not None:
        place = (label & ((1 << place_bits) - 1)) + _OTHERS
        labels |= {_PLACE: place, _SERIES: (place < shape.series).ifelse(place, _OTHERS)}
    return requests, cells.mutate(**labels)


def _labelled(ledger: Ledger, cells: ir.Table, shape: RankedShape) -> ir.Table:
    """Say of what span and step each cell is, and in which of the first groups."""
    labels = {_SPAN: cells[SPAN_COLUMN]}
    if shape.step is not None:
        labels[_STEP] = cells[_STEP_COLUMN]
    cells = cells.mutate(**labels)
    if shape.kept is None:
        return cells
    names = [name for name in cells.columns if name.startswith("group_")]
    kept = _first(ledger, shape, shape.kept) if shape.placed else numbered(ledger, shape.kept)
    if _by_number(shape):
        kept = kept.mutate(**{many_column(shape.kept): kept[NUMBER]})
    kept = kept.select("place_", **{f"kept_{name}": kept[name] for name in names})
    same = [cells[name].identical_to(kept[f"kept_{name}"]) for name in names]
    joined = cells.left_join(kept, same)
    place = joined.place_.fill_null(_OTHERS)
    series = (place < shape.series).ifelse(place, _OTHERS)
    return joined.select(*cells.columns, **{_PLACE: place, _SERIES: series})
