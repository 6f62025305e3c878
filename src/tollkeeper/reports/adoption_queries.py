"""The queries behind adoption: what each person did in each week. Their answers stay inside."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import ibis

from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.selection import SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

_SHAPES_REMEMBERED: Final = 16


@lru_cache(_SHAPES_REMEMBERED)
def by_person_and_week(ledger: Ledger, shape: SelectionShape, changes: int) -> ir.Table:
    """Give what each person did in each week, which is named by the day number of its Monday.

    ``days`` has one bit for each day with a call. Counted step by step, by session and by tool
    first: counting distinct values of single calls takes several times as long.
    """
    table = _let_through(ledger, shape)
    day = zones.local_day(table.started_at, changes)
    week = zones.local_week(table.started_at, changes)
    table = table.select(
        "tool",
        "requests",
        "started_at",
        "team",
        "session_id",
        user=table.user_id,
        week=week,
        day=ibis.literal(1, "int64") << (day - week),
    )
    by_session = table.group_by("user", "week", "tool", "session_id").agg(
        requests=table.requests.sum(),
        days=table.day.bit_or(),
        last=table.started_at.max(),
        team=table.team.argmax(table.started_at),
    )
    by_session = by_session.filter(by_session.requests > 0)
    by_tool = by_session.group_by("user", "week", "tool").agg(
        requests=by_session.requests.sum(),
        days=by_session.days.bit_or(),
        last=by_session["last"].max(),
        team=by_session.team.argmax(by_session["last"]),
        sessions=(by_session.session_id != "").sum(),
    )
    return by_tool.group_by("user", "week").agg(
        days=by_tool.days.bit_or(),
        team=by_tool.team.argmax(by_tool["last"]),
        sessions=by_tool.sessions.sum(),
        tools=by_tool.tool.count(),
        main_tool=by_tool.tool.argmax(by_tool.requests),
    )


@lru_cache(_SHAPES_REMEMBERED)
def first_uses(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give when each person's first call was."""
    table = _let_through(ledger, shape)
    return table.group_by(user=table.user_id).agg(first=table.started_at.min())


def _let_through(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give the calls of people that were not refused; flat-rate ones are calls like others."""
    table = selected(ledger, shape)
    return table.filter(table.user_id != "", table.requests != 0)
