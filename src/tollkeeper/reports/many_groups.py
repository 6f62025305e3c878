"""Groups by session: very many of them, nearly all of one row.

A row whose session has no other is a group as it stands; only the others are put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.reports.measures import ADDITIVE, MEASURES, aggregates

if TYPE_CHECKING:
    import ibis.expr.types as ir

Measures = Mapping[str, Sequence[str]]
"""What is measured in each span."""

_SESSIONS: Final = "sessions"


def as_they_stand(
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    spans: Mapping[str, ir.Value],
    measures: Measures,
) -> ir.Table:
    """Give measures of each row, which is a group, as columns ``<measure>_<span>``.

    A row is in at most one of the ``spans``, and has no measures in the others.
    """
    found = {
        f"{name}_{span}": ibis.cases((holds, of_row(name, table)), else_=ibis.null())
        for span, holds in spans.items()
        for name in measures[span]
    }
    return table.select(**groups, **found)


def put_together(
    table: ir.Table,
    groups: Mapping[str, ir.Value],
    spans: Mapping[str, ir.Value],
    measures: Measures,
    one_session: bool,
) -> ir.Table:
    """Give the same of rows of which several make a group.

    ``one_session``: whose rows are all of one session, or of none.
    """
    counted = {_SESSIONS} if one_session else set()
    every = dict.fromkeys(name for names in measures.values() for name in names)
    if all(MEASURES[name].kind in ADDITIVE or name in counted for name in every):
        single = as_they_stand(table, groups, spans, measures)
        found = {
            name: single[name].max() if name.startswith(_SESSIONS) else single[name].sum()
            for name in single.columns
            if name not in groups
        }
        return single.group_by(list(groups)).agg(**found)
    stage = table.group_by(**groups, **{f"of_{span}": holds for span, holds in spans.items()})
    stage = stage.agg(**aggregates(table, every))
    found = {
        f"{name}_{span}": stage[name].max(where=stage[f"of_{span}"])
        for span in spans
        for name in measures[span]
    }
    return stage.group_by(list(groups)).agg(**found)


def of_row(name: str, rows: ir.Table) -> ir.Value:
    """Give a measure of each row by itself. Raises LookupError where that makes no sense."""
    found = MEASURES[name].of_row
    if found is None:
        raise LookupError(name)
    return found(rows)
