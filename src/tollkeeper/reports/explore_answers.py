"""Explore's answers as documents and tables: exactly what a view shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.reports import zones
from tollkeeper.reports.answers import json_of, period_document, time_text
from tollkeeper.reports.dimensions import NAMES
from tollkeeper.reports.explore import Explored, Row
from tollkeeper.reports.filters import CLOCK
from tollkeeper.reports.measures import Value
from tollkeeper.reports.period import Period

OTHER: Final = "(other)"
"""What stands in a table for all groups that are no row."""

Rows = Sequence[Mapping[str, object]]


def explore_document(found: Explored) -> dict[str, Any]:
    """Give the document of ``/explore?format=json``.

    ``steps`` have the values of the rows that a chart shows, in their order, and ``other`` of
    everything else.
    """
    question = found.question
    return {
        "period": period_document(question.period),
        "previous": _elapsed(found.comparison.previous) if question.compare else None,
        "metric": question.metric,
        "group_by": list(question.group_by),
        "total": _values(found, found.total),
        "rows": [{**_keys(found, row), **_values(found, row)} for row in found.rows],
        "other": None if found.other is None else _values(found, found.other),
        "groups": found.groups,
        "truncated": found.groups > len(found.rows),
        "grain": question.step or None,
        "steps": [_step(found, place) for place in range(len(found.steps))],
        "hours_of_week": [
            {"weekday": day, "hour_of_day": hour, question.metric: _json(found, value)}
            for (day, hour), value in sorted(found.heat.items())
        ],
        "tokens_by_kind": {
            name: {"now": now, "before": before if question.compare else None}
            for name, (now, before) in found.kinds.items()
        },
    }


def _elapsed(before: Period) -> dict[str, Any]:
    """Give what of the period before is counted: as much as has elapsed of this one."""
    return {**period_document(before), "to": time_text(before.until_us)}


def explore_table(found: Explored) -> tuple[tuple[str, ...], Rows]:
    """Give the columns and rows of what the view shows.

    Over time: each step of each series. Hours of the week: each of them. Otherwise the groups,
    and all others as one row.
    """
    question = found.question
    if question.view == "heat":
        return (*CLOCK, question.metric), [
            {"weekday": day, "hour_of_day": hour, question.metric: value}
            for (day, hour), value in sorted(found.heat.items())
        ]
    columns = tuple(
        column
        for name in question.group_by
        for column in ((name, f"{name}_name") if name in NAMES else (name,))
    )
    if found.steps:
        return ("step", *columns, question.metric), _stepped(found, columns)
    before = (f"{question.metric}_before",) if question.compare else ()
    rows = [{**_texts(found, row), **_flat(found, row)} for row in found.rows]
    if found.other is not None:
        rows.append({**dict.fromkeys(columns, OTHER), **_flat(found, found.other)})
    if not question.group_by:
        rows = [_flat(found, found.total)]
    return (*columns, question.metric, *before, "requests", "unpriced"), rows


def _stepped(found: Explored, columns: Sequence[str]) -> list[dict[str, object]]:
    metric = found.question.metric
    series: list[tuple[dict[str, object], Sequence[Value]]] = [
        (_texts(found, row), row.by_step) for row in found.rows if row.by_step
    ]
    if found.rest_by_step:
        series.append((dict.fromkeys(columns, OTHER), found.rest_by_step))
    if not series:
        series = [({}, found.total_by_step)]
    return [
        {"step": step_text(found, place), **keys, metric: values[place]}
        for place in range(len(found.steps))
        for keys, values in series
    ]


def step_text(found: Explored, place: int) -> str:
    """Write when a step begins: a day as a date, an hour with its offset."""
    start = zones.local_time(found.steps[place].start_us, found.question.period.zone_info)
    if found.question.step == "hour":
        return start.isoformat()
    return f"{start:%Y-%m}" if found.question.step == "month" else f"{start:%Y-%m-%d}"


def _step(found: Explored, place: int) -> dict[str, Any]:
    rows = [_json(found, row.by_step[place]) for row in found.rows if row.by_step]
    step = found.steps[place]
    return {
        "step": step_text(found, place),
        "from": time_text(step.start_us),
        "to": time_text(step.end_us),
        "rows": rows,
        "other": _json(found, found.rest_by_step[place]) if found.rest_by_step else None,
        "total": _json(found, found.total_by_step[place]),
    }


def _keys(found: Explored, row: Row) -> dict[str, object]:
    """Give the keys of a row as they are, and the names of ids."""
    keys: dict[str, object] = {}
    for name, key, text in zip(found.question.group_by, row.keys, row.names, strict=True):
        keys[name] = key
        if name in NAMES:
            keys[f"{name}_name"] = text
    return keys


def _texts(found: Explored, row: Row) -> dict[str, object]:
    """Give the keys as texts: a column of a file has one type, "(other)" among others."""
    return {
        name: key if key is None else str(key).lower() if isinstance(key, bool) else str(key)
        for name, key in _keys(found, row).items()
    }


def _values(found: Explored, row: Row) -> dict[str, Any]:
    metric = found.question.metric
    before = {f"{metric}_before": _json(found, row.before)} if found.question.compare else {}
    return {
        metric: _json(found, row.now),
        **before,
        "requests": row.requests,
        "unpriced": row.unpriced,
    }


def _flat(found: Explored, row: Row) -> dict[str, object]:
    metric = found.question.metric
    return {
        metric: row.now,
        f"{metric}_before": row.before,
        "requests": row.requests,
        "unpriced": row.unpriced,
    }


def _json(found: Explored, value: Value) -> object:
    return json_of(found.question.metric, value)
